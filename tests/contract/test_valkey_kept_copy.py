"""A worker's copy of the kept values, beside other workers that change them."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from barestream.history.broker import HistoryBounds
from barestream.history.record import Place
from barestream.history.topic_state import Rewind
from barestream.history.valkey.broker import ValkeyBroker
from support.servers.valkey_server import ValkeyServer
from topic_updates import FOREVER, texts, update

Scenario = Callable[[ValkeyBroker, ValkeyBroker], Awaitable[None]]

# As many changes as Valkey remembers (lua/kept.lua).
MOST_CHANGES = 1000


@pytest.fixture
def workers(server: ValkeyServer) -> Callable[[Scenario], None]:
    """Return a function that runs a scenario on the brokers of two workers."""

    async def run(scenario: Scenario) -> None:
        bounds = HistoryBounds(10_000, 3600, 10**8)
        brokers = [ValkeyBroker(server.url, bounds, server.password) for _ in range(2)]
        try:
            await scenario(*brokers)
        finally:
            for broker in brokers:
                await broker.close()

    return lambda scenario: asyncio.run(run(scenario))


async def kept(broker: ValkeyBroker) -> dict[str, str]:
    """Return the data of all kept values that a worker has."""
    rewound = await broker.rewound((), Rewind(kept=True), 100, all_kept=True)
    records = rewound.kept
    return dict(zip(records, texts([*records.values()]), strict=True))


def scans(server: ValkeyServer) -> int:
    """Return how often the values were read whole, each in some steps."""
    calls = server.ask("INFO", "commandstats").get("cmdstat_hscan", {"calls": 0})
    return int(calls["calls"])


def test_only_what_has_changed_is_read_again(
    server: ValkeyServer, workers: Callable[[Scenario], None]
) -> None:
    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        expected = {str(nth): f"first {nth}" for nth in range(300)}
        await one.publish_all(
            [update(text, topic, keep=FOREVER) for topic, text in expected.items()]
        )
        assert await kept(other) == expected
        read = scans(server)
        for nth in range(250):
            await one.publish(update("changed", str(nth), keep=FOREVER))
            expected[str(nth)] = "changed"
        await one.publish(update("cleared", "7", keep=0))
        await one.publish(update("added", "new", keep=FOREVER))
        del expected["7"]
        expected["new"] = "added"
        assert await kept(other) == expected
        assert await kept(other) == expected
        assert scans(server) == read

    workers(scenario)


def test_a_worker_that_missed_more_changes_than_valkey_remembers_reads_all(
    server: ValkeyServer, workers: Callable[[Scenario], None]
) -> None:
    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        await one.publish(update("old", "gone", keep=FOREVER))
        assert await kept(other) == {"gone": "old"}
        read = scans(server)
        await one.publish(update("", "gone", keep=0))
        expected = {str(nth): "kept" for nth in range(MOST_CHANGES)}
        given = [update(text, topic, keep=FOREVER) for topic, text in expected.items()]
        for start in range(0, len(given), 100):
            await one.publish_all(given[start : start + 100])
        assert await kept(other) == expected
        assert scans(server) > read
        assert server.ask("ZCARD", "{barestream}:kept_changes") == MOST_CHANGES

    workers(scenario)


def test_a_value_that_is_over_is_not_returned(workers: Callable[[Scenario], None]) -> None:
    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        await one.publish_all([update("short", "a", keep=0.05), update("long", "b", keep=FOREVER)])
        async with asyncio.timeout(60):
            while len(await kept(other)) > 1:
                await asyncio.sleep(0.01)
        assert await kept(other) == {"b": "long"}
        # Its removal is a change like others.
        await one.trim()
        assert await kept(other) == {"b": "long"}

    workers(scenario)


def test_the_values_of_a_history_that_was_lost_are_forgotten(
    server: ValkeyServer, workers: Callable[[Scenario], None]
) -> None:
    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        await one.publish(update("old", "a", keep=FOREVER))
        assert await kept(other) == {"a": "old"}
        server.ask("FLUSHALL")
        assert await kept(other) == {}
        await one.publish(update("new", "b", keep=FOREVER))
        assert await kept(other) == {"b": "new"}

    workers(scenario)


def test_a_worker_that_notices_an_older_copy_of_the_history_reads_all_again(
    server: ValkeyServer, workers: Callable[[Scenario], None]
) -> None:
    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        await one.publish(update("before", "a", keep=FOREVER))
        before = server.ask("DUMP", "{barestream}:kept"), server.ask("DUMP", "{barestream}:state")
        await one.publish(update("lost", "a", keep=FOREVER))
        assert await kept(other) == {"a": "lost"}
        for name, dumped in zip(("kept", "state"), before, strict=True):
            server.ask("RESTORE", f"{{barestream}}:{name}", 0, dumped, "REPLACE")
        await one.publish(update("after", "b", keep=FOREVER))
        await other.move_on(Place(1, 0))
        assert await kept(other) == {"a": "before", "b": "after"}

    workers(scenario)


def test_after_any_changes_a_worker_has_what_another_reads_anew(
    workers: Callable[[Scenario], None],
) -> None:
    chance = random.Random(16)

    async def scenario(one: ValkeyBroker, other: ValkeyBroker) -> None:
        expected: dict[str, str] = {}
        for number in range(60):
            given = []
            for _ in range(chance.randint(1, 60)):
                topic = str(chance.randint(0, 200))
                keep = chance.choice([0, FOREVER, FOREVER])
                given.append(update(f"{number}", topic, keep=keep))
                expected.pop(topic, None)
                if keep:
                    expected[topic] = f"{number}"
            await chance.choice((one, other)).publish_all(given)
            if chance.random() < 0.5:
                assert await kept(chance.choice((one, other))) == expected
        assert await asyncio.gather(*[kept(other) for _ in range(10)]) == [expected] * 10

    workers(scenario)
