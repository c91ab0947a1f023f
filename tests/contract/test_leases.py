"""What every broker promises of leases."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker, TopicEndedError
from barestream.history.producers import END_TYPE, INTERRUPTED_DATA, Batch
from barestream.history.record import BEGIN
from batches import FAR_MS, HOUR_SECONDS, TOPIC, batch, leased, position_behind, sweep, swept
from topic_updates import log_of, update

Run = Callable[..., None]

SHORT_SECONDS = 0.02


@pytest.mark.parametrize("private", [False, True])
def test_a_topic_ends_whose_producer_does_not_come_back(run: Run, private: bool) -> None:
    async def scenario(broker: Broker) -> None:
        lease = leased(SHORT_SECONDS, private=private)
        await broker.publish_batch(batch(0, "a", lease=lease))
        assert await swept(broker) == [TOPIC]
        record = (await broker.read(BEGIN, 10)).records[-1]
        last = update(INTERRUPTED_DATA, TOPIC, private=private, end=HOUR_SECONDS)
        object.__setattr__(last.event, "type", END_TYPE)
        assert record == last.at(record.place)
        end = (await broker.ends())[TOPIC]
        assert (end.known.place, end.known.private) == (record.place, private)
        with pytest.raises(TopicEndedError):
            await broker.publish(update("b", TOPIC))
        # It is ended once, and what was published is still answered.
        assert (await broker.end_overdue(FAR_MS, FAR_MS))[1:] == (0, [])
        assert (await position_behind(broker, batch(0, "a")))[:2] == (0, 1)

    run(scenario)


def test_a_topic_goes_on_while_its_producer_comes_back(run: Run) -> None:
    lease = leased(0.5)

    async def comes_back(broker: Broker, topic: str) -> bool:
        """Have a producer come back for longer than its lease; return False if it was too slow."""
        begin_ms = renewed_ms = (await broker.end_overdue(0, 0)).now_ms
        await broker.publish_batch(batch(0, "a", topic=topic, lease=lease))
        while renewed_ms < begin_ms + 1500 * lease.seconds:
            found = await broker.end_overdue(FAR_MS, FAR_MS)
            if found.now_ms >= renewed_ms + 1000 * lease.seconds:
                return False
            assert found[1:] == (1, [])
            renewed_ms = found.now_ms
            # The lease runs from the last batch on, also if that is empty.
            await broker.publish_batch(batch(1, topic=topic, lease=lease))
            await asyncio.sleep(0.01)
        await broker.publish_batch(batch(1, topic=topic))
        return True

    async def scenario(broker: Broker) -> None:
        for number in range(10):
            if await comes_back(broker, f"t{number}"):
                return
            await broker.publish_batch(batch(1, topic=f"t{number}"))
        pytest.fail("this machine is too slow for leases of half a second")

    run(scenario)


def test_a_lease_ends_with_its_topic_or_with_a_batch_without_one(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased()))
        assert (await broker.end_overdue(0, 0)).leases == 1
        await broker.publish_batch(batch(0))
        assert (await broker.end_overdue(0, 0)).leases == 0
        last = update("end", TOPIC, end=60)
        await broker.publish_batch(batch(1, last, lease=leased()))
        assert (await broker.end_overdue(0, 0)).leases == 0

    run(scenario)


async def forgotten(broker: Broker) -> None:
    """Wait until the end of the topic is over."""
    async with asyncio.timeout(10):
        while TOPIC in await broker.ends():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("end_seconds", [60, SHORT_SECONDS])
def test_a_lease_does_not_come_back_with_what_is_sent_again_after_the_end(
    run: Run, end_seconds: float
) -> None:
    whole = batch(0, "a", update("end", TOPIC, end=end_seconds), lease=leased(SHORT_SECONDS))

    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(whole)
        if end_seconds == SHORT_SECONDS:
            await forgotten(broker)
        for again in (whole, batch(2, lease=leased(SHORT_SECONDS)), whole._replace(updates=[])):
            await broker.publish_batch(again)
            assert (await broker.end_overdue(0, 0)).leases == 0

    run(scenario)


def test_a_lease_does_not_come_back_with_an_update_whose_id_was_there_before_the_end(
    run: Run,
) -> None:
    own = update("own", TOPIC, own_id="own")

    async def scenario(broker: Broker) -> None:
        await broker.publish(own)
        await broker.publish_batch(batch(0, update("end", TOPIC, end=60), lease=leased()))
        await broker.publish_batch(batch(1, own, lease=leased()))
        assert (await broker.end_overdue(0, 0)).leases == 0

    run(scenario)


@pytest.mark.parametrize("begin", [batch(1, "b"), batch(0, epoch=1)])
def test_a_producer_that_uses_a_forgotten_topic_anew_takes_a_lease(run: Run, begin: Batch) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, update("end", TOPIC, end=SHORT_SECONDS)))
        await forgotten(broker)
        following = begin._replace(first=begin.first + len(begin.updates), updates=[])
        for each in (begin, begin, following):
            await broker.publish_batch(each._replace(lease=leased()))
            assert (await broker.end_overdue(0, 0)).leases == 1

    run(scenario)


def test_a_producer_that_brings_nothing_to_an_ended_topic_takes_no_lease(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased()))
        await broker.publish(update("end", TOPIC, end=60))
        for epoch in (0, 1):
            await broker.publish_batch(batch(0, epoch=epoch, lease=leased()))
            assert (await broker.end_overdue(0, 0)).leases == 0

    run(scenario)


def test_a_topic_that_another_has_ended_is_left_alone(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased(SHORT_SECONDS)))
        await broker.publish(update("end", TOPIC, end=60))
        async with asyncio.timeout(10):
            while (found := await broker.end_overdue(FAR_MS, FAR_MS)).leases:
                assert found.topics == []
                await asyncio.sleep(0.005)
        assert await log_of(broker) == ["a", "end"]
        assert await broker.position(TOPIC, "p")

    run(scenario)


def test_the_first_of_two_leases_that_is_over_ends_their_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for name in "pq":
            lease = leased(SHORT_SECONDS)
            await broker.publish_batch(batch(0, "a", producer=name, lease=lease))
        topics = await swept(broker)
        async with asyncio.timeout(10):
            while (found := await broker.end_overdue(FAR_MS, FAR_MS)).leases:
                topics += found.topics
        assert topics == [TOPIC]
        assert await log_of(broker) == ["a", "a", INTERRUPTED_DATA]

    run(scenario)


def test_leases_stay_that_end_later_or_are_longer_than_the_caller_knows_time(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin_ms = (await broker.end_overdue(0, 0)).now_ms
        await broker.publish_batch(batch(0, "a", lease=leased(SHORT_SECONDS)))
        await asyncio.sleep(4 * SHORT_SECONDS)
        assert (await broker.end_overdue(begin_ms + 1000 * SHORT_SECONDS - 1, FAR_MS))[2] == []
        assert (await broker.end_overdue(FAR_MS, 1000 * SHORT_SECONDS - 1))[2] == []
        assert await swept(broker) == [TOPIC]

    run(scenario)


def test_leases_that_stay_keep_none_behind_them_from_its_end(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        longer, shorter = leased(2 * SHORT_SECONDS), leased(SHORT_SECONDS)
        for number in range(250):
            topic = f"longer{number}"
            await broker.publish_batch(batch(0, "a", topic=topic, lease=longer))
        await asyncio.sleep(SHORT_SECONDS)
        for number in range(50):
            topic = f"shorter{number}"
            await broker.publish_batch(batch(0, "a", topic=topic, lease=shorter))
        await asyncio.sleep(2 * SHORT_SECONDS)
        found = await broker.end_overdue(FAR_MS, 1000 * SHORT_SECONDS)
        assert sorted(found.topics) == sorted(f"shorter{number}" for number in range(50))
        assert found.leases == 250
        assert len(await sweep(broker)) == 250

    run(scenario)
