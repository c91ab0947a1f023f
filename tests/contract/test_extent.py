"""How much a history says that it has."""

import asyncio
from collections.abc import Callable

from barestream.history.broker import Broker, HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from support.servers.valkey_server import ValkeyServer

Run = Callable[..., None]
Weigh = Callable[..., int]


def update(data: str) -> Update:
    return Update(("https://example.com/books/1",), Event(data))


def test_an_empty_history_has_nothing(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        assert (await broker.extent())[:3] == (0, 0, 0)

    run(scenario)


def test_the_extent_has_the_number_and_the_weight_of_the_updates(run: Run, weigh: Weigh) -> None:
    updates = [update("one"), update("two" * 100)]

    async def scenario(broker: Broker) -> None:
        for each in updates:
            await broker.publish(each)
        assert (await broker.extent())[:2] == (2, weigh(*updates))

    run(scenario)


def test_updates_beyond_the_bounds_do_not_count(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for nth in range(5):
            await broker.publish(update(str(nth)))
        assert (await broker.extent()).updates == 3

    run(scenario, events=3)


def test_the_memory_of_a_worker_has_the_age_of_the_oldest_update() -> None:
    async def age() -> float:
        now = [1000.0]
        broker = LocalBroker(HistoryBounds(100, 3600, 10**8), lambda: now[0])
        for _ in range(2):
            await broker.publish(update("data"))
            now[0] += 7
        return (await broker.extent()).oldest_seconds

    assert asyncio.run(age()) == 14


def test_valkey_has_the_age_of_the_oldest_update(server: ValkeyServer) -> None:
    async def ages() -> tuple[float, float]:
        broker = ValkeyBroker(server.url, HistoryBounds(100, 3600, 10**8), server.password)
        try:
            for data in ("one", "two"):
                await broker.publish(update(data))
            young = (await broker.extent()).oldest_seconds
            # Valkey's clock cannot be set here, so the entry is an older one.
            server.ask("DEL", "{barestream}:log")
            server.ask("XADD", "{barestream}:log", f"{oldest_ms()}-0", "v", "1", "topics", "[]")
            return young, (await broker.extent()).oldest_seconds
        finally:
            await broker.close()

    def oldest_ms() -> int:
        seconds, _ = server.ask("TIME")
        return (int(seconds) - 600) * 1000

    young, old = asyncio.run(ages())
    assert young < 600 <= old


def test_valkey_says_how_much_memory_it_takes_and_may_take(server: ValkeyServer) -> None:
    async def extents() -> tuple[int, int, int]:
        broker = ValkeyBroker(server.url, HistoryBounds(100, 3600, 10**8), server.password)
        try:
            unbounded = await broker.extent()
            server.ask("CONFIG", "SET", "maxmemory", 123_456_789)
            bounded = await broker.extent()
            return unbounded.used_bytes, unbounded.most_used_bytes, bounded.most_used_bytes
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
            await broker.close()

    used_bytes, *most_bytes = asyncio.run(extents())
    assert used_bytes > 100_000
    assert most_bytes == [0, 123_456_789]
