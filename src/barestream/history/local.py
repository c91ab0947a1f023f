"""The history in the memory of one process; it ends with that process."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from barestream.history.broker import (
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    HistoryBounds,
    Page,
    TooMuchKeptError,
    TopicEndedError,
)
from barestream.history.entry import Entry
from barestream.history.extent import Extent
from barestream.history.kept_values import KeptValues
from barestream.history.local_log import LocalLog, lanes_of
from barestream.history.local_pages import LocalPages
from barestream.history.local_producers import Added, LocalProducers
from barestream.history.local_registry import LocalRegistry
from barestream.history.local_revocations import LocalRevocations
from barestream.history.misfit import Misfit
from barestream.history.producers import (
    Accepted,
    Batch,
    Claim,
    Position,
    ProducerBounds,
    Run,
    Swept,
    interruption,
)
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.slices import in_slices
from barestream.history.subscriptions import RegistryBounds
from barestream.history.topic_ends import TopicEnds
from barestream.history.topic_state import End, Reader, Rewind, Rewound
from barestream.history.update import Update


class LocalBroker:
    """A history for one worker.

    Args:
        bounds: What it keeps.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        of_producers: The bounds of what it knows of producers and runs.
        of_registry: The bounds of the subscriptions.

    Attributes:
        registry: The subscriptions.
    """

    def __init__(
        self,
        bounds: HistoryBounds,
        now: Callable[[], float],
        of_producers: ProducerBounds | None = None,
        of_registry: RegistryBounds | None = None,
    ) -> None:
        self._now = now
        # Every later update has a later place.
        self._last = Place(int(self._now_ms), 0)
        self._log = LocalLog(bounds, self._last)
        self._kept = KeptValues(bounds.kept_values, bounds.kept_bytes)
        self._ends = TopicEnds(bounds.topics)
        self._producers = LocalProducers(of_producers or ProducerBounds())
        self._pages = LocalPages(self._log, self._kept)
        self.revocations = LocalRevocations(bounds.revocations)
        # Whoever changes the history has it, also while other work has its turn.
        self._changing = asyncio.Lock()
        self.registry = LocalRegistry(of_registry, now, self._publish_own, self._log)
        # Those who wait for an update.
        self._waiting: set[asyncio.Future[None]] = set()

    async def publish(self, update: Update) -> str:
        """Keep an update (see Broker)."""
        if self._needs_check(update):
            [answer] = await self.publish_all([update])
            return answer
        now_ms = self._now_ms
        place = _next_place(self._last, now_ms)
        entry = Entry(update.at(place), update.size_bytes, b"")
        self._take(update, entry, now_ms)
        self._tell()
        if self._log.is_crowded(entry.record, now_ms) or self._log.is_beyond(now_ms):
            async with self._changing:
                await in_slices(self._log.trimmed(lanes_of(update), now_ms))
        return str(place)

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Keep some updates or none (see Broker)."""
        async with self._changing:
            if self._kept or self._ends:
                await self._expire()
            now_ms = self._now_ms
            answers, new = self._check(updates, now_ms)
            await self._add(new, now_ms)
        return answers

    async def publish_batch(self, batch: Batch) -> Accepted:
        """Keep a producer's updates, or none of them (see Broker)."""
        async with self._changing:
            if self._kept or self._ends:
                await self._expire()
            now_ms = self._now_ms
            repeats = self._producers.repeats(batch, now_ms)
            updates = batch.updates[repeats:]
            try:
                answers, new = self._check(updates, now_ms)
            except (TopicEndedError, TooMuchKeptError) as error:
                error.at += repeats
                raise
            if updates:
                self._producers.check_running(batch, now_ms)
            added = Added(
                updates=len(new),
                last_id=answers[-1] if answers else None,
                ends=any(update.end_seconds is not None for update, _ in new),
                is_over=batch.topic in self._ends,
            )
            position = self._producers.accept(batch, added, now_ms)
            await self._add(new, now_ms)
        return Accepted(position, len(updates))

    async def position(self, topic: str, producer_id: str) -> Position | None:
        """Return how far a producer has come with a topic (see Broker)."""
        state = self._producers.positions.get(topic, producer_id)
        return None if state is None else state.position

    async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
        """End the topics whose producers did not come back in time (see Broker)."""
        positions = self._producers.positions
        topics = []
        async with self._changing:
            await self._expire()
            now_ms = self._now_ms
            await in_slices(positions.renew_future(now_ms))
            for state in positions.overdue(min(upto_ms, now_ms), steady_ms):
                assert state.lease is not None  # noqa: S101 (only those with leases are overdue)
                last = interruption(state.topic, state.lease)
                self._producers.interrupt(state, now_ms)
                if state.topic not in self._ends:
                    topics.append(state.topic)
                    await self._add(self._check([last], now_ms)[1], now_ms)
                    # After an outage there may be thousands, each of which takes 20 us.
                    await asyncio.sleep(0)
            self._producers.forget_old(now_ms)
        return Swept(int(now_ms), positions.leases, topics)

    async def claim(self, claim: Claim) -> tuple[Run, bool]:
        """Start a run, if its key has none that is running (see Broker)."""
        async with self._changing:
            return self._producers.claim(claim, self._now_ms)

    async def run(self, run_key: str) -> Run | None:
        """Return the newest run of a key (see Broker)."""
        return self._producers.run(run_key, self._now_ms)

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        return self._pages.newest(most_events, most_bytes)

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        """Return the updates that follow a place (see Broker)."""
        return self._pages.read(after, most_events, most_bytes, reader)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        if self._log.newest_place <= after:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiting.add(waiter)
            timer = loop.call_later(WAIT_SECONDS, self._wake, waiter)
            try:
                # One turn of the loop: a stream that is opened once a publish has its answer must
                # not get that update as a live one.
                await waiter
            finally:
                timer.cancel()
                self._waiting.discard(waiter)
        return await self.read(after, most_events, most_bytes)

    async def move_on(self, place: Place) -> None:
        """Give every later update a later place; this process is the only reader."""
        self._last = max(self._last, place)

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        return self._pages.find(event_id, after)

    async def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places (see Broker)."""
        return self._pages.at(places)

    async def ends(self) -> dict[str, End]:
        """Return the topics that have ended (see Broker)."""
        return self._ends.until(self._now_ms)

    async def rewound(
        self, topics: Sequence[str], rewind: Rewind, most_events: int, *, all_kept: bool
    ) -> Rewound:
        """Return the newest updates of topics, and kept values (see Broker)."""
        now_ms = self._now_ms
        return self._pages.rewound(topics, rewind, most_events, all_kept=all_kept, now_ms=now_ms)

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds (see Broker)."""
        async with self._changing:
            await self._expire()
            await in_slices(self._log.trimmed_later(self._now_ms))

    async def probe(self) -> None:
        """Do nothing: the memory accepts every update."""

    async def misfits(self) -> list[Misfit]:
        """Return nothing: the memory that the process may use is not known."""
        return []

    async def extent(self) -> Extent:
        """Return how much the history has (see Broker)."""
        return self._log.extent(self._now_ms)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    @property
    def _now_ms(self) -> float:
        """The time, in milliseconds since 1970-01-01 UTC."""
        return self._now() * 1000

    async def _publish_own(self, change: Callable[[], Sequence[Update]]) -> None:
        async with self._changing:
            await self._add(self._check(change(), self._now_ms)[1], self._now_ms)

    def _needs_check(self, update: Update) -> bool:
        """Return whether an update may be a retry or be refused, or whether it has to wait."""
        return bool(
            update.event.id
            or update.keep_seconds is not None
            or update.end_seconds is not None
            or self._kept
            or self._ends
            or self._changing.locked()
        )

    def _tell(self) -> None:
        """Tell those who wait that there is an update."""
        while self._waiting:
            self._wake(self._waiting.pop())

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def _check(
        self, updates: Sequence[Update], now_ms: float
    ) -> tuple[list[str], list[tuple[Update, Entry]]]:
        """Return the answers to updates, and those that are no retries, with their entries.

        Raises:
            TopicEndedError: See Broker.
            TooMuchKeptError: See Broker.
        """
        answers = []
        new: list[tuple[Update, Entry]] = []
        # What the updates before one of them change.
        digests: dict[str, bytes] = {}
        ended: set[str] = set()
        room = self._kept.room()
        last = self._last
        for at, update in enumerate(updates):
            own_id = update.event.id
            digest = before = b""
            if own_id:
                digest = update.digest
                newest = self._log.ids.newest(own_id)
                before = digests.get(own_id, newest.digest if newest else b"")
                if before == digest:
                    answers.append(own_id)
                    continue
                digests[own_id] = digest
            for topic in update.topics:
                if topic in ended or topic in self._ends:
                    raise TopicEndedError(topic, at)
            if update.end_seconds is not None:
                ended.add(update.topics[0])
            room.take(update, at)
            last = _next_place(last, now_ms)
            record = update.at(last, repeats=bool(before))
            new.append((update, Entry(record, update.size_bytes, digest)))
            answers.append(own_id or str(last))
        return answers, new

    def _take(self, update: Update, entry: Entry, now_ms: float) -> None:
        """Add an update, and do with its first topic what it says."""
        self._last = entry.record.place
        self._log.add(entry)
        if update.keep_seconds is not None:
            self._kept.take(update, entry.record, now_ms)
        if update.end_seconds is not None:
            self._ends.take(update, entry.record, now_ms)

    async def _add(self, new: Sequence[tuple[Update, Entry]], now_ms: float) -> None:
        """Add checked updates, and remove what is then beyond the bounds."""
        # Most updates push nothing out of their topics.
        crowded: list[tuple[str, bool]] = []
        for update, entry in new:
            self._take(update, entry, now_ms)
            if not self._log.is_crowded(entry.record, now_ms):
                continue
            # What leaves its topics depends on the order. More than the update pushes out are
            # there only if they were young before, and these have time: a list is taken whole.
            crowded += (lanes := lanes_of(update))
            for _ in islice(self._log.crowded_out(lanes, now_ms), len(update.topics)):
                pass
        if new:
            self._tell()
            if crowded or self._log.is_beyond(now_ms):
                await in_slices(self._log.trimmed(crowded, now_ms))
        while (topic := self._ends.next_beyond()) is not None:
            await in_slices(self._forgotten(topic))

    async def _expire(self) -> None:
        """Remove the kept values whose time is over, and what ended topics have."""
        await in_slices(self._kept.expired(self._now_ms))
        # At each publish: what they have would else push out updates of other topics.
        while (topic := self._ends.next_over(self._now_ms)) is not None:
            await in_slices(self._forgotten(topic))

    def _forgotten(self, topic: str) -> Iterator[int]:
        """Remove all that a topic has, in steps; it may be used anew after the last one."""
        yield from self._log.forgotten(topic)
        self._kept.remove(topic)
        self._ends.remove(topic)


def _next_place(last: Place, now_ms: float) -> Place:
    """Return the place of an update that follows this place."""
    ms = int(now_ms)
    # The millisecond is the same, or the clock was set back.
    return Place(last.ms, last.seq + 1) if ms <= last.ms else Place(ms, 0)
