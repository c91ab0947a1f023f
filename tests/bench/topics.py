"""``python tests/bench/topics.py``: what the history by topic costs, in both brokers.

It needs a Valkey or Redis server, and takes three minutes. Each part runs in a process of its own,
so that it has its own memory.
"""

import asyncio
import gc
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS)]

import uvloop  # noqa: E402

from barestream.history.broker import Broker, HistoryBounds  # noqa: E402
from barestream.history.local import LocalBroker  # noqa: E402
from barestream.history.record import BEGIN, Place  # noqa: E402
from barestream.history.topic_state import Reader, Rewind  # noqa: E402
from barestream.history.update import Update  # noqa: E402
from barestream.history.valkey.broker import ValkeyBroker  # noqa: E402
from barestream.mercure.sse import Event  # noqa: E402
from bench import boards  # noqa: E402
from bench.loop_holds import LoopHolds, collect_as_workers_do  # noqa: E402
from bench.patterns import resident_kb  # noqa: E402
from support.servers.valkey_server import ValkeyServer  # noqa: E402

ROUNDS = 3

OTHERS = 100_000
OWN = 100
TOPICS = 100_000
FURTHER = 10_000
ARRAY = 100
DATA = "x" * 100
HOST = "https://example.com"

ROOMY = HistoryBounds(
    2 * OTHERS, 86_400, 2**30, 2 * OTHERS, topics=TOPICS, kept_bytes=64 * 1024 * 1024
)


class Cost(NamedTuple):
    """What a piece of work took.

    Attributes:
        whole_ms: The time.
        cpu_ms: The worker's CPU.
        valkey_ms: Valkey's CPU.
        hold_ms: How long it held the loop at most, by CPU.
    """

    whole_ms: float
    cpu_ms: float
    valkey_ms: float
    hold_ms: float

    def __str__(self) -> str:
        return (
            f"{self.whole_ms:.2f} ms, CPU {self.cpu_ms:.2f} ms + {self.valkey_ms:.2f} ms of "
            f"Valkey, loop held {self.hold_ms:.1f} ms"
        )


class Home:
    """One broker, and what it runs on.

    Args:
        name: local or valkey.
        bounds: The bounds of its history.
    """

    def __init__(self, name: str, bounds: HistoryBounds = ROOMY) -> None:
        self._name = name
        self._bounds = bounds
        self._server: ValkeyServer | None = None
        self.broker: Broker

    async def __aenter__(self) -> "Home":
        if self._name == "local":
            self.broker = LocalBroker(self._bounds, time.time)
        else:
            self._server = await asyncio.to_thread(ValkeyServer().__enter__)
            # The disk is not what is measured here.
            self._server.ask("CONFIG", "SET", "appendonly", "no")
            self.broker = ValkeyBroker(self._server.url, self._bounds, self._server.password)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.close()
        if self._server is not None:
            self._server.__exit__()

    async def publish(self, updates: Iterable[Update]) -> None:
        """Publish updates in arrays."""
        array: list[Update] = []
        for each in updates:
            array.append(each)
            if len(array) == ARRAY:
                await self.broker.publish_all(array)
                array = []
                await asyncio.sleep(0)
        await self.broker.publish_all(array)

    async def cost(self, work: Callable[[], Awaitable[object]], times: int = 1) -> Cost:
        """Return the cost of one of so many runs of a piece of work; the medians of rounds."""
        rounds = [await self.once(work, times) for _ in range(ROUNDS)]
        return Cost(*map(statistics.median, zip(*rounds, strict=True)))

    async def once(self, work: Callable[[], Awaitable[object]], times: int = 1) -> Cost:
        """Return the cost of one round."""
        async with LoopHolds().measuring() as holds:
            valkey_ms = self._valkey_ms()
            at, cpu = time.perf_counter(), time.process_time()
            for _ in range(times):
                await work()
                # The broker in memory gives other work no turn if an answer takes no time.
                await asyncio.sleep(0)
            whole, cpu = time.perf_counter() - at, time.process_time() - cpu
            valkey_ms = self._valkey_ms() - valkey_ms
        hold_ms = 1000 * holds.longest_cpu_seconds
        return Cost(1000 * whole / times, 1000 * cpu / times, valkey_ms / times, hold_ms)

    def _valkey_ms(self) -> float:
        if self._server is None:
            return 0.0
        used = self._server.ask("INFO", "cpu")
        return 1000 * (float(used["used_cpu_user"]) + float(used["used_cpu_sys"]))

    def used_bytes(self) -> int:
        """Return the memory of whatever holds the history."""
        if self._server is None:
            gc.collect()
            return 1024 * resident_kb()
        return int(self._server.ask("INFO", "memory")["used_memory"])


def update(*topics: str, data: str = DATA, **fields: Any) -> Update:
    """Return an update."""
    return Update(topics, Event(data), **fields)


def numbered(topics: int, updates: int, name: str = "topics") -> Iterable[Update]:
    """Yield updates of so many topics, one after the other."""
    for nth in range(updates):
        yield update(f"{HOST}/{name}/{nth % topics:06}")


