"""Producers, leases and runs in a Valkey that crashes, refuses, forgets, or is shared."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.producers import (
    INTERRUPTED_DATA,
    Position,
    ProducerBounds,
    SequenceGapError,
)
from barestream.history.valkey import codec
from barestream.history.valkey.broker import ValkeyBroker
from batches import (
    FAR_MS,
    TOPIC,
    batch,
    claim,
    leased,
    numbered,
    of_run,
    position_behind,
    sweep,
    swept,
)
from older_release import OlderRelease
from scenarios import run_on
from support.servers.served import until
from support.servers.valkey_server import ValkeyServer
from topic_updates import lane_of, log_of, public, update

PRODUCERS, USED = "{barestream}:producers", "{barestream}:producers_used"
LEASES, LEASES_USED = "{barestream}:leases", "{barestream}:leases_used"
BOUNDS = HistoryBounds(100_000, 1e6, 100_000_000)


def run(
    server: ValkeyServer,
    scenario: Callable[[ValkeyBroker], Awaitable[None]],
    of_producers: ProducerBounds | None = None,
) -> None:
    run_on(lambda: ValkeyBroker(server.url, BOUNDS, server.password, of_producers), scenario)


def test_an_answered_batch_survives_a_crash_with_its_position(fresh_valkey: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        answered: list[Position] = []

        async def publish_on() -> None:
            for n in itertools.count(0, 5):
                try:
                    answered.append(await position_behind(broker, numbered(n, n + 5)))
                except BrokerAwayError:
                    return

        publisher = asyncio.create_task(publish_on())
        await until(lambda: len(answered) >= 100)
        await asyncio.to_thread(fresh_valkey.kill)
        await publisher
        await asyncio.to_thread(fresh_valkey.start)
        position = await broker.position(TOPIC, "p")
        assert position is not None
        # The last batch may have been accepted without an answer.
        assert position.next in {answered[-1].next, answered[-1].next + 5}
        # Whoever does not know sends the last one again.
        again = await position_behind(broker, numbered(answered[-1].next, answered[-1].next + 5))
        assert await log_of(broker) == [str(n) for n in range(again.next)]

    run(fresh_valkey, scenario)


def test_a_history_that_was_lost_expects_the_first_number(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(numbered(0, 3))
        server.ask("FLUSHALL")
        with pytest.raises(SequenceGapError) as gap:
            await broker.publish_batch(numbered(3, 4))
        assert gap.value.expected == 0

    run(server, scenario)


def test_a_later_run_of_a_lost_history_has_a_later_fence(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        before, _ = await broker.claim(claim("k", "id1"))
        server.ask("FLUSHALL")
        await asyncio.sleep(0.002)
        after, is_new = await broker.claim(claim("k", "id2"))
        assert is_new
        assert after.fence > before.fence

    run(server, scenario)


def test_a_valkey_that_forgot_the_scripts_keeps_each_update_of_a_batch_once(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(10):
            server.ask("SCRIPT", "FLUSH")
            together = (
                broker.publish_batch(numbered(n, n + 1)),
                broker.publish(update(f"plain{n}", "other")),
                broker.publish_batch(numbered(n, n + 1, topic="third")),
            )
            await asyncio.gather(*together)
        assert await lane_of(broker, public(TOPIC)) == [str(n) for n in range(10)]
        assert await lane_of(broker, public("third")) == [str(n) for n in range(10)]
        assert await lane_of(broker, public("other")) == [f"plain{n}" for n in range(10)]

    run(server, scenario)


def test_batches_that_come_at_once_are_sent_together(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        # The first two make the connection, and send the script.
        for name in "ab":
            await broker.publish_batch(batch(0, "x", producer=name))
        before = server.ask("INFO", "stats")["total_reads_processed"]
        together = (broker.publish_batch(batch(0, "x", producer=f"p{n}")) for n in range(50))
        await asyncio.gather(*together)
        # This question and the one before are two of them, and each connects and introduces itself.
        assert server.ask("INFO", "stats")["total_reads_processed"] - before < 20
        assert await log_of(broker) == ["x"] * 52

    run(server, scenario)


def test_a_refused_batch_moves_nothing_and_is_accepted_later(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        lease = leased(0.02)
        before = await position_behind(broker, batch(0, "a", lease=lease))
        server.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            for refused in (batch(1, "b", lease=lease), batch(1, lease=lease)):
                with pytest.raises(BrokerAwayError) as caught:
                    await broker.publish_batch(refused)
                assert (caught.value.cause, caught.value.nothing_taken) == ("OOM", True)
            with pytest.raises(BrokerAwayError):
                await broker.claim(claim("k", "id"))
            await asyncio.sleep(0.04)
            with pytest.raises(BrokerAwayError):
                await broker.end_overdue(FAR_MS, FAR_MS)
            assert await broker.position(TOPIC, "p") == before
            assert await broker.run("k") is None
        finally:
            server.ask("CONFIG", "SET", "maxmemory", "0")
        await broker.publish_batch(batch(1, "b", lease=lease))
        assert await swept(broker) == [TOPIC]
        assert await log_of(broker) == ["a", "b", INTERRUPTED_DATA]

    run(server, scenario)


def test_of_workers_that_sweep_at_once_one_ends_each_topic(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        other = ValkeyBroker(server.url, BOUNDS, server.password)
        topics = [f"t{n}" for n in range(60)]
        for topic in topics:
            await broker.publish_batch(batch(0, "a", topic=topic, lease=leased(0.001)))
        await asyncio.sleep(0.01)
        found = await asyncio.gather(*(sweep(each) for each in (broker, other) * 3))
        assert sorted(itertools.chain(*found)) == sorted(topics)
        assert {*await other.ends()} == {*topics}
        await other.close()

    run(server, scenario)


def test_a_lease_that_lies_in_the_future_begins_again(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased(0.05)))
        await broker.publish_batch(batch(0, "a", producer="q"))
        hour_ms = 3_600_000
        # As an hour passes that is then taken back.
        for key, hour in ((LEASES, hour_ms), (LEASES_USED, 1000 * hour_ms), (USED, 1000 * hour_ms)):
            [name] = server.ask("ZRANGE", key, 0, -1)
            server.ask("ZINCRBY", key, hour, name)
        now_ms = (await broker.end_overdue(0, 0)).now_ms
        [_, until_ms] = server.ask("ZRANGE", LEASES, 0, -1, "WITHSCORES")
        assert now_ms < float(until_ms) <= now_ms + 50
        for key in (LEASES_USED, USED):
            [_, used_us] = server.ask("ZRANGE", key, 0, -1, "WITHSCORES")
            assert float(used_us) < 1000 * (now_ms + 1)
        assert await swept(broker) == [TOPIC]

    run(server, scenario)


def test_all_leases_that_lie_in_the_future_begin_again_at_once(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(250):
            await broker.publish_batch(batch(0, "a", topic=f"t{n}", lease=leased()))
        names = server.ask("ZRANGE", LEASES_USED, 0, -1)
        for name in names:
            server.ask("ZINCRBY", LEASES_USED, 3_600_000_000, name)
        now_ms = (await broker.end_overdue(0, 0)).now_ms
        assert server.ask("ZCOUNT", LEASES_USED, 1000 * (now_ms + 1), "+inf") == 0

    run(server, scenario)


def test_names_whose_entries_somebody_has_removed_are_forgotten(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased(0.001)))
        await broker.publish_batch(batch(0, "a", producer="q"))
        server.ask("DEL", PRODUCERS)
        server.ask("ZINCRBY", USED, 1e15, codec.producer_name(TOPIC, "q"))
        async with asyncio.timeout(10):
            while (await broker.end_overdue(FAR_MS, FAR_MS)).leases:
                await asyncio.sleep(0.005)
        assert [server.ask("EXISTS", key) for key in (USED, LEASES, LEASES_USED)] == [0, 0, 0]
        await broker.publish_batch(batch(0, "b"))
        assert await log_of(broker) == ["a", "a", "b"]

    run(server, scenario)


@pytest.mark.parametrize("entry", ["xx", "", "\u0000"])
def test_an_entry_that_cannot_be_read_stops_no_other_lease(
    server: ValkeyServer, entry: str
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(batch(0, "a", topic="bad", lease=leased(0.001)))
        await broker.publish_batch(batch(0, "a", producer="q"))
        await broker.publish_batch(batch(0, "a", lease=leased(0.02)))
        server.ask("HSET", PRODUCERS, codec.producer_name("bad", "p"), entry)
        server.ask("HSET", PRODUCERS, codec.producer_name(TOPIC, "q"), entry)
        server.ask("ZINCRBY", USED, 1e15, codec.producer_name(TOPIC, "q"))
        assert await swept(broker) == [TOPIC]
        assert await broker.position("bad", "p") is None
        assert server.ask("HLEN", PRODUCERS) == server.ask("ZCARD", USED) == 1
        assert [server.ask("EXISTS", key) for key in (LEASES, LEASES_USED)] == [0, 0]

    run(server, scenario)


def test_a_producer_whose_entry_cannot_be_read_begins_anew(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(batch(0, "a", lease=leased()))
        server.ask("HSET", PRODUCERS, codec.producer_name(TOPIC, "p"), "xx")
        assert (await position_behind(broker, batch(0, "b"))).next == 1
        assert [server.ask("EXISTS", key) for key in (USED, LEASES, LEASES_USED)] == [1, 0, 0]
        assert (await broker.end_overdue(FAR_MS, FAR_MS))[1:] == (0, [])

    run(server, scenario)


def test_a_smaller_bound_forgets_positions_a_few_at_a_time(server: ValkeyServer) -> None:
    async def fill(broker: ValkeyBroker) -> None:
        for n in range(40):
            await broker.publish_batch(batch(0, "x", producer=f"p{n}"))

    async def shrink(broker: ValkeyBroker) -> None:
        for n in range(40, 45):
            await broker.publish_batch(batch(0, "x", producer=f"p{n}"))
        known = [n for n in range(45) if await broker.position(TOPIC, f"p{n}")]
        assert known == [*range(40, 45)]
        assert server.ask("HLEN", PRODUCERS) == server.ask("ZCARD", USED) == 5

    run(server, fill)
    run(server, shrink, ProducerBounds(positions=5))


def test_a_batch_to_a_large_topic_whose_end_is_over_waits_until_it_is_forgotten(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(0, 1000, 100):
            await broker.publish_batch(numbered(n, n + 100, producer="before"))
        await broker.publish(update("end", TOPIC, end=0.001))
        await asyncio.sleep(0.01)
        together = [
            broker.publish_batch(batch(0, "a", "b")),
            broker.publish_batch(batch(0, "c", producer="q")),
            broker.publish(update("d", TOPIC)),
        ]
        await asyncio.gather(*together)
        assert sorted(await log_of(broker)) == ["a", "b", "c", "d"]
        assert sorted(await lane_of(broker, public(TOPIC))) == ["a", "b", "c", "d"]

    run(server, scenario)


def test_a_lease_of_a_large_topic_whose_end_is_over_ends_nothing_early(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(0, 1000, 100):
            await broker.publish_batch(numbered(n, n + 100, producer="before"))
        await broker.publish_batch(batch(0, "a", lease=leased(0.001)))
        await broker.publish(update("end", TOPIC, end=0.001))
        await asyncio.sleep(0.01)
        # The topic is used anew by then, and ends once all that it had is forgotten.
        assert await swept(broker) == [TOPIC]
        assert await log_of(broker) == [INTERRUPTED_DATA]

    run(server, scenario)


# --- beside the release before ---


def test_batches_and_the_release_before_share_the_log(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        older.publish(update("old1", TOPIC))
        await broker.publish_batch(batch(0, "1", "2", lease=leased(0.02)))
        older.publish(update("old2", TOPIC))
        await broker.publish_batch(batch(1, "2", "3", lease=leased(0.02)))
        older.publish(update("old3", TOPIC))
        assert await swept(broker) == [TOPIC]
        whole = ["old1", "1", "2", "old2", "3", "old3", INTERRUPTED_DATA]
        assert await log_of(broker) == whole
        assert await lane_of(broker, public(TOPIC)) == whole

    run(server, scenario)


def test_a_topic_that_the_release_before_used_anew_takes_a_lease(server: ValkeyServer) -> None:
    publish = """
