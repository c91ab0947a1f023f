"""The history in the memory of one process; it ends with that process."""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile

from barestream.history.broker import (
    MOST_FOUND,
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    HistoryBounds,
    Misfit,
    Page,
    TopicEndedError,
)
from barestream.history.entry import Entry
from barestream.history.kept_values import KeptValues
from barestream.history.lane_index import Lane
from barestream.history.local_log import LocalLog
from barestream.history.producers import Batch, Claim, Position, Run, Swept
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.topic_ends import TopicEnds
from barestream.history.topic_state import End, Newest, Reader, Rewind, Rewound
from barestream.history.update import Update

# How many steps of a removal (an update, or a lane that it leaves) go without a turn for other
# work: they take about 1 ms.
SLICE_STEPS = 500


class LocalBroker:
    """A history for one worker.

    Args:
        bounds: What it keeps.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, bounds: HistoryBounds, now: Callable[[], float]) -> None:
        self._now = now
        # Every later update has a later place.
        self._last = Place(int(self._now_ms), 0)
        self._log = LocalLog(bounds, self._last)
        self._kept = KeptValues(bounds.kept_values, bounds.kept_bytes)
        self._ends = TopicEnds(bounds.topics)
        # Whoever changes the history has it, also while other work has its turn.
        self._changing = asyncio.Lock()
        self._news = asyncio.Event()

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
                await _in_slices(self._log.trimmed(_lanes(update), now_ms))
        return str(place)

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Keep some updates or none (see Broker)."""
        async with self._changing:
            if self._kept or self._ends:
                await self._expire()
            now_ms = self._now_ms
            answers, new = self._check(updates, now_ms)
            # Most updates push nothing out of their topics.
            crowded: list[tuple[str, bool]] = []
            for update, entry in new:
                self._take(update, entry, now_ms)
                if not self._log.is_crowded(entry.record, now_ms):
                    continue
                # What leaves its topics depends on the order. More than the update pushes out are
                # there only if they were young before, and these have time: a list is taken whole.
                crowded += (lanes := _lanes(update))
                for _ in islice(self._log.crowded_out(lanes, now_ms), len(update.topics)):
                    pass
            if new:
                self._tell()
                if crowded or self._log.is_beyond(now_ms):
                    await _in_slices(self._log.trimmed(crowded, now_ms))
            while (topic := self._ends.next_beyond()) is not None:
                await _in_slices(self._forgotten(topic))
        return answers

    async def publish_batch(self, batch: Batch) -> Position:
        """Keep a producer's updates, or none of them (see Broker)."""
        raise NotImplementedError

    async def position(self, topic: str, producer_id: str) -> Position | None:
        """Return how far a producer has come with a topic (see Broker)."""
        raise NotImplementedError

    async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
        """End the topics whose producers did not come back in time (see Broker)."""
        raise NotImplementedError

    async def claim(self, claim: Claim) -> tuple[Run, bool]:
        """Start a run unless its key has one that is running (see Broker)."""
        raise NotImplementedError

    async def run(self, run_key: str) -> Run | None:
        """Return the newest run of a key (see Broker)."""
        raise NotImplementedError

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        floor = self._log.index.gone
        records: list[Record] = []
        total_bytes = 0
        for place in reversed(self._log):
            entry = self._log[place]
            total_bytes += entry.size_bytes
            if len(records) == most_events or (records and total_bytes > most_bytes):
                floor = max(floor, place)
                break
            records.append(entry.record)
        left = [record for record in reversed(records) if record.place > floor]
        return Page(floor, left, upto=max(floor, self._log.newest_place))

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        """Return the updates that follow a place (see Broker)."""
        floor = max(after, self._log.index.floor(reader))
        upto = max(floor, self._log.newest_place) if most_events else floor
        if reader is None or reader.topics is None:
            following = self._log.after(after)
        else:
            following = self._log.index.after(after, reader)
        records: list[Record] = []
        page_bytes = 0
        for place in islice(following, most_events):
            entry = self._log[place]
            records.append(entry.record)
            page_bytes += entry.size_bytes
            if page_bytes >= most_bytes or len(records) == most_events:
                upto = place
                break
        is_known = after <= self._log.index.gone or after in self._log
        return Page(floor, records, is_known, upto)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        if self._log.newest_place <= after:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
        return await self.read(after, most_events, most_bytes)

    async def move_on(self, place: Place) -> None:
        """Give every later update a later place; this process is the only reader."""
        self._last = max(self._last, place)

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        following = (record for record in self._log.ids.records(event_id) if record.place > after)
        return [
            Known(record.place, record.topics, record.private)
            for record in islice(following, MOST_FOUND)
        ]

    async def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places (see Broker)."""
        return [self._log[place].record for place in sorted({*places}) if place in self._log]

    async def ends(self) -> dict[str, End]:
        """Return the topics that have ended (see Broker)."""
        return self._ends.until(self._now_ms)

    async def rewound(
        self, topics: Sequence[str], rewind: Rewind, most_events: int, *, all_kept: bool
    ) -> Rewound:
        """Return the newest updates of topics, and kept values (see Broker)."""
        now_ms = self._now_ms
        kept = {topic: record for topic in topics if (record := self._kept.get(topic, now_ms))}
        newest = {}
        for topic in topics:
            since, wanted = BEGIN, most_events
            if rewind.seconds is not None:
                since = Place(math.ceil(now_ms - 1000 * rewind.seconds), 0)
            elif rewind.events is not None:
                wanted = min(most_events, rewind.events)
            elif topic in kept:
                since = Place(kept[topic].place.ms, kept[topic].place.seq + 1)
            else:
                wanted = 0
            index = self._log.index
            public, private = (
                _newest_of(index.lane(topic, private=private), since, wanted)
                for private in (False, True)
            )
            floors = (
                index.floor_of(topic, private=False),
                index.floor_of(topic, private=True),
            )
            newest[topic] = Newest(public, private, floors)
        kept = self._kept.all(now_ms) if all_kept else kept
        return Rewound(self._log.newest_place, newest, kept)

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds (see Broker)."""
        async with self._changing:
            await self._expire()
            await _in_slices(self._log.trimmed_later(self._now_ms))

    async def probe(self) -> None:
        """Do nothing: the memory accepts every update."""

    async def misfits(self) -> list[Misfit]:
        """Return nothing: the memory that the process may use is not known."""
        return []

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    @property
    def _now_ms(self) -> float:
        """The time, in milliseconds since 1970-01-01 UTC."""
        return self._now() * 1000

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
        self._news.set()
        self._news = asyncio.Event()

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
        for update in updates:
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
                    raise TopicEndedError(topic)
            if update.end_seconds is not None:
                ended.add(update.topics[0])
            room.take(update)
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

    async def _expire(self) -> None:
        """Remove the kept values whose time is over, and what ended topics have."""
        await _in_slices(self._kept.expired(self._now_ms))
        # At each publish: what they have would else push out updates of other topics.
        while (topic := self._ends.next_over(self._now_ms)) is not None:
            await _in_slices(self._forgotten(topic))

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


def _lanes(update: Update) -> list[tuple[str, bool]]:
    """Return the topics of an update, each with whether it is private."""
    return [(topic, update.private) for topic in update.topics]


async def _in_slices(steps: Iterable[int]) -> None:
    """Do work that yields its steps, and give other work its turn between slices."""
    left = SLICE_STEPS
    for done in steps:
        left -= done
        if left <= 0:
            await asyncio.sleep(0)
            left = SLICE_STEPS


def _newest_of(lane: Lane | None, since: Place, most: int) -> list[Place]:
    """Return the newest places of a lane from a place on, oldest first."""
    following = takewhile(lambda place: place >= since, reversed(lane or ()))
    return list(islice(following, most))[::-1]
