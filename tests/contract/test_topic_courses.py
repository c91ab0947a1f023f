"""Random courses of updates, compared with naive rules, for both brokers.

The seed is TOPIC_SEED (16 if it is not set); TOPIC_EXAMPLES asks for more courses. Time passes in
courses of the broker in memory alone, whose clock a test can set: Valkey has its own clock.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from barestream.history.broker import (
    Broker,
    HistoryBounds,
    TooMuchKeptError,
    TopicEndedError,
)
from barestream.history.record import BEGIN, Known
from barestream.history.topic_state import Reader, Rewind
from barestream.history.update import Update
from random_courses import BOUNDS, SetClock
from topic_model import TopicModel
from topic_updates import (
    ALL_EVENTS,
    FOREVER,
    covering,
    floor_of,
    holding,
    public,
    update,
    wait_past,
)

Run = Callable[..., None]

EXAMPLES = int(os.environ.get("TOPIC_EXAMPLES", "50"))
SEED = int(os.environ.get("TOPIC_SEED", "16"))

TOPICS = "abcd"


class Publish(NamedTuple):
    updates: list[Update]


class Pass(NamedTuple):
    ms: int


class Trim(NamedTuple):
    pass


class Read(NamedTuple):
    """A page after one of the places that were ever given."""

    nth: int
    most_events: int
    reader: Reader | None


class GoBack(NamedTuple):
    """A rewind of all topics."""

    rewind: Rewind
    most_events: int


@st.composite
def updates(draw: st.DrawFn) -> Update:
    topics = draw(st.lists(st.sampled_from(TOPICS), min_size=1, max_size=2, unique=True))
    private = draw(st.booleans())
    data = draw(st.sampled_from(["1", "2", "longer"]))
    own_id = draw(st.sampled_from([None, None, "x", "y"]))
    if own_id:
        # So the updates with an id leave the history in their order: which one is the newest that
        # it has is said of no other case.
        own_id += f" of {topics} {private}"
    keep = draw(st.sampled_from([None, None, None, FOREVER, 3.5, 1.5, 0]))
    end = draw(st.sampled_from([None] * 15 + [2.5]))
    return update(data, *topics, own_id=own_id, private=private, keep=keep, end=end)


@st.composite
def readers(draw: st.DrawFn) -> Reader | None:
    topics = draw(st.none() | st.lists(st.sampled_from("abcdx"), min_size=1, max_size=3))
    covered = draw(st.frozensets(st.sampled_from(topics), max_size=2)) if topics else frozenset()
    has_rights = bool(covered) or draw(st.booleans())
    reader = Reader(topics and tuple(topics), covered, has_rights)
    return draw(st.sampled_from([reader, reader, reader, None]))


REWINDS = st.one_of(
    st.integers(0, 5).map(lambda events: Rewind(events=events)),
    st.sampled_from([0.5, 2.5, 3000]).map(lambda seconds: Rewind(seconds=seconds)),
    st.just(Rewind(kept=True)),
)

# Of each kind of step, how many of a hundred there are.
KINDS = {
    66: st.builds(Publish, st.lists(updates(), min_size=1, max_size=2)),
    10: st.builds(Read, st.integers(0, 1000), st.integers(0, 5), readers()),
    8: st.builds(GoBack, REWINDS, st.integers(1, 4)),
    11: st.builds(Pass, st.sampled_from([300, 1100, 2600])),
    5: st.just(Trim()),
}
STEPS = st.sampled_from(
    [number for number, (share, _) in enumerate(KINDS.items()) for _ in range(share)]
).flatmap([*KINDS.values()].__getitem__)

# Lists of a free size would mostly be short.
COURSES = st.integers(1, 60).flatmap(lambda size: st.lists(STEPS, min_size=size, max_size=size))


class Course:
    """One course: a broker beside the model.

    Args:
        broker: The broker, with an empty history.
        model: The model.
        clock: The broker's clock; None if it has its own.
    """

    def __init__(self, broker: Broker, model: TopicModel, clock: SetClock | None) -> None:
        self.broker = broker
        self.model = model
        self.clock = clock
        self.places = [BEGIN, model.floor(None)]

    @property
    def now_ms(self) -> float:
        return (self.clock or time.time)() * 1000

    async def take(self, step: Publish | Pass | Trim | Read | GoBack) -> None:
        match step:
            case Publish(given):
                await self.publish([self.lasting(each) for each in given])
            case Pass(ms):
                if self.clock:
                    self.clock.ms += ms
            case Trim():
                await self.broker.trim()
                self.model.trim_later(self.now_ms)
            case Read():
                await self.check_page(step)
            case GoBack():
                await self.check_rewound(step)
        await self.check_all()

    def lasting(self, given: Update) -> Update:
        """Return an update whose times do not pass within a course of a broker's own clock."""
        if self.clock:
            return given
        keep = given.keep_seconds and given.keep_seconds * 10_000
        end = given.end_seconds and given.end_seconds * 10_000
        return Update(given.topics, given.event, given.private, keep, end)

    async def publish(self, given: list[Update]) -> None:
        # Every update before is older than these.
        if self.clock:
            self.clock.ms += 2
        else:
            await wait_past(self.places[-1])
        now_ms = self.now_ms
        try:
            new = self.model.judge(given, now_ms)
        except (TopicEndedError, TooMuchKeptError) as refusal:
            topic = getattr(refusal, "topic", None)
            with pytest.raises(type(refusal)) as refused:
                await self.send(given)
            assert getattr(refused.value, "topic", None) == topic
            return
        answers = await self.send(given)
        records = (await self.broker.read(self.places[-1], ALL_EVENTS)).records
        assert len(records) == len(new)
        for record, (each, repeats) in zip(records, new, strict=True):
            assert record == each.at(record.place, repeats)
            self.model.add(record, each, now_ms)
            self.places.append(record.place)
        without_id = iter(record.place for record in records if not record.own_id)
        assert answers == [each.event.id or str(next(without_id)) for each in given]
        if new:
            self.model.trim(now_ms)

    async def send(self, given: list[Update]) -> list[str]:
        if len(given) == 1:
            return [await self.broker.publish(given[0])]
        return await self.broker.publish_all(given)

    async def check_all(self) -> None:
        page = await self.broker.read(BEGIN, ALL_EVENTS)
        log = [held.record for held in self.model.log]
        floor = self.model.floor(None)
        assert (page.floor, page.records) == (floor, log)
        page = await self.broker.newest(ALL_EVENTS, 10**9)
        assert (page.floor, page.records) == (floor, [each for each in log if each.place > floor])
        for topic in TOPICS + "x":
            for reader in (public(topic), covering(topic), holding(topic)):
                page = await self.broker.read(BEGIN, ALL_EVENTS, reader=reader)
                expected = (self.model.floor(reader), self.model.gets(reader))
                assert (page.floor, page.records) == expected
        for has_rights in (False, True):
            reader = Reader(None, has_rights=has_rights)
            assert await floor_of(self.broker, reader) == self.model.floor(reader)
        assert await self.broker.at(self.places) == log
        ends = {topic: end.known for topic, end in (await self.broker.ends()).items()}
        assert ends == {
            topic: Known(held.record.place, held.record.topics, held.record.private)
            for topic, (held, until_ms) in self.model.ends.items()
            if until_ms > self.now_ms
        }
        for own_id in {each.own_id for each in log if each.own_id}:
            assert (
                await self.broker.find(own_id)
                == [
                    Known(each.place, each.topics, each.private)
                    for each in log
                    if each.own_id == own_id
                ][:10]
            )

    async def check_page(self, asked: Read) -> None:
        after = self.places[asked.nth % len(self.places)]
        page = await self.broker.read(after, asked.most_events, reader=asked.reader)
        floor = max(after, self.model.floor(asked.reader))
        following = [each for each in self.model.gets(asked.reader) if each.place > after]
        expected = following[: asked.most_events]
        assert (page.floor, page.records, page.is_known) == (floor, expected, True)
        if len(expected) < asked.most_events:
            last = [held.place for held in self.model.log[-1:]]
            # It may also be the place of an update that has left.
            assert max(floor, *last, BEGIN) <= page.upto <= max(floor, self.places[-1])
        elif expected:
            assert page.upto >= expected[-1].place
            assert [each for each in following if each.place <= page.upto] == expected

    async def check_rewound(self, asked: GoBack) -> None:
        now_ms = self.now_ms
        self.model.expire(now_ms)
        topics = TOPICS + "x"
        for all_kept in (False, True):
            answer = await self.broker.rewound(
                topics[2:], asked.rewind, asked.most_events, all_kept=all_kept
            )
            assert answer.kept == {
                topic: held.record
                for topic, (held, _) in self.model.kept.items()
                if all_kept or topic in topics[2:]
            }
        answer = await self.broker.rewound(topics, asked.rewind, asked.most_events, all_kept=False)
        for topic in topics:
            newest = answer.newest[topic]
            of_kinds = [
                self.model.newest(topic, private, asked.rewind, asked.most_events, now_ms)
                for private in (False, True)
            ]
            assert [[*newest.public], [*newest.private]] == of_kinds
            floors = [
                self.model.floors.get((topic, private), self.model.unknown[private])
                for private in (False, True)
            ]
            assert [*newest.floors] == floors
        last = [held.place for held in self.model.log[-1:]]
        assert max(last, default=BEGIN) <= answer.upto <= max(self.places)


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(BOUNDS, COURSES)
def test_after_any_course_each_reader_gets_what_the_rules_say(
    run: Run, home: str, bounds: dict[str, int], steps: list[Publish | Pass | Trim | Read | GoBack]
) -> None:
    clock = SetClock() if home == "local" else None
    if clock is None:
        # Nothing gets too old in a course.
        bounds = bounds | {"seconds": 3600}

    async def scenario(broker: Broker) -> None:
        begin = (await broker.read(BEGIN, 0)).floor
        course = Course(broker, TopicModel(HistoryBounds(bytes=10**9, **bounds), begin), clock)
        for step in steps:
            await course.take(step)

    run(scenario, now=clock or time.time, size=10**9, **bounds)
