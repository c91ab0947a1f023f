"""What every broker promises of updates that are published together."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker, TooMuchKeptError, TopicEndedError
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind
from topic_updates import FOREVER, log_of, publish, texts, update

Run = Callable[..., None]

HOUR_SECONDS = 3600


def test_updates_that_are_published_together_are_kept_in_their_order(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [update("b"), update("a", own_id="own"), update("c", private=True), update("a")]
        answers = await broker.publish_all(given)
        records = (await broker.read(BEGIN, 10)).records
        pairs = zip(given, records, strict=True)
        assert records == [each.at(record.place) for each, record in pairs]
        assert answers == [record.own_id or str(record.place) for record in records]
        assert await broker.publish_all([]) == []
        assert await broker.publish_all([update("d")]) == [
            str((await broker.newest(1, 1)).records[0].place)
        ]

    run(scenario)


def test_others_updates_are_not_between_those_that_are_published_together(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async def publisher(name: str) -> None:
            for n in range(10):
                await broker.publish_all([update(f"{name}{n}.{m}") for m in range(5)])
                await broker.publish(update(f"{name}{n}"))

        await asyncio.gather(*map(publisher, "abcd"))
        log = await log_of(broker)
        assert len(log) == 4 * 10 * 6
        for name in "abcd":
            for n in range(10):
                first = log.index(f"{name}{n}.0")
                assert log[first : first + 5] == [f"{name}{n}.{m}" for m in range(5)]

    run(scenario)


def test_ids_within_a_list_count_in_its_order(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first, other = update("a1", own_id="own"), update("a2", own_id="own")
        answers = await broker.publish_all([first, first, other, other, first, update("b")])
        assert answers[:-1] == ["own"] * 5
        records = (await broker.read(BEGIN, 10)).records
        assert texts(records) == ["a1", "a2", "a1", "b"]
        assert [record.repeats for record in records] == [False, True, True, False]
        assert str(records[-1].place) == answers[-1]
        assert [known.place for known in await broker.find("own")] == [
            record.place for record in records[:3]
        ]
        # The newest with the id was the last of the list.
        assert await broker.publish_all([first, other]) == ["own"] * 2
        assert await log_of(broker) == ["a1", "a2", "a1", "b", "a2"]

    run(scenario)


def test_a_list_that_is_sent_again_is_kept_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [update("a1", own_id="1"), update("a2", own_id="2", end=HOUR_SECONDS)]
        assert await broker.publish_all(given) == await broker.publish_all(given) == ["1", "2"]
        assert await log_of(broker) == ["a1", "a2"]

    run(scenario)


def test_with_one_update_for_a_topic_that_has_ended_none_is_kept(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        [ended] = await publish(broker, update("a", end=HOUR_SECONDS))
        given = [
            update("b1", own_id="own", keep=FOREVER),
            update("c1", end=HOUR_SECONDS),
            update("2", "d", "a"),
        ]
        with pytest.raises(TopicEndedError) as refusal:
            await broker.publish_all(given)
        assert refusal.value.topic == "a"
        await assert_nothing_changed(broker, ended)
        assert await broker.publish_all(given[:2]) == ["own", str(await newest_of(broker))]

    run(scenario)


def test_with_one_kept_value_too_many_none_is_kept(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        [ended] = await publish(broker, update("a", end=HOUR_SECONDS))
        given = [
            update("b1", own_id="own", keep=FOREVER),
            update("d1", end=HOUR_SECONDS),
            update("c1", keep=FOREVER),
        ]
        with pytest.raises(TooMuchKeptError):
            await broker.publish_all(given)
        await assert_nothing_changed(broker, ended)
        # One that is cleared within the list makes room.
        await broker.publish_all([given[0], update("b2", keep=0), given[2]])
        kept = (await broker.rewound([], Rewind(events=0), 1, all_kept=True)).kept
        assert texts([*kept.values()]) == ["c1"]

    run(scenario, kept_values=1)


async def newest_of(broker: Broker) -> Place:
    return (await broker.newest(1, 1)).records[-1].place


async def assert_nothing_changed(broker: Broker, ended: Place) -> None:
    assert await newest_of(broker) == ended
    assert await broker.find("own") == []
    assert [*await broker.ends()] == ["a"]
    assert (await broker.rewound([], Rewind(events=0), 1, all_kept=True)).kept == {}


def test_an_update_may_follow_the_end_of_its_topic_only_as_a_retry(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        before = update("a1", own_id="before")
        end = update("a2", own_id="end", end=HOUR_SECONDS)
        for late in (update("a3"), update("3", "b", "a"), update("a2", own_id="end", end=5)):
            with pytest.raises(TopicEndedError):
                await broker.publish_all([before, end, late])
        assert await log_of(broker) == []
        assert await broker.publish_all([before, end, end]) == ["before", "end", "end"]
        assert await broker.publish_all([before, update("b")])
        assert await log_of(broker) == ["a1", "a2", "b"]

    run(scenario)


def test_a_list_that_is_longer_than_the_history_leaves_its_last_updates(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        answers = await broker.publish_all([update(letter) for letter in "abcde"])
        page = await broker.read(BEGIN, 10)
        assert texts(page.records) == ["c", "d", "e"]
        assert page.floor == Place.parse(answers[1])

    run(scenario, events=3)


def test_a_wait_ends_with_updates_that_are_published_together(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        [place] = await publish(broker, update("a"))
        waiter = asyncio.create_task(broker.wait(place, 10))
        await asyncio.sleep(0)
        await broker.publish_all([update("b"), update("c")])
        assert texts((await waiter).records) == ["b", "c"]

    run(scenario)
