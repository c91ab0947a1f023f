"""Sends events to subscribers that are far behind, in steps, also from the broker's history."""

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from barestream.delivery.catching_up import CatchingUp
from barestream.delivery.stream import EndReason
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscriber_state import State
from barestream.delivery.time_slices import Slices
from barestream.delivery.writer import MARK_BYTES
from barestream.history.broker import Broker, BrokerAwayError
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.history.topic_state import Reader

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
    """Successive records after a place, oldest first.

    Attributes:
        after: The place.
        records: The records that the reader may want.
        upto: The place up to which the history has no others; it is after ``after``.
        floor: The place up to which others have left the history.
        reader: Whom the records were read for.
        restarts: The restarts of the feed's ring when they were read; after another restart the
            ring may hold another history.
    """

    after: Place
    records: list[Record]
    upto: Place
    floor: Place
    reader: Reader
    restarts: int

    def following(self, place: Place) -> list[Record]:
        """Return the records after a place."""
        return self.records[bisect_right(self.records, place, key=lambda record: record.place) :]


class _Needs(Enum):
    """What a subscriber needs for its next step."""

    TIME = auto()
    PAGE = auto()


class _Work(NamedTuple):
    """A subscriber that was handed over for the nth time, and the steps of its replay."""

    feed: CatchingUp
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
        # Each with what is set once it has taken its next step, or needs none.
        self._ready: deque[tuple[_Work, asyncio.Event]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[None]] = set()

    def __call__(self, feed: CatchingUp, subscriber: Subscriber) -> None:
        """Take over a subscriber of the feed."""
        self._go_on(_Work(feed, subscriber, subscriber.replays, self._steps(feed, subscriber)))

    def _go_on(self, work: _Work) -> asyncio.Event:
        stepped = asyncio.Event()
        self._ready.append((work, stepped))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return stepped

    async def _run(self) -> None:
        while self._ready:
            work, stepped = self._ready.popleft()
            stepped.set()
            if work.is_stale:
                continue
            try:
                needs = next(work.steps, None)
            except Exception as error:
                _break(work.subscriber, error)
            else:
                if needs is _Needs.TIME:
                    self._go_on(work)
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
            async with self._reads:
                if await self._read_page(work):
                    # If each of many clients has its own topic, the pages of others would displace
                    # this one before its client has it.
                    await self._go_on(work).wait()
                    return
        except BrokerAwayError:
            await self._sleep(RETRY_SECONDS)
        except Exception as error:
            _break(work.subscriber, error)
            return
        self._go_on(work)

    def _steps(self, feed: CatchingUp, subscriber: Subscriber) -> Iterator[_Needs]:
        """Send a subscriber the events in steps; yield what the next step needs."""
        ring = feed.ring
        while feed.can_send(subscriber):
            place = subscriber.place
            if place >= ring.floor:
                for _ in feed.steps(subscriber):
                    yield _Needs.TIME
            elif self._broker is None:
                feed.miss(subscriber, str(place), ring.floor)
            elif not subscriber.subscription.has_reader:
                for _ in subscriber.subscription.finding_reader(self._slices):
                    yield _Needs.TIME
            elif (page := self._page_after(ring, subscriber)) is not None:
                records = page.following(place)
                if page.floor > max(place, subscriber.told):
                    goes_on = goes_on_from(place, page.floor, records)
                    feed.miss(subscriber, str(place), page.floor, goes_on)
                for _ in feed.send(subscriber, records, page.upto):
                    yield _Needs.TIME
                # Each page is a step, also one with nothing that it wants.
                yield _Needs.TIME
            else:
                yield _Needs.PAGE

    def _page_after(self, ring: Ring, subscriber: Subscriber) -> _Page | None:
        """Return a page in memory that has what follows its place; None if there is none."""
        place = subscriber.place
        fitting = [
            page
            for page in self._pages
            if page.restarts == ring.restarts and page.after <= place < page.upto
        ]
        if not fitting:
            return None
        reader = subscriber.subscription.reader
        return next((page for page in fitting if page.reader == reader), None)

    async def _read_page(self, work: _Work) -> bool:
        """Read the page that a subscriber needs; return whether there is one.

        Raises:
            BrokerAwayError: See Broker.
        """
        assert self._broker is not None  # noqa: S101 (only then a page is asked for)
        feed, subscriber = work.feed, work.subscriber
        ring = feed.ring
        restarts = ring.restarts
        # While it waited, its client may have left, or another subscriber's page may have come that
        # has the records.
        if not feed.can_send(subscriber) or self._page_after(ring, subscriber):
            return False
        after, reader = subscriber.place, subscriber.subscription.reader
        page = await self._broker.read(after, PAGE_MOST_EVENTS, PAGE_BYTES, reader)
        if work.is_stale or not feed.can_send(subscriber) or ring.restarts != restarts:
            return False
        if page.upto <= after:
            # The history ends before the subscriber's place: it is another one.
            feed.miss(subscriber, str(subscriber.place), max(page.floor, ring.floor))
            return False
        self._pages.append(_Page(after, page.records, page.upto, page.floor, reader, restarts))
        return True


def goes_on_from(place: Place, floor: Place, left: Sequence[Record]) -> Place:
    """Return from where a client goes on after a gap, so that it gets what is left.

    Args:
        place: Its place.
        floor: The place up to which others have left the history.
        left: What follows its place, oldest first; some may be before the floor.
    """
    if left and left[0].place <= floor:
        return max(place, left[0].place.just_before)
    return floor


def _give_back(subscriber: Subscriber) -> None:
    """Return a subscriber to its feed: its client is not ready, or it has caught up."""
    if subscriber.state is State.REPLAYED:
        subscriber.move(State.BEHIND)


def _break(subscriber: Subscriber, error: Exception) -> None:
    logger.error("a replay failed", exc_info=error, extra=dict(subscriber.stream.labels))
    subscriber.stream.end(EndReason.ERROR)
    _give_back(subscriber)
