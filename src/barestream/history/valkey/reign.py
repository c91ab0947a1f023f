"""The time during which one server is the primary."""

import asyncio
import logging
from collections.abc import Iterable

from barestream.history.record import BEGIN, Place
from barestream.history.valkey import codec
from barestream.history.valkey.scripts import RAISE

logger = logging.getLogger(__name__)

# How far the clock of a server that becomes the primary may be behind that of the earlier one: a
# failover takes seconds, and machines that set their clocks by NTP differ by less.
MOST_BEHIND_MS = 60_000

# For how long the earlier primary may go on giving places: until all workers have left it, which
# takes them WATCH_SECONDS and SENTINEL_SECONDS (sentinels.py), and a busy one some more. A worker
# that had read an update there would not notice that the place has another one in the later log.
OVERLAP_MS = 5_000


class Reign:
    """What a worker has to tell a server that has become the primary, before it writes.

    Later updates get places after all that the earlier primary gave, also those that the replica
    did not get, and those of the next moment. Otherwise a place could be given twice, and nobody
    would notice the loss.

    An accepted update may also be lost before any worker has read it. So the primary is told the
    newest place that was given to an update, too, and tells every stream if it does not know it.

    Attributes:
        nth: How many others were noted before.
        last: The newest place that the worker has read.
        upto: What the primary is to be told before a write: the newest place that the worker knows
            of, and the clock of the earlier primary in milliseconds. None if there was no other
            primary before it, or it was told.
    """

    def __init__(self) -> None:
        self.nth = 0
        self.last: Place = BEGIN
        self._given: Place = BEGIN
        # By how much the primary's clock is ahead of the loop's.
        self._ahead_ms: float | None = None
        self.upto: tuple[Place, float] | None = None

    def note_given(self, places: Iterable[Place]) -> None:
        """Note the places of updates that were accepted."""
        self._given = max((self._given, *places))
        if self.upto is not None and self._given > self.upto[0]:
            # Before the primary is told it gives none: these are the earlier one's.
            self.upto = (self._given, self.upto[1])

    def note_clock(self, server_ms: float, asked_at: float) -> None:
        """Note the time of the primary's clock.

        Args:
            server_ms: Its time in milliseconds.
            asked_at: When it was asked, by the loop's clock.
        """
        self._ahead_ms = server_ms - 1000 * asked_at

    def end(self) -> None:
        """Note that another server has become the primary."""
        self.nth += 1
        earlier = self.upto or (BEGIN, 0.0)
        now_ms = 1000 * asyncio.get_running_loop().time()
        clock_ms = 0.0 if self._ahead_ms is None else now_ms + self._ahead_ms
        self.upto = (max(earlier[0], self.last, self._given), max(earlier[1], clock_ms))
        self._ahead_ms = None

    def telling(self, upto: tuple[Place, float]) -> tuple[bytes, ...]:
        """Return the command that tells the primary."""
        place, clock_ms = upto
        numbers = (clock_ms, MOST_BEHIND_MS, OVERLAP_MS)
        return RAISE.call(codec.stream_id(place), *(b"%d" % each for each in numbers))

    def begin(self, upto: tuple[Place, float], *, is_lost: bool) -> None:
        """Note that the primary was told this, and whether it lacks what was at the place."""
        if self.upto is not upto:
            return
        self.upto = None
        if is_lost:
            logger.error(
                "the primary lacks updates of the earlier one: all streams are sent a gap",
                extra={"place": str(upto[0])},
            )
