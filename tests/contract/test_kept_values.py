"""What every broker promises of the kept values of topics."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from barestream.history.broker import Broker, TooMuchKeptError
from barestream.history.record import BEGIN, Record
from barestream.history.topic_state import Rewind
from support.judges.published import data_of
from support.servers.service import PATIENCE_SECONDS
from topic_updates import FOREVER, log_of, publish, update

Run = Callable[..., None]

HOUR_SECONDS = 3600


async def kept_values(broker: Broker, *topics: str) -> Mapping[str, Record]:
    """Return the kept values of topics, or of all topics."""
    return (await broker.rewound(topics, Rewind(events=0), 1, all_kept=not topics)).kept


async def kept(broker: Broker, *topics: str) -> dict[str, str]:
    """Return the data of kept values by topic."""
    return {
        topic: data_of(record) for topic, record in (await kept_values(broker, *topics)).items()
    }


def test_an_update_becomes_the_kept_value_of_its_first_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        assert await kept(broker) == {}
        await publish(
            broker,
            update("1", "a", "b", keep=FOREVER),
            update("c1", keep=HOUR_SECONDS),
            update("d"),
        )
        assert await kept(broker) == {"a": "1", "c": "c1"}
        assert await kept(broker, "b", "c", "x") == {"c": "c1"}

    run(scenario)


def test_a_kept_value_is_the_record_that_the_history_had(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish(update("b"))
        await broker.publish(update("a\n1", own_id="own", keep=FOREVER))
        await broker.publish(update("é", "c", "d", private=True, keep=FOREVER))
        _, first, second = (await broker.read(BEGIN, 10)).records
        assert await kept_values(broker) == {"a": first, "c": second}
        await publish(broker, update("b"), update("b"), update("b"))
        assert await log_of(broker) == ["b"] * 3
        assert await kept_values(broker) == {"a": first, "c": second}

    run(scenario, events=3)


def test_a_kept_value_is_replaced_by_one_of_either_kind_and_by_no_other_update(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=FOREVER), update("a2"), update("3", "b", "a"))
        await publish(broker, update("4", "b", "a", keep=FOREVER))
        assert await kept(broker) == {"a": "a1", "b": "4"}
        await publish(broker, update("a5", private=True, keep=HOUR_SECONDS))
        assert await kept(broker) == {"a": "a5", "b": "4"}
        await publish(broker, update("a6", keep=FOREVER))
        assert await kept(broker) == {"a": "a6", "b": "4"}

    run(scenario)


def test_a_kept_value_can_be_cleared(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=FOREVER), update("b1", keep=FOREVER))
        await publish(broker, update("2", "c", "b", keep=0), update("a2", private=True, keep=0))
        assert await kept(broker) == {"b": "b1"}
        assert await log_of(broker) == ["a1", "b1", "2", "a2"]
        await publish(broker, update("a3", keep=FOREVER))
        assert await kept(broker) == {"a": "a3", "b": "b1"}

    run(scenario)


def test_a_retry_does_not_bring_a_kept_value_back(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first = update("a1", own_id="own", keep=FOREVER)
        await broker.publish(first)
        await publish(broker, update("a2", keep=0))
        assert await broker.publish(first) == "own"
        assert await kept(broker) == {}

    run(scenario)


def test_a_kept_value_is_gone_after_its_time(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a", keep=0.05), update("b", keep=HOUR_SECONDS))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await kept(broker) != {"b": "b"}:
                await asyncio.sleep(0.001)
        assert await kept(broker, "a", "b") == {"b": "b"}
        await broker.trim()
        assert await kept(broker) == {"b": "b"}
        assert await log_of(broker) == ["a", "b"]

    run(scenario)


def test_a_replaced_value_takes_its_time_with_it(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=0.05), update("b1", keep=0.05))
        await publish(broker, update("a2", keep=HOUR_SECONDS))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "b" in await kept(broker):
                await asyncio.sleep(0.001)
        await broker.trim()
        assert await kept(broker) == {"a": "a2"}

    run(scenario)


def test_there_are_no_more_kept_values_than_their_bound(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=FOREVER), update("b1", keep=FOREVER))
        with pytest.raises(TooMuchKeptError):
            await broker.publish(update("c1", keep=FOREVER))
        assert await log_of(broker) == ["a1", "b1"]
        await publish(broker, update("a2", keep=FOREVER), update("c2"), update("c3", keep=0))
        await publish(broker, update("b2", keep=0), update("c4", keep=FOREVER))
        assert await kept(broker) == {"a": "a2", "c": "c4"}

    run(scenario, kept_values=2)


def test_kept_values_are_no_larger_together_than_their_bound(run: Run) -> None:
    small, large = update("a" * 100, keep=FOREVER), update("b" * 200, keep=FOREVER)

    async def scenario(broker: Broker) -> None:
        await publish(broker, small, large)
        with pytest.raises(TooMuchKeptError):
            await broker.publish(update("a" * 101, keep=FOREVER))
        with pytest.raises(TooMuchKeptError):
            await broker.publish(update("c", keep=FOREVER))
        assert await kept(broker) == {"a": small.event.data, "b": large.event.data}
        await publish(broker, update("b", keep=FOREVER), update("a" * 101, keep=FOREVER))
        assert await kept(broker) == {"a": "a" * 101, "b": "b"}
        assert len(await log_of(broker)) == 4

    run(scenario, kept_bytes=small.size_bytes + large.size_bytes)


def test_values_whose_time_is_over_take_no_room(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a", keep=0.05))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await kept(broker):
                await asyncio.sleep(0.001)
        await publish(broker, update("b", keep=FOREVER))
        assert await kept(broker) == {"b": "b"}

    run(scenario, kept_values=1)


def test_a_retry_needs_no_room(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first = update("a1", own_id="own", keep=FOREVER)
        await broker.publish(first)
        await publish(broker, update("a2", keep=0), update("b", keep=FOREVER))
        assert await broker.publish(first) == "own"
        assert await kept(broker) == {"b": "b"}

    run(scenario, kept_values=1)
