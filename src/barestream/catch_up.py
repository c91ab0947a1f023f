"""Brings followers on that have far to go: a step at a time, and out of the broker's history."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from barestream.broker.broker import Broker, BrokerAwayError
from barestream.feed import Follower
from barestream.stream import MARK_BYTES, EndReason

logger = logging.getLogger(__name__)

# Reads of old history at once. Each holds one page, and the engine serves one after the other
# anyway: more would only put the newest events behind the oldest.
MOST_READS = 4

# What a page holds: two writes of a stream that catches up, or one larger event.
PAGE_BYTES = 2 * MARK_BYTES
PAGE_MOST_EVENTS = 500

# Until the engine is asked again for a page that it did not give.
RETRY_SECONDS = 1.0


class CatchUp:
    """Takes over followers until they keep up, or their client does not.

    Args:
        broker: Where that is read what a feed's own log no longer holds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self, broker: Broker, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._broker = broker
        self._sleep = sleep
        self._reads = asyncio.Semaphore(MOST_READS)
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, follower: Follower) -> None:
        """Advance the follower from here on."""
        task = asyncio.create_task(self._run(follower))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, follower: Follower) -> None:
        try:
            while follower.can_advance:
                if follower.place is not None and follower.place < follower.feed.log.floor:
                    await self._read_page(follower)
                else:
                    follower.step()
                # The newest events go first.
                await self._sleep(0)
        except Exception:
            logger.exception("catching up failed", extra=dict(follower.stream.labels))
            follower.stream.end(EndReason.ERROR)
        finally:
            follower.catching_up = False

    async def _read_page(self, follower: Follower) -> None:
        log = follower.feed.log
        try:
            async with self._reads:
                # Its turn may have come when its client has left.
                if follower.place is None:
                    return
                page = await self._broker.read(follower.place, PAGE_MOST_EVENTS, PAGE_BYTES)
        except BrokerAwayError:
            await self._sleep(RETRY_SECONDS)
            return
        if follower.place is None:
            return
        if not page.entries:
            # What the log has let go, the history has too.
            follower.miss(str(follower.place), max(page.floor, log.floor))
            return
        if page.floor > follower.place:
            follower.miss(str(follower.place), page.floor)
        follower.send(entry.record for entry in page.entries)
