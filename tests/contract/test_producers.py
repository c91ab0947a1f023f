"""What every broker promises of producers that number their updates."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker, TooMuchKeptError, TopicEndedError
from barestream.history.producers import (
    NewEpochError,
    Position,
    ProducerBounds,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
)
from barestream.history.record import BEGIN
from barestream.history.update import Update
from barestream.mercure.sse import Event
from batches import TOPIC, batch, leased, numbered, position_behind, sweep
from topic_updates import FOREVER, log_of, public, texts, update

Run = Callable[..., None]


def test_a_batch_is_kept_in_its_order_and_moves_the_position(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first = await position_behind(broker, numbered(0, 3))
        second = await position_behind(broker, numbered(3, 5))
        records = (await broker.read(BEGIN, 10)).records
        assert texts(records) == ["0", "1", "2", "3", "4"]
        assert first == Position(0, 3, str(records[2].place))
        assert second == Position(0, 5, str(records[4].place))
        assert await broker.position(TOPIC, "p") == second

    run(scenario)


def test_every_form_of_an_update_is_kept_as_it_is_published(run: Run) -> None:
    given = [
        update("plain", TOPIC),
        update("", TOPIC, private=True),
        Update((TOPIC,), Event("typed", None, "kind")),
        Update((TOPIC,), Event("typed", None, "kind"), private=True),
        Update((TOPIC,), Event("empty type", None, "")),
        Update((TOPIC,), Event("ä\n€", None, None, 5)),
        update("own", TOPIC, own_id="own"),
        update("kept", TOPIC, keep=FOREVER),
        update("plain again", TOPIC),
        update("private", TOPIC, private=True),
        update("end", TOPIC, end=60),
    ]

    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, *given))
        records = (await broker.read(BEGIN, 20)).records
        pairs = zip(given, records, strict=True)
        assert records == [each.at(record.place) for each, record in pairs]
        lanes = await broker.read(BEGIN, 20, reader=public(TOPIC))
        assert texts(lanes.records) == texts([each for each in records if not each.private])

    run(scenario)


def test_updates_that_come_again_are_left_out(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        before = await position_behind(broker, numbered(0, 3))
        assert await position_behind(broker, numbered(0, 3)) == before
        assert await position_behind(broker, numbered(1, 2)) == before
        after = await position_behind(broker, numbered(1, 5))
        assert after[:2] == (0, 5)
        assert await log_of(broker) == ["0", "1", "2", "3", "4"]

    run(scenario)


def test_updates_that_are_missing_are_noticed(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        with pytest.raises(SequenceGapError) as gap:
            await broker.publish_batch(numbered(1, 2))
        assert (gap.value.expected, gap.value.received) == (0, 1)
        await broker.publish_batch(numbered(0, 2))
        for beyond in (numbered(3, 4), batch(3)):
            with pytest.raises(SequenceGapError) as gap:
                await broker.publish_batch(beyond)
            assert (gap.value.expected, gap.value.received) == (2, 3)
        assert await log_of(broker) == ["0", "1"]

    run(scenario)


def test_a_new_epoch_begins_again_with_0_and_shuts_out_the_one_before(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        before = await position_behind(broker, batch(0, "a", "b", epoch=3))
        with pytest.raises(NewEpochError):
            await broker.publish_batch(batch(2, "x", epoch=4))
        assert await broker.position(TOPIC, "p") == before
        # It takes the epoch, and publishes nothing.
        taken = await position_behind(broker, batch(0, epoch=4))
        assert taken == Position(4, 0, before.last_id)
        for stale in (batch(2, "x", epoch=3), batch(0, "a", epoch=3), batch(0, epoch=0)):
            with pytest.raises(StaleEpochError) as error:
                await broker.publish_batch(stale)
            assert error.value.epoch == 4
        assert (await position_behind(broker, batch(0, "c", epoch=4)))[:2] == (4, 1)
        assert (await position_behind(broker, batch(0, "d", epoch=2**53 - 1)))[:2] == (2**53 - 1, 1)
        assert await log_of(broker) == ["a", "b", "c", "d"]

    run(scenario)


def test_producers_and_topics_have_positions_of_their_own(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(numbered(0, 2))
        await broker.publish_batch(numbered(0, 1, producer="other"))
        await broker.publish_batch(numbered(0, 3, topic="other"))
        assert (await broker.position(TOPIC, "p") or ())[:2] == (0, 2)
        assert (await broker.position(TOPIC, "other") or ())[:2] == (0, 1)
        assert (await broker.position("other", "p") or ())[:2] == (0, 3)
        assert await broker.position("other", "other") is None
        assert await broker.position("other\ud800", "p") is None

    run(scenario)


def test_an_answer_says_how_many_updates_were_new(run: Run) -> None:
    own = update("own", TOPIC, own_id="own")

    async def scenario(broker: Broker) -> None:
        await broker.publish(own)
        # What is a repeat by its id alone is new to this producer.
        given = [(numbered(0, 3), 3), (numbered(1, 3), 0), (numbered(1, 5), 2), (batch(5, own), 1)]
        for each, new in [*given, (batch(6), 0), (batch(0, "a", epoch=1), 1)]:
            assert (await broker.publish_batch(each)).new == new

    run(scenario)


def test_of_batches_that_come_at_once_each_update_is_kept_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [numbered(0, n) for n in range(1, 30)] * 2
        answers = await asyncio.gather(*map(broker.publish_batch, given))
        assert max(answer.position.next for answer in answers) == 29
        assert sum(answer.new for answer in answers) == 29
        assert await log_of(broker) == [str(n) for n in range(29)]

    run(scenario)


def test_repeats_are_accepted_also_when_the_topic_has_ended(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ending = batch(0, "a", update("end", TOPIC, end=60))
        position = await position_behind(broker, ending)
        assert await position_behind(broker, ending) == position
        assert await position_behind(broker, batch(2)) == position
        with pytest.raises(TopicEndedError) as error:
            await broker.publish_batch(batch(1, "end", "b"))
        assert (error.value.topic, error.value.at) == (TOPIC, 1)
        assert await broker.position(TOPIC, "p") == position
        assert await log_of(broker) == ["a", "end"]

    run(scenario)


def test_nothing_of_a_batch_is_kept_that_goes_on_behind_the_end(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        with pytest.raises(TopicEndedError) as error:
            await broker.publish_batch(batch(0, "a", update("end", TOPIC, end=60), "b"))
        assert error.value.at == 2
        assert await log_of(broker) == []
        assert await broker.position(TOPIC, "p") is None
        await broker.publish_batch(batch(0, "a"))
        assert await broker.ends() == {}

    run(scenario)


def test_nothing_of_a_batch_is_kept_whose_value_has_no_room(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish(update("kept", "other", keep=FOREVER))
        await broker.publish_batch(batch(0, "a"))
        with pytest.raises(TooMuchKeptError) as error:
            await broker.publish_batch(batch(0, "a", "b", update("c", TOPIC, keep=FOREVER)))
        assert error.value.at == 2
        assert (await broker.position(TOPIC, "p") or ())[:2] == (0, 1)
        assert await log_of(broker) == ["kept", "a"]

    run(scenario, kept_values=1)


def test_an_id_that_was_used_before_is_answered_and_counted(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish(update("a", TOPIC, own_id="own"))
        again = update("a", TOPIC, own_id="own")
        assert await position_behind(broker, batch(0, again)) == Position(0, 1, "own")
        assert await log_of(broker) == ["a"]

    run(scenario)


def test_a_topic_that_was_forgotten_takes_what_a_producer_has_left(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ending = batch(0, "a", update("end", TOPIC, end=0.001))
        await broker.publish_batch(ending)
        await asyncio.sleep(0.01)
        await broker.publish_batch(ending)
        assert (await position_behind(broker, batch(2, "b")))[:2] == (0, 3)
        assert await log_of(broker) == ["b"]

    run(scenario)


def test_a_busy_topic_keeps_only_its_newest_updates(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(0, 60, 20):
            await broker.publish_batch(numbered(n, n + 20))
            await asyncio.sleep(0.002)
        await broker.publish(update("last", TOPIC))
        left = [*map(str, range(51, 60)), "last"]
        assert await log_of(broker) == left
        page = await broker.read(BEGIN, 100, reader=public(TOPIC))
        assert texts(page.records) == left

    run(scenario, topic_events=10, topic_seconds=0)


def test_the_position_that_was_used_least_recently_makes_room(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for name in "abc":
            await broker.publish_batch(batch(0, "x", producer=name))
        await broker.publish_batch(batch(1, producer="a"))
        await broker.publish_batch(batch(0, "x", producer="d"))
        known = [name for name in "abcd" if await broker.position(TOPIC, name)]
        assert known == ["a", "c", "d"]

    run(scenario, of_producers=ProducerBounds(positions=3))


def test_a_position_with_a_lease_stays(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "x", producer="a", lease=leased()))
        await broker.publish_batch(batch(0, "x", producer="b"))
        await broker.publish_batch(batch(0, "x", producer="c", lease=leased()))
        assert await broker.position(TOPIC, "b") is None
        with pytest.raises(TooManyProducersError):
            await broker.publish_batch(batch(0, "y", producer="d"))
        with pytest.raises(SequenceGapError):
            await broker.publish_batch(batch(1, "y", producer="d"))
        # Those that are known go on; one that gives its lease up makes room.
        await broker.publish_batch(batch(1, "z", producer="a"))
        await broker.publish_batch(batch(0, "z", producer="d"))
        known = [name for name in "abcd" if await broker.position(TOPIC, name)]
        assert known == ["c", "d"]
        assert await log_of(broker) == ["x", "x", "x", "z", "z"]

    run(scenario, of_producers=ProducerBounds(positions=2))


def test_a_position_without_a_lease_is_forgotten_some_time_after_its_last_use(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "x", producer="leased", lease=leased()))
        await broker.publish_batch(batch(0, "x"))
        async with asyncio.timeout(10):
            while await broker.position(TOPIC, "p"):
                await asyncio.sleep(0.005)
                await sweep(broker)
        assert await broker.position(TOPIC, "leased")

    run(scenario, of_producers=ProducerBounds(position_seconds=0.02))


def test_a_position_that_was_used_a_moment_ago_is_not_forgotten(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "x"))
        await sweep(broker)
        assert await broker.position(TOPIC, "p")

    run(scenario)
