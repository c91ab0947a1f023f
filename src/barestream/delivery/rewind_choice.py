"""Which updates a rewind has."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.record import BEGIN, Place, Record
from barestream.history.topic_state import Newest, Rewind, Rewound

# How many kept values a template, a pattern or * gets: two screens of a large board.
MOST_KEPT_MATCHED = 1000

# About how many places one answer of the history has; they take a few ms to read.
MOST_PLACES = 20_000

# How many updates one answer of the history has. Each may be as large as BARESTREAM_DATA_BYTES.
MOST_FETCHED = 32

# How many private updates of one topic are looked at, newest first, for those that a client may
# read whose token covers other topics of theirs.
MOST_SOUGHT = 500


class Choice(NamedTuple):
    """The updates of a rewind.

    Attributes:
        upto: The newest place of an update that was in the history at that moment, or before.
        places: Their places, oldest first.
        kept: Those that are kept values, by place.
        is_cut: Whether the client asked for more than it gets.
    """

    upto: Place
    places: Sequence[Place]
    kept: Mapping[Place, Record]
    is_cut: bool


async def choose(tail: Tail, wanted: Subscription, rewind: Rewind, most_events: int) -> Choice:
    """Return the updates that a rewind of these topics has, of those that the client may read.

    Args:
        tail: The tail of the feed.
        wanted: The topics, and what the client may read.
        rewind: How much of each topic.
        most_events: How many updates of each topic at most.

    Raises:
        BrokerAwayError: The history cannot be reached.
    """
    return await _Choosing(tail, wanted, rewind, most_events).run()


class _Choosing:
    def __init__(self, tail: Tail, wanted: Subscription, rewind: Rewind, most_events: int) -> None:
        self._tail = tail
        self._wanted = wanted
        self._rewind = rewind
        self._most_events = most_events
        # One more than the client gets, if it asked for more: so a truncation is noticed.
        self._asked_events = most_events + 1
        if rewind.events is not None:
            self._asked_events = min(self._asked_events, rewind.events)
        self._exact = tuple(wanted.topics.exact)
        self._covered: frozenset[str] = frozenset()
        self._upto = BEGIN
        self._places: dict[Place, None] = {}
        self._kept: dict[Place, Record] = {}
        self._is_cut = False

    async def run(self) -> Choice:
        slices = self._tail.slices
        self._covered = await slices.work(self._wanted.finding_covered(slices))
        all_kept = not self._wanted.topics.is_exact
        kept_of_all: Mapping[str, Record] = {}
        # Also without topics, because the answer says up to where the history goes.
        for number, topics in enumerate(self._parts(self._exact) or [()]):
            state = await self._ask(topics, all_kept=all_kept and number == 0)
            if number == 0:
                self._upto, kept_of_all = state.upto, state.kept
            for topic in topics:
                await self._add(topic, state.newest[topic], state.kept.get(topic))
        matched = await self._matched(kept_of_all) if all_kept else {}
        for topics in self._parts(tuple(matched)) if self._rewind.kept else ():
            state = await self._ask(topics, all_kept=False)
            for topic in topics:
                newest = state.newest[topic]
                if state.kept.get(topic) != matched[topic]:
                    # The topic has another value since its own was read.
                    newest = await self._more(topic, Rewind(events=MOST_SOUGHT))
                await self._add(topic, newest, matched[topic])
        return Choice(self._upto, sorted(self._places), self._kept, self._is_cut)

    def _parts(self, topics: Sequence[str]) -> list[Sequence[str]]:
        """Return topics in parts, so that an answer of the history has a bounded size."""
        size = max(1, MOST_PLACES // (2 * self._asked_events))
        return [topics[start : start + size] for start in range(0, len(topics), size)]

    async def _ask(self, topics: Sequence[str], *, all_kept: bool) -> Rewound:
        rewound, most = self._tail.broker.rewound, self._asked_events
        question = partial(rewound, topics, self._rewind, most, all_kept=all_kept)
        return await self._tail.ask(question)

    async def _more(self, topic: str, rewind: Rewind) -> Newest:
        """Return more of the newest updates of a topic than a client gets."""
        rewound = partial(self._tail.broker.rewound, all_kept=False)
        state = await self._tail.ask(partial(rewound, (topic,), rewind, MOST_SOUGHT))
        return state.newest[topic]

    async def _matched(self, kept: Mapping[str, Record]) -> dict[str, Record]:
        """Add the kept values of the topics that are not named; return them."""
        slices = self._tail.slices
        matched: dict[str, Record] = {}
        for topic, record in kept.items():
            wants = self._wanted.topics.matching_any((topic,), slices)
            if (
                topic not in self._exact
                and await slices.work(wants)
                and await self._may_read(record)
            ):
                if len(matched) == MOST_KEPT_MATCHED:
                    self._is_cut = True
                    break
                matched[topic] = record
                self._add_kept(record)
            await slices.step()
        return matched

    async def _add(self, topic: str, newest: Newest, kept: Record | None) -> None:
        """Add what a client gets of a topic."""
        upto = self._upto
        if kept is not None and (kept.place > upto or not await self._may_read(kept)):
            kept = None
        if kept is not None:
            self._add_kept(kept)
        elif self._rewind.kept:
            return
        if any(
            len(lane) == self._asked_events and lane[-1] > upto
            for lane in (newest.public, newest.private)
        ):
            # Updates that came after the answer on other topics have pushed others out.
            newest = await self._more(topic, Rewind(events=MOST_SOUGHT))
        after = BEGIN
        if kept is not None and self._rewind.kept:
            after = kept.place
            self._is_cut |= self._floor(topic, newest) > after
        places = sorted([*newest.public, *await self._readable(topic, newest.private)])
        places = [place for place in places if after < place <= upto]
        if self._rewind.events is not None:
            places = places[-self._rewind.events :]
        self._is_cut |= len(places) > self._most_events
        self._places.update(dict.fromkeys(places[-self._most_events :]))
        await self._tail.slices.step()

    def _floor(self, topic: str, newest: Newest) -> Place:
        """Return the newest place that has left the topic, of those that the client may know."""
        return max(newest.floors) if topic in self._covered else newest.floors[0]

    def _add_kept(self, record: Record) -> None:
        self._kept[record.place] = record
        self._places[record.place] = None

    async def _readable(self, topic: str, places: Sequence[Place]) -> Sequence[Place]:
        """Return the newest places of private updates of a topic that the client may read.

        Args:
            topic: The topic.
            places: The newest places of its private updates.
        """
        if topic in self._covered or self._wanted.readable.everything:
            return places
        if not self._wanted.has_rights:
            return ()
        readable = await self._filtered(places)
        if len(readable) < len(places) == self._asked_events:
            # Those that it may not read do not count, so older ones follow.
            rewind = self._rewind
            if rewind.events is not None:
                rewind = Rewind(events=MOST_SOUGHT)
            readable = await self._filtered((await self._more(topic, rewind)).private)
        return readable

    async def _filtered(self, places: Sequence[Place]) -> list[Place]:
        """Return the newest of some places whose updates the client may read."""
        # Another topic of the update may be one that the token covers.
        readable: list[Place] = []
        for end in range(len(places), 0, -MOST_FETCHED):
            at = partial(self._tail.broker.at, places[max(0, end - MOST_FETCHED) : end])
            records = await self._tail.ask(at)
            readable += [each.place for each in records if await self._may_read(each)]
            if len(readable) >= self._asked_events:
                break
        return readable

    async def _may_read(self, record: Record) -> bool:
        slices = self._tail.slices
        return await slices.work(self._wanted.may_read(record, slices))
