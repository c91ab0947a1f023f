"""The time from an event's place to the end of its broadcast."""

from collections import deque
from collections.abc import Callable

from barestream.history.record import Place
from barestream.telemetry.metrics import Metrics


class DeliveryLag:
    """Measures the lag, although wall clocks differ and jump.

    A place contains a time of the wall clock of its source. When an event arrives, its age is
    computed by this machine's wall clock; from then on a monotonic clock measures. Wall clocks may
    differ by hours, so the age has a bound: the event is newer than the last time at which the
    source was read to its end.

    Args:
        metrics: Where the lag is recorded.
        wall: The wall clock, in seconds since 1970-01-01 UTC.
        steady: A monotonic clock, in seconds.
    """

    def __init__(
        self, metrics: Metrics, wall: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        self._metrics = metrics
        self._wall = wall
        self._steady = steady
        # When each event came into its source, on the monotonic clock, oldest first.
        self._came_at: deque[float] = deque()
        self._whole_at = self._asked_at = steady()

    def ask(self) -> None:
        """Note that the source is about to be read."""
        self._asked_at = self._steady()

    def read_to_end(self) -> None:
        """Note that the last read has come to the end of the source."""
        self._whole_at = self._asked_at

    def begin(self, place: Place) -> None:
        """Begin to measure an event that comes from the source."""
        now = self._steady()
        age_seconds = max(0.0, self._wall() - place.ms / 1000)
        self._came_at.append(max(self._whole_at, now - age_seconds))

    def end(self, events: int, *, observed: bool) -> None:
        """End the measurement of the oldest events.

        Args:
            events: How many.
            observed: Whether to record them: at least one of them was sent to a stream.
        """
        now = self._steady()
        for _ in range(events):
            came_at = self._came_at.popleft()
            if observed:
                self._metrics.lag_seconds.observe(now - came_at)
