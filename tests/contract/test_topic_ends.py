"""What every broker promises of the end of a topic."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker, TopicEndedError
from barestream.history.record import BEGIN, Known, Record
from barestream.history.topic_state import Rewind
from barestream.history.update import Update
from support.servers.service import PATIENCE_SECONDS
from topic_updates import (
    FOREVER,
    covering,
    floor_of,
    lane_of,
    log_of,
    public,
    publish,
    texts,
    update,
)

Run = Callable[..., None]

# Longer than a test.
HOUR_SECONDS = 3600
SOON_SECONDS = 0.05


async def wait_until_forgotten(broker: Broker) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await broker.ends():
            await asyncio.sleep(0.001)


async def kept_by(broker: Broker, topic: str) -> Record | None:
    rewound = await broker.rewound([topic], Rewind(events=0), 100, all_kept=False)
    return rewound.kept.get(topic)


@pytest.mark.parametrize(
    "late", [update("a2"), update("2", "b", "a"), update("a2", private=True), update("a2", end=5)]
)
def test_nothing_can_be_published_to_a_topic_that_has_ended(run: Run, late: Update) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a0"), update("a1", end=HOUR_SECONDS))
        with pytest.raises(TopicEndedError) as refusal:
            await broker.publish(late)
        assert refusal.value.topic == "a"
        await publish(broker, update("b"))
        assert await log_of(broker) == ["a0", "a1", "b"]

    run(scenario)


def test_only_the_first_topic_of_an_update_ends_with_it(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("1", "a", "b", end=HOUR_SECONDS), update("b2"))
        assert [*await broker.ends()] == ["a"]
        assert await log_of(broker) == ["1", "b2"]

    run(scenario)


def test_a_retry_is_answered_also_when_its_topic_has_ended(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        before = update("a0", own_id="before")
        end = update("a1", own_id="end", end=HOUR_SECONDS)
        for each in (before, end, before, end):
            assert await broker.publish(each) == each.event.id
        with pytest.raises(TopicEndedError):
            await broker.publish(update("other", "a", own_id="end"))
        assert await log_of(broker) == ["a0", "a1"]

    run(scenario)


@pytest.mark.parametrize("private", [False, True])
def test_an_end_has_its_updates_record_and_the_time_until_which_it_stays(
    run: Run, private: bool
) -> None:
    async def scenario(broker: Broker) -> None:
        assert await broker.ends() == {}
        given = update("1", "a", "b", own_id="own", private=private, end=HOUR_SECONDS)
        await broker.publish(given)
        [record] = (await broker.read(BEGIN, 10)).records
        assert record == given.at(record.place)
        assert record.end_ms == HOUR_SECONDS * 1000
        [(topic, end)] = (await broker.ends()).items()
        assert (topic, end.known) == ("a", Known(record.place, record.topics, record.private))
        # The place and the time are read some moments apart, either first.
        assert abs(end.until_ms - record.place.ms - HOUR_SECONDS * 1000) <= 1000

    run(scenario)


def test_a_topic_stays_ended_when_the_history_no_longer_has_the_end(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a", end=HOUR_SECONDS))
        before = await broker.ends()
        await publish(broker, update("b"))
        assert await log_of(broker) == ["b"]
        assert await broker.ends() == before
        with pytest.raises(TopicEndedError):
            await broker.publish(update("a"))

    run(scenario, events=1)


def test_a_topic_can_be_used_anew_after_its_time(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(
            broker,
            update("a1"),
            update("2", "a", "c"),
            update("3", "b", "a"),
            update("a4", private=True),
            update("a5", end=SOON_SECONDS),
        )
        await wait_until_forgotten(broker)
        await publish(broker, update("a6"))
        # The updates of other first topics stay.
        assert await log_of(broker) == ["3", "a6"]
        assert await lane_of(broker, public("a")) == ["3", "a6"]
        assert await lane_of(broker, public("c")) == []
        assert await floor_of(broker, public("a")) == places[4]
        assert await floor_of(broker, public("c")) == places[1]
        assert await floor_of(broker, covering("a")) == places[4]
        assert await floor_of(broker) == places[4]
        assert await floor_of(broker, public("b")) == begin
        assert await broker.ends() == {}
        await publish(broker, update("a7", end=HOUR_SECONDS))
        assert [*await broker.ends()] == ["a"]

    run(scenario)


def test_a_topic_is_forgotten_for_an_update_that_names_it_as_another_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1"), update("a2", end=SOON_SECONDS))
        await wait_until_forgotten(broker)
        await publish(broker, update("3", "b", "a"))
        assert await log_of(broker) == ["3"]

    run(scenario)


def test_a_topic_is_forgotten_without_an_update_too(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        *_, last = await publish(
            broker, update("b"), update("a1", keep=FOREVER), update("a2", end=SOON_SECONDS)
        )
        await wait_until_forgotten(broker)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await log_of(broker) != ["b"]:
                await broker.trim()
        assert await floor_of(broker, public("a")) == last
        assert await kept_by(broker, "a") is None
        await publish(broker, update("a3"))
        assert await log_of(broker) == ["b", "a3"]

    run(scenario)


def test_a_topic_that_is_over_pushes_no_update_of_another_topic_out(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("b1", "b"), update("a1"), update("a2", end=SOON_SECONDS))
        await wait_until_forgotten(broker)
        # Its place in the history is for these.
        await publish(broker, update("c1", "c"), update("c2", "c"))
        assert await log_of(broker) == ["b1", "c1", "c2"]

    run(scenario, events=3)


def test_a_topic_of_many_updates_is_forgotten_whole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [update(f"{n}", "ab"[n % 2], "both", private=n % 3 == 0) for n in range(3000)]
        for first in range(0, len(given), 100):
            await broker.publish_all(given[first : first + 100])
        await publish(broker, update("a", end=0.001))
        await wait_until_forgotten(broker)
        await publish(broker, update("a"))
        kept = [f"{n}" for n in range(1, 3000, 2)]
        assert await log_of(broker) == [*kept, "a"]
        assert await lane_of(broker, covering("both")) == kept
        assert await lane_of(broker, covering("a")) == ["a"]

    run(scenario, events=10_000, size=10_000_000)


def test_the_kept_value_of_a_topic_stays_until_the_topic_is_forgotten(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=FOREVER), update("a2", end=SOON_SECONDS))
        record = await kept_by(broker, "a")
        assert record is not None
        assert texts([record]) == ["a1"]
        await wait_until_forgotten(broker)
        await publish(broker, update("a3"))
        assert await kept_by(broker, "a") is None

    run(scenario)


def test_the_last_update_of_a_topic_may_be_its_kept_value(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        [place] = await publish(broker, update("a", keep=FOREVER, end=HOUR_SECONDS))
        record = await kept_by(broker, "a")
        assert record is not None
        assert (record.place, record.end_ms) == (place, HOUR_SECONDS * 1000)
        assert (await broker.ends())["a"].known.place == place

    run(scenario)


def test_of_too_many_ended_topics_the_one_that_is_over_first_is_forgotten_early(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(5):
            await broker.publish(update(f"{n}", f"topic/{n}", end=HOUR_SECONDS - n))
        assert sorted(await broker.ends()) == [f"topic/{n}" for n in range(3)]
        await broker.publish(update("anew", "topic/4"))

    run(scenario, topics=3)


def test_a_rewind_goes_on_after_the_newest_place_also_if_its_update_was_forgotten(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        places = await publish(broker, update("b0"), update("a1", end=SOON_SECONDS))
        await wait_until_forgotten(broker)
        await broker.trim()
        assert await log_of(broker) == ["b0"]
        rewound = await broker.rewound(["a", "b"], Rewind(events=1), 100, all_kept=False)
        # From there nothing is missing: a client that goes on from b0 would be sent a gap.
        assert rewound.upto == places[1]

    run(scenario)
