"""Random courses of producers, leases and runs, judged by a plain model, for both brokers.

Producers publish batches, repeat them, leave gaps, start again, and are cut off while they publish;
runs are claimed, end, and are interrupted. The seed is PRODUCER_SEED (17 if it is not set);
PRODUCER_EXAMPLES asks for another number of courses. Time passes in courses of the broker in memory
alone, whose clock a test can set.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from barestream.history.broker import Broker, TopicEndedError
from barestream.history.producers import (
    Batch,
    Claim,
    Lease,
    NewEpochError,
    Producer,
    ProducerBounds,
    Run,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
    TooManyRunsError,
    UnknownRunError,
)
from barestream.history.record import BEGIN, Record
from barestream.history.update import Update
from barestream.mercure.sse import Event
from batches import FAR_MS, HOUR_SECONDS
from producer_model import Model
from random_courses import THEN_MS, SetClock

SEED = int(os.environ.get("PRODUCER_SEED", "17"))
EXAMPLES = {
    "local": int(os.environ.get("PRODUCER_EXAMPLES", "1000")),
    "valkey": int(os.environ.get("PRODUCER_EXAMPLES", "200")),
}

# Over at each sweep, and at none.
SHORT_SECONDS, LONG_SECONDS = 0.001, HOUR_SECONDS
REFUSALS = (
    *(TopicEndedError, StaleEpochError, NewEpochError, SequenceGapError),
    *(UnknownRunError, TooManyProducersError),
)
TOPICS = ("a", "b")
KEYS = ("k", "l")

SHAPES = st.lists(
    st.sampled_from(["plain", "plain", "plain", "private", "typed", "both", "id", "end"]),
    max_size=5,
)
LEASES = st.sampled_from([None, SHORT_SECONDS, LONG_SECONDS])


@dataclass(frozen=True)
class Publish:
    """A publish of a producer.

    Attributes:
        who: The producer's id, or the number of a run, counted back from the newest.
        topic: The topic; that of the run if it is one.
        epoch: The epoch; for a run, how far it is from its fence.
        offset: How far its first number is from the one that is expected.
        shapes: The forms of its updates.
        lease_seconds: Its lease.
        status: See Batch.
        turns: After how many turns of the loop the publisher is cut off; None if it waits.
    """

    who: str | int
    topic: str
    epoch: int
    offset: int
    shapes: list[str]
    lease_seconds: float | None
    status: str | None
    turns: int | None


@dataclass(frozen=True)
class Other:
    """A publish without a producer, of an update of this form."""

    topic: str
    shape: str


@dataclass(frozen=True)
class Start:
    """A claim for a run.

    Attributes:
        key: The key.
        lease_seconds: How long its lease is.
        again: Which of the claims before is sent again in its place, counted from the last one.
    """

    key: str
    lease_seconds: float
    again: int | None


@dataclass(frozen=True)
class Sweep:
    """A search for overdue leases; see Broker.end_overdue."""

    upto_ms: int
    steady_ms: int


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    seconds: float


OFFSETS = st.sampled_from([0, 0, 0, 0, 0, -1, -2, -5, 1])
CUTS = st.sampled_from([None, None, None, 0, 1, 2, 3, 5, 8])
STEP = st.one_of(
    st.builds(
        Publish,
        st.sampled_from(["p", "q"]),
        st.sampled_from(TOPICS),
        st.sampled_from([0, 0, 0, 1, 2]),
        OFFSETS,
        SHAPES,
        LEASES,
        st.none(),
        CUTS,
    ),
    st.builds(
        Publish,
        st.sampled_from([0, 0, 0, 1, 2]),
        st.just(""),
        st.sampled_from([0, 0, 0, 0, -1, 1]),
        OFFSETS,
        SHAPES,
        LEASES,
        st.sampled_from([None, "failed", "stopped"]),
        CUTS,
    ),
    st.builds(
        Start,
        st.sampled_from(KEYS),
        st.sampled_from([SHORT_SECONDS, LONG_SECONDS]),
        st.sampled_from([None, None, 0, 1]),
    ),
    st.builds(Other, st.sampled_from(TOPICS), st.sampled_from(["plain", "end"])),
    st.builds(Sweep, st.sampled_from([FAR_MS, FAR_MS, 0]), st.sampled_from([FAR_MS, FAR_MS, 0])),
    st.builds(Pass, st.sampled_from([1, HOUR_SECONDS, 2 * HOUR_SECONDS])),
)
COURSES = st.tuples(
    st.sampled_from([ProducerBounds(3, 5000, 1), ProducerBounds(100, 5000, 1), ProducerBounds()]),
    st.lists(STEP, min_size=8, max_size=30),
)


class Course:
    """A course of steps on a broker and on the model.

    Args:
        broker: The broker.
        bounds: The bounds of producers and runs.
        clock: The clock of a broker in memory.
    """

    def __init__(self, broker: Broker, bounds: ProducerBounds, clock: SetClock | None) -> None:
        self.broker = broker
        self.clock = clock
        self.model = Model(bounds, THEN_MS)
        self.records: list[Record] = []
        self.claims: list[Claim] = []
        self.runs: list[Run] = []
        self.serial = 0

    async def run(self, steps: list[object]) -> None:
        """Take the steps, and compare what there is after each of them."""
        for step in steps:
            match step:
                case Publish():
                    await self._publish(step)
                case Other(topic, shape):
                    await self._both([self._update(topic, shape)])
                case Start():
                    await self._start(step)
                case Sweep():
                    await self._sweep(step)
                case Pass(seconds) if self.clock:
                    self.clock.ms += int(1000 * seconds)
                    self.model.now_ms = self.clock.ms
            await self._compare()

    async def _both(self, updates: list[Update]) -> None:
        expected, _ = _outcome(lambda: self.model.publish(updates))
        words, _ = await _answer(self.broker.publish_all(updates))
        assert words == expected

    async def _publish(self, step: Publish) -> None:
        run = None
        if isinstance(step.who, int):
            if not self.runs:
                return
            run = self.runs[-1 - step.who % len(self.runs)]
        topic, name = (run.topic, run.id) if run else (step.topic, str(step.who))
        epoch = step.epoch + (run.fence if run else 0)
        known = self.model.producers.get((topic, name))
        following = known.next if known and known.epoch == epoch else 0
        updates = [self._update(topic, shape) for shape in step.shapes]
        first = max(0, following + step.offset)
        # What comes again is the same as before.
        lease = self._lease(topic, step.lease_seconds)
        producer = Producer(name, epoch)
        batch = Batch(topic, producer, first, updates, lease, run is not None, step.status)  # type: ignore[arg-type]
        if step.turns is None:
            await self._publish_batch(batch)
        else:
            await self._cut(batch, step.turns)

    async def _publish_batch(self, batch: Batch) -> None:
        expected, new = _outcome(lambda: self.model.publish_batch(batch))
        words, answer = await _answer(self.broker.publish_batch(batch))
        assert words == expected
        if words is None:
            await self._read_on()
            assert answer == (self._position(batch.topic, batch.producer.id), new)

    async def _cut(self, batch: Batch, turns: int) -> None:
        """Cut a publisher off, who then asks how far it has come."""
        task = asyncio.create_task(self.broker.publish_batch(batch))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        answered = False
        with suppress(asyncio.CancelledError, *REFUSALS):
            await task
            answered = True
        # What was sent is answered before this, which changes nothing.
        with pytest.raises(SequenceGapError):
            await self.broker.publish_batch(Batch("x", Producer("x", 0), 1, []))
        before = len(self.records)
        await self._read_on()
        position = await self.broker.position(batch.topic, batch.producer.id)
        is_unchanged = position == self._position(batch.topic, batch.producer.id)
        if len(self.records) == before and is_unchanged and not answered:
            # Whether the lease was renewed is all that is not known; renew it on both.
            known = self.model.producers.get((batch.topic, batch.producer.id))
            if known is not None and known.epoch == batch.producer.epoch:
                await self._publish_batch(batch._replace(first=known.next, updates=[]))
            return
        # It was accepted, as a whole.
        self.model.publish_batch(batch)

    async def _start(self, step: Start) -> None:
        claim = self._claim(step)
        try:
            run, is_new = await self.broker.claim(claim)
        except (TooManyProducersError, TooManyRunsError) as error:
            with pytest.raises(type(error)):
                self.model.claim(claim, 0)
            return
        last_fence = max((run.fence for run in self.runs), default=0)
        assert self.model.claim(claim, run.fence) == is_new
        if is_new:
            assert run.fence > last_fence
            self.runs.append(run)

    def _claim(self, step: Start) -> Claim:
        if step.again is not None and step.again < len(self.claims):
            return self.claims[-1 - step.again]
        self.serial += 1
        name = f"run{self.serial}"
        lease = self._lease(name, step.lease_seconds)
        assert lease is not None
        # The times of no two runs are over in the same order as in another.
        claim = Claim(step.key, name, name, "host", lease, HOUR_SECONDS + self.serial)
        self.claims.append(claim)
        return claim

    async def _sweep(self, step: Sweep) -> None:
        """Let short leases be over, and sweep."""
        if self.clock:
            self.clock.ms += 2
        else:
            await asyncio.sleep(0.0025)
        self.model.now_ms += 2
        before = len(self.model.log)
        # The end of each lease is later than 0.
        steady_ms = min(step.steady_ms, step.upto_ms)
        topics = self.model.sweep(steady_ms)
        found = await self.broker.end_overdue(step.upto_ms, step.steady_ms)
        assert {*found.topics} == topics
        assert len(found.topics) == len(topics)
        leases = [known for known in self.model.producers.values() if known.lease]
        assert found.leases == len(leases)
        # Leases that were over at the same time end in any order.
        ends = {update.topics[0]: update for update in self.model.log[before:]}
        self.model.log[before:] = [ends[topic] for topic in found.topics]

    async def _compare(self) -> None:
        await self._read_on()
        for topic, name in self.model.producers:
            expected = self._position(topic, name)
            assert await self.broker.position(topic, name) == expected
        for topic in TOPICS:
            for name in ("p", "q"):
                if (topic, name) not in self.model.producers:
                    assert await self.broker.position(topic, name) is None
        for key in KEYS:
            run, expected_run = await self.broker.run(key), self.model.run(key)
            if expected_run is None:
                assert run is None
            else:
                assert run is not None
                assert (run.id, run.status) == (expected_run.claim.id, expected_run.status)
        assert {*await self.broker.ends()} == {
            topic for topic, until_ms in self.model.ends.items() if until_ms > self.model.now_ms
        }

    async def _read_on(self) -> None:
        after = self.records[-1].place if self.records else BEGIN
        self.records += (await self.broker.read(after, 1000)).records

    def _position(self, topic: str, name: str) -> object:
        ids = [record.own_id or str(record.place) for record in self.records]
        return self.model.position(topic, name, ids)

    def _update(self, topic: str, shape: str) -> Update:
        self.serial += 1
        update = Update((topic,), Event(f"{self.serial}"), private=shape in {"private", "both"})
        if shape in {"typed", "both"}:
            return replace(update, event=Event(update.event.data, None, "kind"))
        if shape == "id":
            return replace(update, event=Event(update.event.data, f"id{self.serial}"))
        return replace(update, end_seconds=HOUR_SECONDS) if shape == "end" else update

    def _lease(self, topic: str, seconds: float | None) -> Lease | None:
        if seconds is None:
            return None
        # Where the producer with the least recent use has to go, none is interrupted, because
        # the order of those that are interrupted together is open.
        is_narrow = self.model.bounds.positions == 3
        return Lease(LONG_SECONDS if is_narrow else seconds, topic == "b", HOUR_SECONDS)

    async def judge(self) -> None:
        """Compare all updates, those of each producer in their order and once."""
        await self.broker.trim()
        self.model.forget_topics()
        left = [update for at, update in enumerate(self.model.log) if at not in self.model.gone]
        records = (await self.broker.read(BEGIN, 1000)).records
        assert records == [
            update.at(record.place) for update, record in zip(left, records, strict=True)
        ]
        assert len(self.records) == len(self.model.log)


def _words(error: Exception) -> str:
    return f"{type(error).__name__} {error.args} {vars(error)}"


def _outcome(act: Callable[[], object]) -> tuple[str | None, object]:
    """Return the words of a refusal, or None, and the answer."""
    try:
        return None, act()
    except REFUSALS as error:
        return _words(error), None


async def _answer(question: Awaitable[object]) -> tuple[str | None, object]:
    """Return the same of what is awaited."""
    try:
        return None, await question
    except REFUSALS as error:
        return _words(error), None


def _test(home: str) -> Callable[..., None]:
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES[home],
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(COURSES)
    def judged(run: Callable[..., None], course: tuple[ProducerBounds, list[object]]) -> None:
        bounds, steps = course
        clock = SetClock() if home == "local" else None

        async def scenario(broker: Broker) -> None:
            taken = Course(broker, bounds, clock)
            await taken.run(steps)
            await taken.judge()

        run(scenario, now=clock or time.time, seconds=10**6, of_producers=bounds)

    return judged


def test_after_any_course_each_update_is_kept_once_and_what_is_overdue_has_ended(
    run: Callable[..., None], home: str
) -> None:
    _test(home)(run)
