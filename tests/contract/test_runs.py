"""What every broker promises of runs."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker, TopicEndedError
from barestream.history.producers import (
    INTERRUPTED_DATA,
    Position,
    ProducerBounds,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
    TooManyRunsError,
    UnknownRunError,
)
from batches import FAR_MS, TOPIC, batch, claim, leased, of_run, position_behind, sweep, swept
from topic_updates import log_of, update

Run = Callable[..., None]

SHORT_SECONDS = 0.02


def test_only_one_run_of_a_key_is_started(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin_ms = (await broker.end_overdue(0, 0)).now_ms
        claims = [claim("k ä", f"id{number}") for number in range(20)]
        answers = await asyncio.gather(*map(broker.claim, claims))
        [started] = [given for given, is_new in answers if is_new]
        assert {given for given, _ in answers} == {started}
        assert started == await broker.run("k ä")
        assert started.topic == claims[int(started.id[2:])].topic
        assert (started.key, started.runner, started.status) == ("k ä", "host", "running")
        assert begin_ms <= started.started_ms <= (await broker.end_overdue(0, 0)).now_ms
        assert await broker.position(started.topic, started.id) == Position(started.fence, 0, None)
        other, is_new = await broker.claim(claim("other", "id"))
        assert is_new
        assert other.fence > started.fence
        assert await broker.run("third") is None
        assert await broker.run("third\ud800") is None

    run(scenario)


def test_a_run_publishes_and_ends_with_a_status(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id"))
        await broker.publish_batch(of_run(started, 0, "a", "b"))
        last = of_run(started, 2, "c", "end")._replace(status="failed")
        position = await position_behind(broker, last)
        assert await broker.run("k") == started._replace(status="failed")
        assert (await broker.end_overdue(0, 0)).leases == 0
        # An answer may have been lost.
        again = last._replace(lease=leased(SHORT_SECONDS), status="done")
        assert await position_behind(broker, again) == position
        assert (await broker.end_overdue(0, 0)).leases == 0
        assert await broker.run("k") == started._replace(status="failed")
        with pytest.raises(TopicEndedError):
            await broker.publish_batch(of_run(started, 4, "d"))
        assert await log_of(broker) == ["a", "b", "c", "end"]

    run(scenario)


def test_a_run_that_names_no_status_is_done(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id"))
        await broker.publish_batch(of_run(started, 0, "end"))
        assert await broker.run("k") == started._replace(status="done")

    run(scenario)


def test_a_later_run_takes_the_place_of_one_that_has_ended(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first, _ = await broker.claim(claim("k", "id1"))
        await broker.publish_batch(of_run(first, 0, "a", "end"))
        second, is_new = await broker.claim(claim("k", "id2"))
        assert is_new
        assert second.fence > first.fence
        for late in (of_run(first, 0, "a"), of_run(first, 2, "b"), of_run(first, 2)):
            with pytest.raises(UnknownRunError):
                await broker.publish_batch(late)
        await broker.publish_batch(of_run(second, 0, "c"))
        assert await log_of(broker) == ["a", "end", "c"]
        assert await broker.run("k") == second

    run(scenario)


def test_a_claim_that_is_sent_again_starts_no_second_run(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id"))
        assert await broker.claim(claim("k", "id")) == (started, False)
        await broker.publish_batch(of_run(started, 0, "a", "end"))
        ended = started._replace(status="done")
        assert await broker.claim(claim("k", "id")) == (ended, False)
        assert await broker.run("k") == ended
        assert (await broker.end_overdue(0, 0)).leases == 0

    run(scenario)


def test_a_run_that_gets_the_id_of_a_forgotten_one_takes_its_place(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first, _ = await broker.claim(claim("k", "id", expires=0.001))
        await broker.publish_batch(batch(0, "x"))
        await broker.publish_batch(of_run(first, 0, update("end", first.topic, end=0.001)))
        await asyncio.sleep(0.01)
        second, is_new = await broker.claim(claim("k", "id", expires=0.001))
        assert is_new
        assert await broker.position(TOPIC, "p")
        assert await broker.publish_batch(of_run(second, 0, "a")) is not None
        # The position of the first is not left behind, to be forgotten some time.
        async with asyncio.timeout(10):
            while await broker.position(TOPIC, "p"):
                await asyncio.sleep(0.005)
                await sweep(broker)
        assert await broker.position(second.topic, second.id)
        assert (await position_behind(broker, of_run(second, 1, "b"))).next == 2

    run(scenario, of_producers=ProducerBounds(positions=2, position_seconds=0.1))


def test_a_run_may_be_unknown_as_soon_as_it_ends(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id", expires=0))
        position = await position_behind(broker, of_run(started, 0, "a", "end"))
        assert position.next == 2
        assert await broker.position(started.topic, started.id) == position
        assert await broker.run("k") is None
        assert (await broker.end_overdue(FAR_MS, FAR_MS))[1:] == (0, [])
        assert await log_of(broker) == ["a", "end"]

    run(scenario)


def test_a_batch_of_a_run_needs_its_claim_and_its_fence(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id"))
        await broker.publish_batch(batch(0, "x"))
        other = started._replace(id="other")
        for unknown in (
            batch(1, "y")._replace(is_run=True),
            of_run(other, 0, "y"),
            of_run(started._replace(topic="other"), 0, "y"),
            of_run(started._replace(fence=started.fence + 1), 0, "y"),
        ):
            with pytest.raises(UnknownRunError):
                await broker.publish_batch(unknown)
        with pytest.raises(StaleEpochError):
            await broker.publish_batch(of_run(started._replace(fence=started.fence - 1), 0, "y"))
        with pytest.raises(SequenceGapError):
            await broker.publish_batch(of_run(started, 1, "y"))
        assert await log_of(broker) == ["x"]

    run(scenario)


def test_a_run_ends_as_interrupted_when_its_runner_does_not_come_back(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id", lease=leased(SHORT_SECONDS)))
        assert await swept(broker) == [started.topic]
        assert await broker.run("k") == started._replace(status="interrupted")
        assert await log_of(broker) == [INTERRUPTED_DATA]
        with pytest.raises(TopicEndedError):
            await broker.publish_batch(of_run(started, 0, "a"))

    run(scenario)


def test_a_renewal_of_a_run_that_has_ended_is_refused(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        silent, _ = await broker.claim(claim("silent", "id1", lease=leased(SHORT_SECONDS)))
        assert await swept(broker) == [silent.topic]
        started, _ = await broker.claim(claim("k", "id2"))
        assert await position_behind(broker, of_run(started, 0)) == Position(started.fence, 0, None)
        await broker.publish_batch(of_run(started, 0, "a", "end"))
        for ended, first in ((silent, 0), (started, 2)):
            with pytest.raises(UnknownRunError):
                await broker.publish_batch(of_run(ended, first))
        # Before a batch that comes again because its answer was lost.
        assert (await position_behind(broker, of_run(started, 0))).next == 2

    run(scenario)


def test_a_run_keeps_its_lease_also_when_a_batch_names_none(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id", lease=leased(SHORT_SECONDS)))
        await broker.publish_batch(of_run(started, 0, "a"))
        assert (await broker.end_overdue(0, 0)).leases == 1
        assert await swept(broker) == [started.topic]
        assert await log_of(broker) == ["a", INTERRUPTED_DATA]

    run(scenario)


def test_a_run_is_unknown_when_its_time_is_over(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id", expires=SHORT_SECONDS))
        await asyncio.sleep(2 * SHORT_SECONDS)
        assert await broker.run("k") == started
        await broker.publish_batch(of_run(started, 0, "a", "end"))
        async with asyncio.timeout(10):
            while await broker.run("k"):
                await asyncio.sleep(0.005)
        with pytest.raises(UnknownRunError):
            await broker.publish_batch(of_run(started, 0, "a", "end"))
        assert (await broker.claim(claim("k", "id2")))[1]
        await sweep(broker)
        assert (await broker.run("k") or started).id == "id2"

    run(scenario)


def test_a_run_that_has_ended_cannot_write_when_its_topic_was_forgotten(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        started, _ = await broker.claim(claim("k", "id"))
        ending = of_run(started, 0, update("end", started.topic, end=0.001))
        await broker.publish_batch(ending)
        await asyncio.sleep(0.01)
        assert (await position_behind(broker, ending))[:2] == (started.fence, 1)
        with pytest.raises(UnknownRunError):
            await broker.publish_batch(of_run(started, 1, "b"))
        await broker.trim()
        assert await log_of(broker) == []

    run(scenario)


def test_the_run_that_is_forgotten_first_makes_room(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for key, expires in (("a", 60), ("b", 30), ("c", 60)):
            started, _ = await broker.claim(claim(key, "id", expires=expires))
            if key != "c":
                await broker.publish_batch(of_run(started, 0, "end"))
        await broker.claim(claim("d", "id"))
        await broker.claim(claim("e", "id"))
        assert [key for key in "abcde" if await broker.run(key)] == ["c", "d", "e"]
        with pytest.raises(TooManyRunsError):
            await broker.claim(claim("f", "id"))
        # A key that has one needs no room.
        assert not (await broker.claim(claim("c", "id2")))[1]

    run(scenario, of_producers=ProducerBounds(runs=3))


def test_a_run_needs_room_for_its_producer(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased()))
        with pytest.raises(TooManyProducersError):
            await broker.claim(claim("k", "id"))
        assert await broker.run("k") is None
        await broker.publish_batch(batch(1))
        assert (await broker.claim(claim("k", "id")))[1]
        assert await broker.position(TOPIC, "p") is None
        assert (await broker.end_overdue(0, FAR_MS)).leases == 1

    run(scenario, of_producers=ProducerBounds(positions=1))
