"""Brings subscribers on that have far to go: a step at a time, and out of the broker's history."""

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

# Reads of old history at once. Each holds one page, and Valkey serves one after the other
# anyway: more would only put the newest events behind the oldest.
MOST_READS = 4

# What a page holds: two writes of a replay, or one larger event.
PAGE_BYTES = 2 * MARK_BYTES
PAGE_MOST_EVENTS = 500

# Clients that return together, after a deploy or an outage, miss the same events: a page is read
# and encoded once for all of them. A page for each (6 ms of 200 events, where sending it takes
# 0.3) was more than a worker could do for 500, and those behind never came to the end. So many
# pages are 4 MB, or 20 with the largest events.
MOST_PAGES = 32

# Until Valkey is asked again for a page that it did not give.
RETRY_SECONDS = 1.0


class _Page(NamedTuple):
    """Records that follow a place without a hole, oldest first; at least one.

    Attributes:
        restarts: That of the feed's ring when they were asked for: it may hold another history
            since.
    """

    after: Place
    records: list[Record]
    restarts: int


class _Needs(Enum):
    """What a subscriber needs for its next step."""

    TIME = auto()
    PAGE = auto()


class _Work(NamedTuple):
    """A subscriber that was handed over for the nth time, and the steps that bring it on."""

    feed: Feed
    subscriber: Subscriber
    nth: int
    steps: Iterator[_Needs]

    @property
    def is_stale(self) -> bool:
        """Whether the subscriber was handed over again since."""
        return self.nth != self.subscriber.replays


class Replay:
    """Takes over subscribers until they keep up, or their client does not.

    The subscribers take steps in turn, as one piece of work: together they take no more of a loop's
    time than one would.

    Args:
        broker: Holds the events that a feed's own ring has let go; None where they are gone.
        slices: The time that they take.
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
        """Bring the feed's subscriber on from here."""
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
        """Let go of the pages where no replay is left.

        They are for clients that come together: later the history may hold them no more.
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
        """Bring a subscriber on, and say after each step what the next one needs."""
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
        """Return one of the newest pages that holds what follows a place, if there is one."""
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
                # Its turn may have come when its client has left, or when another's page holds
                # what it needs.
                if not feed.can_send(subscriber) or self._page_after(ring, subscriber.place):
                    return
                page = await self._broker.read(subscriber.place, PAGE_MOST_EVENTS, PAGE_BYTES)
        except BrokerAwayError:
            await self._sleep(RETRY_SECONDS)
            return
        if work.is_stale or not feed.can_send(subscriber) or ring.restarts != restarts:
            return
        if not page.records:
            # What the ring has let go, the history has too.
            feed.miss(subscriber, str(subscriber.place), max(page.floor, ring.floor))
            return
        if page.floor > subscriber.place:
            feed.miss(subscriber, str(subscriber.place), page.floor)
        self._pages.append(_Page(page.floor, page.records, restarts))


def _give_back(subscriber: Subscriber) -> None:
    """Leave a subscriber to its feed: its client takes no more, or it has come to the end."""
    if subscriber.state is State.REPLAYED:
        subscriber.move(State.BEHIND)


def _break(subscriber: Subscriber, error: Exception) -> None:
    logger.error("a replay failed", exc_info=error, extra=dict(subscriber.stream.labels))
    subscriber.stream.end(EndReason.ERROR)
    _give_back(subscriber)
