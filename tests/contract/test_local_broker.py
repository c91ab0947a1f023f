"""The promises of the broker in memory, beyond those of every broker."""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from barestream.history.broker import HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.local_log import WEIGHTS
from barestream.history.record import Place
from barestream.history.slices import SLICE_STEPS
from barestream.history.topic_state import Rewind
from barestream.history.update import Update
from barestream.mercure.sse import Event
from batches import FAR_MS, batch, leased
from topic_updates import floor_of, log_of, public, texts
from topic_updates import update as of_topics

# 2026-11-22T16:40:00Z
THEN = 1795365600


class SetClock:
    def __init__(self) -> None:
        self.seconds = float(THEN)

    def __call__(self) -> float:
        return self.seconds


def run(
    scenario: Callable[[LocalBroker, SetClock], Awaitable[None]], bounds: HistoryBounds
) -> None:
    clock = SetClock()
    asyncio.run(scenario(LocalBroker(bounds, clock), clock))


def update(data: str = "data", event_id: str | None = None) -> Update:
    return Update(("topic",), Event(data, event_id))


FAR_BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=1_000_000)


def test_places_follow_the_clock_and_count_within_a_millisecond() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        assert (await broker.newest(1, 1)).floor == Place(THEN * 1000, 0)
        assert await broker.publish(update()) == f"#{THEN}000-1"
        assert await broker.publish(update()) == f"#{THEN}000-2"
        clock.seconds += 0.001
        assert await broker.publish(update()) == f"#{THEN}001-0"

    run(scenario, FAR_BOUNDS)


def test_a_clock_that_is_set_back_does_not_set_places_back() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        clock.seconds -= 100
        assert await broker.publish(update()) == f"#{THEN}000-1"
        clock.seconds += 101
        assert await broker.publish(update()) == f"#{THEN + 1}000-0"

    run(scenario, FAR_BOUNDS)


def test_an_update_is_removed_when_it_is_older_than_the_bound_and_no_earlier() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        await broker.publish(update(event_id="id"))
        clock.seconds += 10
        await broker.trim()
        assert await broker.find("id")
        clock.seconds += 0.001
        await broker.trim()
        assert await broker.find("id") == []

    run(scenario, HistoryBounds(events=10, seconds=10, bytes=1000))


def test_any_number_of_updates_takes_only_the_memory_of_the_history() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        async def publish(first: int, end: int) -> int:
            for n in range(first, end):
                clock.seconds += 0.001
                await broker.publish(update(f"{n:08}", f"{n:08}"))
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            full_bytes = await publish(0, 2000)
            later_bytes = await publish(2000, 20_000)
        finally:
            tracemalloc.stop()
        assert later_bytes < 1.1 * full_bytes
        assert len((await broker.newest(100_000, 100_000_000)).records) == 1000

    run(scenario, HistoryBounds(events=1000, seconds=3600, bytes=10_000_000))


@pytest.mark.parametrize("topics", [1, 3])
def test_an_index_of_many_topics_takes_no_more_memory_than_it_counts(topics: int) -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        def given(n: int) -> Update:
            names = (f"https://example.com/books/{n}/{topic}" for topic in range(topics))
            return Update(tuple(names), Event(f"{n:08}"))

        gc.collect()
        tracemalloc.start()
        try:
            for n in range(updates):
                await broker.publish(given(n))
            full_bytes = tracemalloc.get_traced_memory()[0]
            clock.seconds += 11
            await broker.trim()
            emptied_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert await log_of(broker) == []
        lanes = topics * updates
        size_bytes = sum(given(n).size_bytes for n in range(updates))
        counted_bytes = WEIGHTS.total(size_bytes, updates, 0, lanes, lanes)
        assert 0.7 * counted_bytes < full_bytes <= counted_bytes
        # The table of the updates stays as large as it was until it is filled again.
        assert emptied_bytes <= WEIGHTS.total(0, 0, 0, lanes, 0) + 110 * updates

    updates = 20_000 // topics
    run(scenario, HistoryBounds(events=10**6, seconds=10, bytes=10**9))