def with_own(others: int) -> Iterable[Update]:
    """Yield updates of 1,000 topics, and those of the topic ``own`` evenly between them."""
    for nth, each in enumerate(numbered(1000, others)):
        if nth % (others // OWN) == 0:
            yield update("own")
        yield each


async def replays(name: str) -> None:
    """Print what it costs to replay one topic, by how much others have in between."""
    for others in (1000, OTHERS):
        async with Home(name) as home:
            await home.publish(with_own(others))
            read = partial(home.broker.read, BEGIN, 500, reader=Reader(("own",)))
            assert len((await read()).records) == OWN
            cost = await home.cost(read, 20)
            print(f"  replay of {OWN} events of a topic among {others:,} of others: {cost}")
            if others == OTHERS:
                cost = await home.cost(partial(everything, home.broker, 500))
                print(f"  for comparison, all events in pages of 500: {cost}")


async def everything(broker: Broker, page_events: int) -> list[Place]:
    """Return the places of all updates, read in pages."""
    places: list[Place] = []
    place = BEGIN
    while (page := await broker.read(place, page_events)).records:
        places += [record.place for record in page.records]
        place = page.upto
        await asyncio.sleep(0)
    return places


async def publishes(name: str) -> None:
    """Print what a publish costs, by its topics."""
    for count in (1, 100):
        async with Home(name) as home:
            given = update(*(f"{HOST}/topics/{nth}" for nth in range(count)))
            cost = await home.cost(partial(home.broker.publish, given), 300)
            print(f"  publish of an update with {count} topics: {cost}")


async def states(name: str) -> None:
    """Print what the state of many topics costs."""
    async with Home(name) as home:
        await home.publish(numbered(100, 20_000))
        topics = [f"{HOST}/topics/{nth:06}" for nth in range(100)]
        rewound = partial(home.broker.rewound, topics, Rewind(events=100), 100, all_kept=False)
        print(f"  the newest 100 places of each of 100 topics: {await home.cost(rewound)}")
    for count in (500, 10_000):
        async with Home(name) as home:
            await home.publish(
                update(f"{HOST}/orders/{nth}", data=10 * DATA, keep_seconds=3600)
                for nth in range(count)
            )
            rewound = partial(home.broker.rewound, (), Rewind(kept=True), 100, all_kept=True)
            first = await home.once(rewound)
            print(f"  all kept values, {count:,} of 1 KB, the first time: {first}")
            print(f"  again: {await home.cost(rewound)}")
    async with Home(name) as home:
        await home.publish(update(f"{HOST}/runs/{n}", end_seconds=3600) for n in range(10_000))
        print(f"  the ends of 10,000 topics: {await home.cost(home.broker.ends)}")


async def memory(name: str, topics: int) -> None:
    """Print what events of so many topics take, and what happens beyond the bound of topics."""
    async with Home(name) as home:
        before = home.used_bytes()
        await home.publish(numbered(topics, TOPICS))
        used = (home.used_bytes() - before) / TOPICS
        print(f"  {TOPICS:,} events of {topics:,} topics: {used:.0f} bytes an event, all in")
        if topics == TOPICS:
            await beyond_topics(home)


async def beyond_topics(home: Home) -> None:
    """Print what becomes of the oldest topics as further ones come."""
    broker = home.broker
    seen = (await broker.newest(1, 1000)).records[-1].place

    async def publish() -> None:
        for each in numbered(FURTHER, FURTHER, "further"):
            await broker.publish(each)
            await asyncio.sleep(0)

    cost = await home.once(publish)
    left = len(await everything(broker, 5000))
    oldest = await broker.read(Place(1, 0), 0, reader=Reader((f"{HOST}/topics/000000",)))
    newest = await broker.read(seen, 0, reader=Reader((f"{HOST}/topics/{TOPICS - 1:06}",)))
    never = await broker.read(seen, 0, reader=Reader((f"{HOST}/never",)))
    print(
        f"  {FURTHER:,} further topics beyond the bound of {TOPICS:,}: the newest {left:,} events "
        f"are left, {cost.whole_ms / FURTHER:.3f} ms a publish, loop held "
        f"{cost.hold_ms:.1f} ms\n"
        f"    told of a gap: clients of a topic whose event was dropped: "
        f"{oldest.floor > Place(1, 0)}; of one whose event is there, and of one that never was, "
        f"after the last of those events: "
        f"{newest.floor > seen}, {never.floor > seen}"
    )


async def beyond_bytes(name: str) -> None:
    """Print what the bound of bytes leaves, of events with a topic each."""
    most_bytes = 16 * 1024 * 1024
    async with Home(name, HistoryBounds(2 * OTHERS, 86_400, most_bytes, topics=TOPICS)) as home:
        before = home.used_bytes()
        await home.publish(numbered(TOPICS, TOPICS))
        await home.broker.trim()
        used_mb = (home.used_bytes() - before) / 2**20
        left = len(await everything(home.broker, 5000))
    print(
        f"  {TOPICS:,} topics in a history of {most_bytes // 2**20} MB: the newest {left:,} events "
        f"are left; they and the index take {used_mb:.1f} MB"
    )


PARTS: tuple[Callable[[str], Awaitable[None]], ...] = (
    replays,
    publishes,
    states,
    partial(memory, topics=1),
    partial(memory, topics=TOPICS),
    beyond_bytes,
)


def run(part: Callable[[str], Any], name: str) -> None:
    """Run a part in this process."""
    collect_as_workers_do()
    uvloop.run(part(name))


def main() -> None:
    """Print the figures."""
    processes = multiprocessing.get_context("spawn")
    for name in ("local", "valkey"):
        print(f"{name}:", flush=True)
        for part in PARTS:
            process = processes.Process(target=run, args=(part, name))
            process.start()
            process.join()
    for name in ("local", "valkey"):
        print(f"{name}, a worker with streams:", flush=True)
        boards.main(name)


if __name__ == "__main__":
    main()
