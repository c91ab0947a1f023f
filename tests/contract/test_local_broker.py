"""The promises of the broker in memory, beyond those of every broker."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable

from barestream.history.broker import HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.record import Place
from barestream.history.update import Update
from barestream.mercure.sse import Event

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
