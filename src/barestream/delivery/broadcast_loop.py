"""Has a feed's broadcasts run, as soon as there is something to send."""

import asyncio
from collections.abc import Awaitable, Callable

from barestream.delivery.feed import Feed
from barestream.delivery.time_slices import Slices

# After a broadcast there is a rest of twice its own length, in which what comes is put together
# for the next one; a lone event never meets it. Without it a burst is written so often that a proxy
# on the same machine, to which each write is a read and a write of its own, falls behind: 1,000
# streams behind nginx, 250 events/s by 32 publishers, had 151,000 deliveries/s, p99 3.6 s, and with
# it all 250,000, p99 0.1 s, for half the CPU.
REST_RATIO = 2

# As long as a write to 1,000 streams takes: nobody notices it, however many streams there are.
MOST_REST_SECONDS = 0.01


class BroadcastLoop:
    """Sends what is appended to a feed.

    Args:
        feed: Whose subscribers are sent to.
        slices: The time that this may take at once; the feed's own budget.
        now: A monotonic clock, in seconds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        feed: Feed,
        slices: Slices,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._feed = feed
        self._slices = slices
        self._now = now
        self._sleep = sleep
        self._stirred = asyncio.Event()
        feed.on_append = self._stirred.set

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if not self._feed.pending_bytes:
                self._stirred.clear()
                await self._stirred.wait()
            started_at = self._now()
            while self._feed.step():
                await self._slices.next(live=True)
            took_seconds = self._now() - started_at
            await self._sleep(min(REST_RATIO * took_seconds, MOST_REST_SECONDS))
