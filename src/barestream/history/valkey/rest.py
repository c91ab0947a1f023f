"""How long a reader rests between two reads, so that each brings several updates. Pure."""

from collections.abc import Callable

# A read costs a worker and Valkey as much as some ten updates, and each worker reads. Updates that
# come one by one are not delayed; at 1,000 a second and more each read then brings five.
REST_SECONDS = 0.005
BUSY_SECONDS = 0.001

# A time between two updates counts as no more than this, so that a few reads tell that it is busy.
MOST_SECONDS = 0.01

# The weight of a read in the mean is one of so many parts: a burst of a few reads is not delayed.
PARTS = 4


class Rest:
    """The rest, by the mean time between updates.

    Args:
        now: A monotonic clock, in seconds.

    Attributes:
        seconds: How long to rest before the next read.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._read_at = now()
        self._between_seconds = MOST_SECONDS
        self.seconds = 0.0

    def note(self, updates: int, *, is_whole: bool) -> None:
        """Note that a read has brought so many updates, and whether these were all."""
        now = self._now()
        since_seconds, self._read_at = now - self._read_at, now
        between_seconds = min(MOST_SECONDS, since_seconds / max(1, updates))
        self._between_seconds += (between_seconds - self._between_seconds) / PARTS
        is_busy = self._between_seconds < BUSY_SECONDS
        self.seconds = REST_SECONDS if is_busy and is_whole else 0.0