local state = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
state.next = state.next + 1
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(state))
"""

    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish_batch(batch(0, update("end", TOPIC, end=0.001)))
        await asyncio.sleep(0.01)
        # It goes on without a word about the end.
        server.ask("EVAL", publish, 1, PRODUCERS, codec.producer_name(TOPIC, "p"))
        await broker.publish_batch(batch(2, lease=leased()))
        assert (await broker.end_overdue(0, 0)).leases == 1

    run(server, scenario)


def test_what_the_release_before_removes_leaves_positions_and_runs(server: ValkeyServer) -> None:
    older = OlderRelease(server, events=2)

    async def scenario(broker: ValkeyBroker) -> None:
        position = await position_behind(broker, numbered(0, 5))
        started, _ = await broker.claim(claim("k", "id"))
        await broker.publish_batch(of_run(started, 0, "a"))
        for n in range(3):
            older.publish(update(f"old{n}", "other"))
        older.trim()
        assert await broker.position(TOPIC, "p") == position
        assert await position_behind(broker, numbered(3, 5)) == position
        assert await broker.run("k") == started
        assert (await position_behind(broker, of_run(started, 1, "b"))).next == 2

    run(server, scenario)


def test_a_log_of_the_release_before_gets_a_batch_behind_its_entries(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(700):
            older.publish(update(f"old{n}", TOPIC))
        await broker.publish_batch(batch(0, "1", "2", update("3", TOPIC, private=True), "4"))
        whole = [*(f"old{n}" for n in range(700)), "1", "2", "4"]
        assert await lane_of(broker, public(TOPIC)) == whole

    run(server, scenario)
