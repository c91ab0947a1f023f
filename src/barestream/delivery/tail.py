"""Reads the broker's newest updates into a worker's feed, without a gap."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from barestream.delivery.feed import Feed
from barestream.delivery.lost_end import LostEnd
from barestream.delivery.time_slices import Slices
from barestream.delivery.writer import MARK_BYTES
from barestream.history.broker import MOST_PAGE_BYTES, Broker, BrokerAwayError
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind

logger = logging.getLogger(__name__)

# The time until an unavailable broker is tried again: first soon, because it may just have been
# restarted, then less often.
FIRST_RETRY_SECONDS = 0.1
MOST_RETRY_SECONDS = 2.0

# How many updates one answer may hold, before other work gets its turn.
MOST_EVENTS = 100

# How much may wait for the streams, 16 writes of each, until the tail stops reading. So a worker
# that sends more slowly than publishers publish holds no more than this in memory, and its streams
# fall behind together.
MOST_PENDING_BYTES = 16 * MARK_BYTES

# From so much on, streamed publishes of this worker wait. So they stop before the tail does:
# otherwise it could lose what it has not read to the bounds of the history.
MOST_PUBLISHED_BYTES = MOST_PENDING_BYTES // 2

# Less than a broadcast of that size takes.
PENDING_POLL_SECONDS = 0.005

# A worker that reads takes a few ms. One that is far behind, or whose history is away, takes
# longer.
MOST_CATCH_UP_SECONDS = 1.0

# How often old updates are removed while there are no publishes.
TRIM_SECONDS = 60.0

# How many questions for single streams the history is asked at once. Each answer is decoded as a
# whole, which takes a few ms, and several may come in one turn of the loop.
MOST_QUESTIONS = 2

Answer = TypeVar("Answer")


class Tail:
    """Reads the broker's history once for all streams of a worker.

    Args:
        broker: The broker of the history.
        feed: The feed that gets its updates.
        fill_events: How many of the newest updates are read at the start.
        fill_bytes: How large they may be together.
        slices: The slices of the encoding; the feed's own budget.

    Attributes:
        filled: Whether the feed was filled at the start.
        words: Why the history cannot be followed (see BrokerAwayError).
    """

    def __init__(
        self, broker: Broker, feed: Feed, fill_events: int, fill_bytes: int, slices: Slices
    ) -> None:
        self.broker = broker
        self.feed = feed
        self._fill_events = fill_events
        self._fill_bytes = fill_bytes
        self.slices = slices
        self.filled = False
        self._questions = asyncio.Semaphore(MOST_QUESTIONS)
        self._following: bool | None = None
        self._why_away = ""
        # The place that the history has still to move on from.
        self._owed: Place | None = None
        self.words = "has not answered yet"

    @property
    def ready(self) -> bool:
        """Whether the feed was filled, and the broker answers."""
        return bool(self._following)

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the history's answer to a question for one stream, once it is its turn.

        Raises:
            BrokerAwayError: The history cannot be reached.
        """
        async with self._questions:
            await self.slices.step()
            return await question()

    async def catch_up(self) -> None:
        """Wait until the streams are sent all that the history has, for an answer that ends.

        So a client that publishes and then reads finds its update. The wait is short and bounded.

        Raises:
            BrokerAwayError: The history cannot be reached.
        """
        question = partial(self.broker.rewound, (), Rewind(events=1), 1, all_kept=False)
        newest = (await self.ask(question)).upto
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_CATCH_UP_SECONDS):
                while self.feed.target < newest:
                    await asyncio.sleep(PENDING_POLL_SECONDS)

    async def pace(self) -> bool:
        """Wait a moment if the streams have not been sent most of what this worker has read.

        A publisher that asks after each batch until they have does not outrun the streams of its
        worker.

        Returns:
            Whether they had not.
        """
        is_behind = self.feed.pending_bytes > MOST_PUBLISHED_BYTES
        if is_behind:
            await asyncio.sleep(PENDING_POLL_SECONDS)
        return is_behind

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Follow the broker's history until cancelled, also after failures of the broker."""
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                await (self._read_on() if self.filled else self._fill())
                self._note(following=True)
                retry_seconds = FIRST_RETRY_SECONDS
            except BrokerAwayError as error:
                self._note(following=False, why=str(error))
                self.feed.metrics.history_failed.labels(error.cause).set_to_current_time()
                self.words = error.words
                await sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, MOST_RETRY_SECONDS)

    async def trim(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Have the broker remove old updates, again and again until cancelled."""
        while True:
            await sleep(TRIM_SECONDS)
            if self._following:
                try:
                    await self.broker.trim()
                    oldest = await self.broker.read(BEGIN, 1)
                    places = [record.place for record in oldest.records]
                    self.feed.ring.drop(places[0].just_before if places else oldest.floor)
                    await self._refresh_ends()
                except BrokerAwayError as error:
                    logger.warning("trimming the history failed", extra={"why": str(error)})

    async def _refresh_ends(self) -> None:
        since = self.feed.ring.last
        self.feed.ends.refresh(await self.broker.ends(), since)

    async def _fill(self) -> None:
        page = await self.broker.newest(self._fill_events, self._fill_bytes)
        await self.slices.work(self.feed.fill(page.floor, page.records))
        await self._refresh_ends()
        self.filled = True

    async def _read_on(self) -> None:
        ring, lag = self.feed.ring, self.feed.lag
        if self._owed is not None:
            await self._move_on(self._owed)
        lag.ask()
        # After a failure it reads at once and does not wait for an update after its place: a
        # history that was replaced may never get one.
        read = self.broker.wait if self._following else self.broker.read
        page = await read(ring.last, MOST_EVENTS)
        if not page.is_known or (not self._following and await self._has_another_event()):
            await self._follow_another_log()
            return
        if page.floor > ring.last:
            # Those before the floor are not read here.
            await self._refresh_ends()
            await self.slices.work(self.feed.restart(page.floor))
        size_bytes = 0
        # Such a page is the end of the history: the next read waits, so other work has its turn.
        is_one_small = len(page.records) == 1 and len(page.records[0].body) < MOST_PAGE_BYTES // 2
        for record in page.records:
            # Streams are sent those before a new floor by the replay.
            if record.place > ring.last:
                self.feed.append(record)
                if not record.topics:
                    # It reports lost updates (see gap.lost).
                    self.feed.metrics.history_lost.inc()
            size_bytes += len(record.body)
            if not is_one_small:
                await self.slices.step(live=True)
        if len(page.records) < MOST_EVENTS and size_bytes < MOST_PAGE_BYTES // 2:
            # The page is below its bounds, so this was the end of the history.
            lag.read_to_end()
        while self.feed.pending_bytes > MOST_PENDING_BYTES:
            await asyncio.sleep(PENDING_POLL_SECONDS)

    async def _has_another_event(self) -> bool:
        """Return whether the history has another event at this worker's last place.

        A primary that was cut off goes on, and may give a place that the later one gives, too.
        """
        last = self.feed.ring.at(self.feed.ring.last)
        found = await self.broker.at([last.place]) if last is not None else []
        return bool(found) and found[0] != last

    async def _follow_another_log(self) -> None:
        """Continue with a history that does not know this worker's last event.

        The history was lost and Valkey's clock is behind, or an older copy replaced it. Streams
        may have been sent updates that it does not have.
        """
        before = self.feed.ring
        await self._move_on(before.last)
        page = await self.broker.newest(self._fill_events, self._fill_bytes)
        shared: Place | None = None
        for record in page.records:
            if before.at(record.place) == record:
                shared = record.place
            await self.slices.step()
        if shared is None:
            # Of a history that shares no event, a client that comes back is owed all.
            self.feed.lost.forget()
        else:
            self.feed.lost.add(LostEnd.of(before, shared))
        common = shared or page.floor
        logger.error(
            "the history was lost or replaced by an older copy: later updates are gone",
            extra={"place": str(before.last), "common": str(common)},
        )
        self.feed.metrics.history_lost.inc()
        # Before a stream goes on in the other history, which may not have the ends of this one.
        self.feed.ends.replace(await self.broker.ends())
        await self.slices.work(self.feed.leap(page.floor, page.records, common))

    async def _move_on(self, place: Place) -> None:
        """Have the history move on; later, if it accepts no updates at the moment.

        So streams are sent their gap at once also if a replica has become the primary, and has no
        replica of its own yet.
        """
        self._owed = place
        try:
            await self.broker.move_on(place)
        except BrokerAwayError as error:
            if not error.is_refusal:
                raise
        else:
            self._owed = None

    def _note(self, *, following: bool, why: str = "") -> None:
        if following is self._following and why == self._why_away:
            return
        if following is not self._following:
            self.feed.metrics.history_changed.set_to_current_time()
        self._following = following
        self._why_away = why
        self.feed.metrics.history_up.set(following)
        if following:
            logger.info("broker answers", extra={"events": len(self.feed.ring)})
        else:
            logger.warning("broker unavailable", extra={"why": why})
