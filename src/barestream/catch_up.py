"""Brings followers on that have far to go: a step at a time, and out of the broker's history."""

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from barestream.broker.broker import Broker, BrokerAwayError
from barestream.event_log import Place, Record
from barestream.feed import Follower
from barestream.stream import MARK_BYTES, EndReason

logger = logging.getLogger(__name__)

# Reads of old history at once. Each holds one page, and the engine serves one after the other
# anyway: more would only put the newest events behind the oldest.
MOST_READS = 4

# What a page holds: two writes of a stream that catches up, or one larger event.
PAGE_BYTES = 2 * MARK_BYTES
PAGE_MOST_EVENTS = 500

# Clients that return together, after a deploy or an outage, miss the same events: a page is read
# and encoded once for all of them. A page for each (6 ms of 200 events, where sending it takes
# 0.3) was more than a worker could do for 500, and those behind never caught up. So many pages
# are 4 MB, or 20 with the largest events.
MOST_PAGES = 32

# Until the engine is asked again for a page that it did not give.
RETRY_SECONDS = 1.0


class _Page(NamedTuple):
    """Records that follow a place without a hole, oldest first; at least one."""

    after: Place
    records: list[Record]


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
        self._pages: deque[_Page] = deque(maxlen=MOST_PAGES)
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, follower: Follower) -> None:
        """Advance the follower from here on."""
        task = asyncio.create_task(self._run(follower))
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            # They are for those who come together: later the history may hold them no more.
            self._pages.clear()

    async def _run(self, follower: Follower) -> None:
        try:
            while follower.can_advance:
                if follower.place >= follower.feed.log.floor:
                    follower.step()
                elif not self._send_known(follower):
                    await self._read_page(follower)
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
                # Its turn may have come when its client has left, or when another's page holds
                # what it needs.
                if not follower.can_advance or self._send_known(follower):
                    return
                page = await self._broker.read(follower.place, PAGE_MOST_EVENTS, PAGE_BYTES)
        except BrokerAwayError:
            await self._sleep(RETRY_SECONDS)
            return
        if not follower.can_advance:
            return
        if not page.entries:
            # What the log has let go, the history has too.
            follower.miss(str(follower.place), max(page.floor, log.floor))
            return
        if page.floor > follower.place:
            follower.miss(str(follower.place), page.floor)
        self._pages.append(_Page(page.floor, [entry.record for entry in page.entries]))
        self._send_known(follower)

    def _send_known(self, follower: Follower) -> bool:
        """Send what follows the place in one of the newest pages; return whether one has it."""
        place = follower.place
        for page in self._pages:
            if page.after <= place < page.records[-1].place:
                start = bisect_right(page.records, place, key=lambda record: record.place)
                follower.send(page.records[start : start + follower.step_records])
                return True
        return False