def test_a_removal_of_many_updates_gives_other_work_its_turn() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        for n in range(20 * SLICE_STEPS):
            await broker.publish(of_topics(f"{n}", "a", "b"))
        clock.seconds += 11
        publishing = asyncio.create_task(broker.publish(of_topics("last", "b")))
        turns = 0
        while not publishing.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50
        assert await log_of(broker) == ["last"]

    run(scenario, HistoryBounds(events=10**6, seconds=10, bytes=10**9))


@pytest.mark.parametrize("ahead_seconds", [-100, 100])
def test_a_sweep_of_many_leases_gives_other_work_its_turn(ahead_seconds: float) -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        for n in range(5000):
            await broker.publish_batch(batch(0, topic=f"t{n}", lease=leased()))
        clock.seconds += ahead_seconds
        sweeping = asyncio.create_task(broker.end_overdue(FAR_MS, FAR_MS))
        turns = 0
        while not sweeping.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 5000 / SLICE_STEPS
        assert (await sweeping).leases == (5000 if ahead_seconds < 0 else 0)

    run(scenario, FAR_BOUNDS)


def test_updates_that_come_during_a_removal_keep_their_order() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        for n in range(10 * SLICE_STEPS):
            await broker.publish(of_topics(f"{n}", "a"))
        await broker.publish(of_topics("end", "a", end=5))
        clock.seconds += 5
        given = [of_topics(f"{n}", "ab"[n % 2]) for n in range(20)]
        async with asyncio.TaskGroup() as group:
            for each in given:
                group.create_task(broker.publish(each))
                await asyncio.sleep(0)
        assert await log_of(broker) == [each.event.data for each in given]

    run(scenario, HistoryBounds(events=10**6, seconds=3600, bytes=10**9))


def test_a_topics_updates_leave_beyond_its_bound_as_soon_as_they_are_old() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        for second in range(4):
            await broker.publish(of_topics(f"a{second}"))
            clock.seconds += 1
        # The first is 4 s old.
        assert await log_of(broker) == ["a0", "a1", "a2", "a3"]
        await broker.trim()
        assert await log_of(broker) == ["a0", "a1", "a2", "a3"]
        clock.seconds += 1.5
        await broker.trim()
        assert await log_of(broker) == ["a1", "a2", "a3"]
        assert (await floor_of(broker, public("a"))).ms == THEN * 1000
        await broker.publish(of_topics("a4"))
        assert await log_of(broker) == ["a1", "a2", "a3", "a4"]
        clock.seconds += 10
        await broker.publish(of_topics("b"))
        await broker.publish(of_topics("a5"))
        assert await log_of(broker) == ["a4", "b", "a5"]

    run(scenario, HistoryBounds(1000, 3600, 10**6, topic_events=2, topic_seconds=5))


def test_the_updates_of_the_last_seconds_are_those_whose_place_is_within() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        for second in range(5):
            await broker.publish(of_topics(f"a{second}"))
            clock.seconds += 1
        for seconds, expected in ((0.5, []), (1, ["a4"]), (2.5, ["a3", "a4"])):
            rewound = await broker.rewound(["a"], Rewind(seconds=seconds), 100, all_kept=False)
            newest = rewound.newest["a"]
            assert texts(await broker.at(newest.public)) == expected

    run(scenario, FAR_BOUNDS)


def test_a_topic_can_be_used_anew_at_the_time_at_which_its_end_says_so() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        await broker.publish(of_topics("a1", end=10))
        end = (await broker.ends())["a"]
        assert end.until_ms == (THEN + 10) * 1000
        clock.seconds += 9.999
        await broker.trim()
        assert ([*await broker.ends()], await log_of(broker)) == (["a"], ["a1"])
        clock.seconds = THEN + 10
        assert await broker.ends() == {}
        assert await log_of(broker) == ["a1"]
        await broker.trim()
        assert await log_of(broker) == []

    run(scenario, FAR_BOUNDS)


def test_a_value_is_kept_up_to_its_last_millisecond() -> None:
    async def scenario(broker: LocalBroker, clock: SetClock) -> None:
        await broker.publish(of_topics("a1", keep=10))
        for seconds, count in ((10, 1), (10.001, 0)):
            clock.seconds = THEN + seconds
            await broker.trim()
            rewound = await broker.rewound(["a"], Rewind(kept=True), 100, all_kept=False)
            assert len(rewound.kept) == count

    run(scenario, FAR_BOUNDS)
