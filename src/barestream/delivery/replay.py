"""Sends events to subscribers that are far behind, in steps, also from the broker's history."""

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from barestream.delivery.feed import Feed
from barestream.delivery.stream import EndReason
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscriber_state import State
from barestream.delivery.time_slices import Slices
from barestream.delivery.writer import MARK_BYTES
from barestream.history.broker import Broker, BrokerAwayError
from barestream.history.record import Place, Record
from barestream.history.ring import Ring

logger = logging.getLogger(__name__)

# How many reads of old history may run at once. Each holds one page. Valkey serves reads one after
# the other anyway, so more of them would only delay the newest events.
MOST_READS = 4

# The size of a page: two writes of a replay, or one larger event.
PAGE_BYTES = 2 * MARK_BYTES
PAGE_MOST_EVENTS = 500

# Clients that return together, after a deploy or an outage, have missed the same events, so a page
# is read and encoded once for all of them. Encoding 200 events takes 6 ms, and sending them 0.3 ms:
# with a page for each of 500 clients, a worker was too slow for the last of them to catch up. This
# many pages take 4 MB, or 20 MB with the largest events.
MOST_PAGES = 32

# How soon Valkey is asked again for a page after a failure.
RETRY_SECONDS = 1.0


class _Page(NamedTuple):
    """Successive records after a place, oldest first; at least one.

    Attributes:
        restarts: The restarts of the feed's ring when they were read; after another restart the
            ring may hold another history.
    """

    after: Place
    records: list[Record]
    restarts: int


class _Needs(Enum):
    """What a subscriber needs for its next step."""

    TIME = auto()
    PAGE = auto()


class _Work(NamedTuple):
    """A subscriber that was handed over for the nth time, and the steps of its replay."""

    feed: Feed
    subscriber: Subscriber
    nth: int
    steps: Iterator[_Needs]

    @property
    def is_stale(self) -> bool:
        """Whether the subscriber was handed over again since."""
        return self.nth != self.subscriber.replays


class Replay:
    """Takes over subscribers until they have caught up, or their client is too slow.

    The subscribers take steps in turn, as one piece of work: together they take no more of the
    event loop's time than one would.

    Args:
        broker: Keeps the events that a feed's ring no longer holds; None if they are gone.
        slices: The slices of the work.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        broker: Broker | None,
        slices: Slices,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._broker = broker
        self._slices = slices
        self._sleep = sleep
        self._reads = asyncio.Semaphore(MOST_READS)
        self._pages: deque[_Page] = deque(maxlen=MOST_PAGES)
        self._ready: deque[_Work] = deque()
        self._running: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[None]] = set()

    def __call__(self, feed: Feed, subscriber: Subscriber) -> None:
        """Take over a subscriber of the feed."""
        self._go_on(_Work(feed, subscriber, subscriber.replays, self._steps(feed, subscriber)))

    def _go_on(self, work: _Work) -> None:
        self._ready.append(work)
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._ready:
            work = self._ready.popleft()
            if work.is_stale:
                continue
            try:
                needs = next(work.steps, None)
            except Exception as error:
                _break(work.subscriber, error)
            else:
                if needs is _Needs.TIME:
                    self._ready.append(work)
                elif needs is _Needs.PAGE:
                    self._begin_read(work)
                else:
                    _give_back(work.subscriber)
            # Live events go first.
            await self._slices.step()
        self._running = None
        self._forget()

    def _forget(self) -> None:
        """Drop the pages if no replay is left.

        They serve clients that return together; later the history may have removed those events.
        """
        if self._running is None and not self._reading:
            self._pages.clear()

    def _begin_read(self, work: _Work) -> None:
        reading = asyncio.create_task(self._read(work))
        self._reading.add(reading)
        reading.add_done_callback(self._end_read)

    def _end_read(self, reading: asyncio.Task[None]) -> None:
        self._reading.discard(reading)
        self._forget()

    async def _read(self, work: _Work) -> None:
        try:
            await self._read_page(work)
        except Exception as error:
            _break(work.subscriber, error)
        else:
            self._go_on(work)

    def _steps(self, feed: Feed, subscriber: Subscriber) -> Iterator[_Needs]:
        """Send a subscriber the events in steps; yield what the next step needs."""
        ring = feed.ring
        while feed.can_send(subscriber):
            place = subscriber.place
            if place >= ring.floor:
                for _ in feed.steps(subscriber):
                    yield _Needs.TIME
            elif self._broker is None:
                feed.miss(subscriber, str(place), ring.floor)
            elif (page := self._page_after(ring, place)) is not None:
                start = bisect_right(page.records, place, key=lambda record: record.place)
                for _ in feed.send(subscriber, page.records[start:]):
                    yield _Needs.TIME
            else:
                yield _Needs.PAGE

    def _page_after(self, ring: Ring, place: Place) -> _Page | None:
        """Return a page in memory that has the records after a place; None if there is none."""
        for page in self._pages:
            if page.restarts == ring.restarts and page.after <= place < page.records[-1].place:
                return page
        return None

    async def _read_page(self, work: _Work) -> None:
        assert self._broker is not None  # noqa: S101 (only then a page is asked for)
        feed, subscriber = work.feed, work.subscriber
        ring = feed.ring
        restarts = ring.restarts
        try:
            async with self._reads:
                # While it waited, its client may have left, or another subscriber's page may have
                # come that has the records.
                if not feed.can_send(subscriber) or self._page_after(ring, subscriber.place):
                    return
                page = await self._broker.read(subscriber.place, PAGE_MOST_EVENTS, PAGE_BYTES)
        except BrokerAwayError:
            await self._sleep(RETRY_SECONDS)
            return
        if work.is_stale or not feed.can_send(subscriber) or ring.restarts != restarts:
            return
        if not page.records:
            # The history has removed the events too.
            feed.miss(subscriber, str(subscriber.place), max(page.floor, ring.floor))
            return
        if page.floor > subscriber.place:
            feed.miss(subscriber, str(subscriber.place), page.floor)
        self._pages.append(_Page(page.floor, page.records, restarts))


def _give_back(subscriber: Subscriber) -> None:
    """Return a subscriber to its feed: its client is not ready, or it has caught up."""
    if subscriber.state is State.REPLAYED:
        subscriber.move(State.BEHIND)


def _break(subscriber: Subscriber, error: Exception) -> None:
    logger.error("a replay failed", exc_info=error, extra=dict(subscriber.stream.labels))
    subscriber.stream.end(EndReason.ERROR)
    _give_back(subscriber)
