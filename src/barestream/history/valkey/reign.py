"""The time during which one server is the primary."""

import asyncio

from barestream.history.record import BEGIN, Place
from barestream.history.valkey.scripts import RAISE

# How far the clock of a server that becomes the primary may be behind that of the earlier one: a
# failover takes seconds, and machines that set their clocks by NTP differ by less.
MOST_BEHIND_MS = 60_000


class Reign:
    """What a worker has to tell a server that has become the primary, before it writes.

    Later updates get places after all that the earlier primary gave, also those that the replica
    did not get. Otherwise a place could be given twice, and nobody would notice the loss.

    Attributes:
        last: The newest place that the worker has read.
        upto: What the primary is to be told before a write; None if there was no other primary
            before it, or it was told.
    """

    def __init__(self) -> None:
        self.last: Place = BEGIN
        # By how much the primary's clock is ahead of the loop's.
        self._ahead_ms: float | None = None
        self.upto: tuple[int, float] | None = None

    def note_clock(self, server_ms: float, asked_at: float) -> None:
        """Note the time of the primary's clock.

        Args:
            server_ms: Its time in milliseconds.
            asked_at: When it was asked, by the loop's clock.
        """
        self._ahead_ms = server_ms - 1000 * asked_at

    def end(self) -> None:
        """Note that another server has become the primary."""
        earlier = self.upto or (0, 0.0)
        now_ms = 1000 * asyncio.get_running_loop().time()
        clock_ms = 0.0 if self._ahead_ms is None else now_ms + self._ahead_ms
        self.upto = (max(earlier[0], self.last.ms), max(earlier[1], clock_ms))
        self._ahead_ms = None

    def telling(self, upto: tuple[int, float]) -> tuple[bytes, ...]:
        """Return the command that tells the primary."""
        place_ms, clock_ms = upto
        return RAISE.call(b"%d" % place_ms, b"%d" % clock_ms, b"%d" % MOST_BEHIND_MS)

    def begin(self, upto: tuple[int, float]) -> None:
        """Note that the primary was told this."""
        if self.upto is upto:
            self.upto = None
