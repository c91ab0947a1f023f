"""A replica that has become the primary lacks updates: all is told, and no place is given twice."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.producers import Claim, Lease
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind
from barestream.history.update import Update
from barestream.history.valkey import sentinels
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.reign import OVERLAP_MS
from barestream.mercure.sse import Event
from batches import batch
from reader import LateBroker, Reader, at_last, closing
from support.judges.published import data_of
from support.servers.scripted_sentinel import ScriptedSentinel
from support.servers.sentinel_group import has_all, replicate
from support.servers.served import until
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer
from support.servers.wall_clock import WallClock

BOUNDS = HistoryBounds(events=1000, seconds=1e9, bytes=10_000_000)

LOG, STATE = "{barestream}:log", "{barestream}:state"

LACKS = "the primary lacks updates of the earlier one: all streams are sent a gap"


@pytest.fixture(scope="module")
def clock() -> Iterator[WallClock]:
    """Return the clock of the replica's machine."""
    with WallClock() as moved:
        yield moved


class Pair:
    """A primary, its replica, and a sentinel that names the primary."""

    def __init__(self, primary: ValkeyServer, replica: ValkeyServer, clock: WallClock) -> None:
        self.primary = primary
        self.replica = replica
        self.clock = clock
        self.sentinel = ScriptedSentinel(primary)

    def cut_off(self) -> None:
        """Have the replica get no further updates, once it has all."""
        wait_for("a replica that has all", lambda: has_all(self.replica, self.primary))
        # Nothing listens on port 1, so the replica keeps its data.
        self.replica.ask("REPLICAOF", "127.0.0.1", "1")

    def promote(self) -> None:
        """Make the replica the primary, and have the sentinel name it."""
        self.replica.ask("REPLICAOF", "NO", "ONE")
        self.sentinel.name(self.replica)

    def broker(self, sentinel: ScriptedSentinel | None = None) -> LateBroker:
        """Return the broker of a worker that asks this sentinel, or that of the pair."""
        port = (sentinel or self.sentinel).port
        url = f"redis+sentinel://barestream@127.0.0.1:{port}/s"
        return LateBroker(url, BOUNDS, self.primary.password)


@pytest.fixture(scope="module")
def servers(clock: WallClock) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    with ValkeyServer() as primary, ValkeyServer(clock.environment) as replica:
        yield primary, replica


@pytest.fixture
def pair(
    servers: tuple[ValkeyServer, ValkeyServer],
    clock: WallClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Pair]:
    monkeypatch.setattr(sentinels, "WATCH_SECONDS", 0.02)
    for each in servers:
        each.ask("REPLICAOF", "NO", "ONE")
        each.ask("CONFIG", "SET", "min-replicas-to-write", "0")
    servers[0].ask("FLUSHALL")
    replicate(servers[1], servers[0])
    yield Pair(*servers, clock)
    clock.move(0)


def update(data: str) -> Update:
    return Update(("topic",), Event(data))


@asynccontextmanager
async def workers(pair: Pair, count: int = 2) -> AsyncIterator[list[LateBroker]]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pair.sentinel.served())
        brokers = [pair.broker() for _ in range(count)]
        for each in brokers:
            stack.push_async_callback(each.close)
        yield brokers


async def published(broker: ValkeyBroker, data: str) -> Place:
    """Publish an update as a publisher does that tries again; return its place."""
    return Place.parse(await at_last(lambda: broker.publish(update(data))))


def put(server: ValkeyServer, place: Place, data: str) -> None:
    """Add an update at a place, as a server gives it whose clock is there."""
    fields = ("v", "1", "topics", '["topic"]', "data", data)
    server.ask("XADD", LOG, str(place)[1:], *fields)


async def place_after_the_failover(broker: ValkeyBroker, pair: Pair, data: str) -> Place:
    """Publish to the later primary; return the place."""
    pair.promote()
    await until(lambda: broker._server.epoch)
    return await published(broker, data)


@pytest.mark.parametrize("behind_seconds", [0, 30])
def test_streams_that_had_lost_updates_get_a_gap_and_others_get_it_too_and_places_go_forward(
    pair: Pair, behind_seconds: int
) -> None:
    async def scenario() -> None:
        async with workers(pair) as (early, late):
            reader, behind = Reader(early), Reader(late)
            async with reader.following(), behind.following():
                await early.publish(update("a"))
                await until(lambda: reader.events() == behind.events() == ["a"])
                pair.cut_off()
                pair.clock.move(-behind_seconds)
                late.is_held = True
                lost = Place.parse(await early.publish(update("lost")))
                await until(lambda: reader.events() == ["a", "lost"])
                early.is_held = True
                # A worker that has not seen the lost update publishes before one that has looks.
                after = await place_after_the_failover(late, pair, "b")
                assert after > lost
                early.is_held = late.is_held = False
                await until(lambda: reader.events() == ["a", "lost", "gap", "b", "gap"])
                await until(lambda: behind.events() == ["a", "b", "gap"])
                assert await reader.gets_from(str(lost)) == ["gap", "b", "gap"]

    asyncio.run(scenario())


def test_a_worker_gives_no_place_at_or_before_one_that_it_sent_however_far_the_clock_is_behind(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                pair.cut_off()
                pair.clock.move(-86_400)
                lost = Place.parse(await broker.publish(update("lost")))
                await until(lambda: reader.events() == ["a", "lost"])
                await until(lambda: broker._server.reign.last == lost)
                assert await place_after_the_failover(broker, pair, "b") > lost
                # The history's own gap comes first: the worker has told what it has read.
                await until(lambda: reader.events() == ["a", "lost", "gap", "gap", "b"])

    asyncio.run(scenario())


@pytest.mark.parametrize("behind_seconds", [0, 30])
def test_a_later_primary_gives_no_place_that_the_earlier_one_may_give_until_all_workers_leave_it(
    pair: Pair, behind_seconds: int
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            await broker.publish(update("a"))
            pair.cut_off()
            pair.clock.move(-behind_seconds)
            earlier_ms = pair.primary.now_ms()
            after = await place_after_the_failover(broker, pair, "b")
            assert after.ms > earlier_ms + OVERLAP_MS

    asyncio.run(scenario())


def test_a_failover_without_a_loss_sends_no_gap(pair: Pair) -> None:
    async def scenario() -> None:
        async with workers(pair) as (first, second):
            readers = [Reader(first), Reader(second)]
            async with readers[0].following(), readers[1].following():
                await first.publish(update("a"))
                await until(lambda: all(each.events() == ["a"] for each in readers))
                pair.cut_off()
                await place_after_the_failover(second, pair, "b")
                await until(lambda: all(each.events() == ["a", "b"] for each in readers))

    asyncio.run(scenario())


def test_a_gap_is_sent_at_once_also_if_the_later_primary_has_too_few_replicas_for_updates(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                pair.cut_off()
                await broker.publish(update("lost"))
                await until(lambda: reader.events() == ["a", "lost"])
                pair.replica.ask("CONFIG", "SET", "min-replicas-to-write", "1")
                pair.promote()
                await until(lambda: reader.events() == ["a", "lost", "gap"])
                with pytest.raises(BrokerAwayError) as caught:
                    await broker.publish(update("refused"))
                assert (caught.value.cause, caught.value.nothing_taken) == ("NOREPLICAS", True)
                pair.replica.ask("CONFIG", "SET", "min-replicas-to-write", "0")
                # The gap of those that come back later is in the history once it takes updates.
                await until(lambda: reader.events() == ["a", "lost", "gap", "gap"])
                await published(broker, "b")
                await until(lambda: reader.events()[4:] == ["b"])

    asyncio.run(scenario())


@pytest.mark.parametrize("way", ["one", "several", "of a producer", "of a producer, with an id"])
def test_an_accepted_update_that_is_lost_before_any_worker_has_read_it_is_reported_to_all_streams(
    pair: Pair, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    lost = Update(("topic",), Event("lost", "urn:lost" if "an id" in way else None))

    async def publish(broker: ValkeyBroker) -> None:
        if way == "one":
            await broker.publish(lost)
        elif way == "several":
            await broker.publish_all([lost])
        else:
            await broker.publish_batch(batch(0, lost, topic="topic"))

    async def scenario() -> None:
        async with workers(pair) as (reading, publishing):
            reader = Reader(reading)
            async with reader.following():
                before = await publishing.publish(update("a"))
                await until(lambda: reader.events() == ["a"])
                pair.cut_off()
                # It hears of nothing that the earlier primary takes from here on.
                reading.is_deaf = True
                await publish(publishing)
                await place_after_the_failover(publishing, pair, "b")
                reading.is_deaf = False
                await until(lambda: len(reader.events()) == 3)
                assert sorted(reader.events()) == ["a", "b", "gap"]
                assert sorted(await reader.gets_from(before)) == ["b", "gap"]
                assert "barestream_history_lost_total 1.0" in reader.feed.metrics.text().decode()
                lines = [each.message for each in caplog.records if each.levelname == "ERROR"]
                assert lines == [LACKS]

    asyncio.run(scenario())


@pytest.mark.parametrize("is_ahead", [False, True], ids=["", "with one time for all its places"])
def test_an_update_that_the_earlier_primary_accepts_after_a_loss_was_reported_is_reported_too(
    pair: Pair, is_ahead: bool
) -> None:
    async def scenario() -> None:
        slow = ScriptedSentinel(pair.primary)
        async with workers(pair, 1) as [broker], slow.served():
            late = pair.broker(slow)
            reader = Reader(broker)
            async with closing(late), reader.following():
                if is_ahead:
                    # As after a failover a moment ago.
                    ahead = f"{pair.primary.now_ms() + 50_000}-0"
                    pair.primary.ask("XADD", LOG, ahead, "topics", '["other"]', "data", "")
                await broker.publish(update("a"))
                await late.publish(update("b"))
                pair.cut_off()
                await broker.publish(update("lost"))
                await until(lambda: reader.events()[-3:] == ["a", "b", "lost"])
                after = await place_after_the_failover(broker, pair, "c")
                await until(lambda: reader.feed.sent >= after)
                told = reader.events().count("gap")
                # The worker has estimated the clock of the earlier primary.
                place = pair.replica.ask("HGET", STATE, "lost")
                [(_, reported)] = pair.replica.ask("XRANGE", LOG, place, place)
                reported_ms = int(reported[b"lost"].partition(b"-")[0])
                await until(lambda: is_ahead or pair.primary.now_ms() > reported_ms)
                await late.publish(update("lost, too"))
                slow.name(pair.replica)
                await until(lambda: late._server.epoch)
                after = await published(late, "d")
                await until(lambda: reader.feed.sent >= after)
                assert reader.events()[-2:] == ["gap", "d"]
                assert reader.events().count("gap") == told + 1

    asyncio.run(scenario())


def test_a_worker_whose_last_place_has_another_update_in_the_later_history_sends_all_of_that(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        slow = ScriptedSentinel(pair.primary)
        async with workers(pair, 1) as [broker], slow.served():
            late = pair.broker(slow)
            reader = Reader(late)
            async with closing(late), reader.following():
                await broker.publish(update("a"))
                await until(lambda: reader.events() == ["a"])
                pair.cut_off()
                await place_after_the_failover(broker, pair, "b")
                place = await published(broker, "c")
                # Both go on for long: most sentinels are on the other side of a cut.
                put(pair.primary, place, "late")
                await until(lambda: reader.events() == ["a", "late"])
                slow.name(pair.replica)
                await until(lambda: late._server.epoch)
                await published(late, "d")
                await until(lambda: "d" in reader.events())
                assert reader.events()[:3] == ["a", "late", "gap"]
                assert [each for each in reader.events()[3:] if each != "gap"] == ["b", "c", "d"]

    asyncio.run(scenario())


def test_a_reader_hears_of_another_primary_also_if_it_was_not_waiting_at_that_moment(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            await broker.publish(update("a"))
            place = (await broker.wait(BEGIN, 10)).upto
            await place_after_the_failover(broker, pair, "b")
            with pytest.raises(BrokerAwayError, match="another server has become the primary"):
                await broker.wait(place, 10)
            assert [data_of(each) for each in (await broker.wait(place, 10)).records] == ["b"]

    asyncio.run(scenario())


def test_a_client_with_a_late_update_of_the_earlier_primary_gets_what_the_later_one_took_before_it(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                pair.cut_off()
                before = await place_after_the_failover(broker, pair, "b")
                # Another worker has not left the earlier primary yet, and has sent this.
                late, after = Place(before.ms + 1, 5), Place(before.ms + 1, 6)
                put(pair.primary, late, "late")
                put(pair.replica, after, "c")
                await until(lambda: reader.feed.sent >= after)
                assert await reader.gets_from(str(late)) == ["gap", "a", "b", "c"]

    asyncio.run(scenario())


@pytest.mark.parametrize("own_id", [None, "urn:lost"])
def test_a_client_that_comes_back_with_the_id_of_a_lost_update_gets_a_gap_and_nothing_twice(
    pair: Pair, own_id: str | None
) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                pair.cut_off()
                lost = await broker.publish(Update(("topic",), Event("lost", own_id)))
                await until(lambda: reader.events() == ["a", "lost"])
                # Until it has a replica, nothing tells by a later place that others came before.
                pair.replica.ask("CONFIG", "SET", "min-replicas-to-write", "1")
                pair.promote()
                await until(lambda: reader.events() == ["a", "lost", "gap"])
                assert await reader.gets_from(lost) == ["gap"]
                pair.replica.ask("CONFIG", "SET", "min-replicas-to-write", "0")
                after = await published(broker, "b")
                await until(lambda: reader.feed.sent >= after)
                first, *others = await reader.gets_from(lost)
                assert first == "gap"
                # The history may have its own gap before or after.
                assert [each for each in others if each != "gap"] == ["b"]

    asyncio.run(scenario())


def test_a_client_with_a_lost_update_misses_nothing_that_came_before_it_was_sent_again(
    pair: Pair,
) -> None:
    async def scenario() -> None:
        again = Update(("topic",), Event("again", "urn:again"))
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                pair.cut_off()
                await broker.publish(again)
                await until(lambda: reader.events() == ["a", "again"])
                await place_after_the_failover(broker, pair, "b")
                await broker.publish(again)
                await until(lambda: [*filter("gap".__ne__, reader.events()[2:])] == ["b", "again"])
                first, *others = await reader.gets_from("urn:again")
                assert first == "gap"
                assert [each for each in others if each != "gap"] == ["b", "again"]

    asyncio.run(scenario())


def test_a_reader_that_waits_on_the_earlier_primary_leaves_it_at_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would not end its wait by itself.
    monkeypatch.setattr("barestream.history.valkey.broker.WAIT_SECONDS", 3600)

    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            reader = Reader(broker)
            async with reader.following():
                await broker.publish(update("a"))
                await until(lambda: reader.events() == ["a"])
                pair.cut_off()
                pair.promote()
                # Nothing comes there any more.
                pair.primary.pause()
                try:
                    pair.replica.ask(
                        *("XADD", LOG, "*", "v", "1", "topics", '["topic"]', "data", "b")
                    )
                    await until(lambda: reader.events() == ["a", "b"])
                finally:
                    pair.primary.resume()

    asyncio.run(scenario())


def test_a_server_that_is_named_before_it_is_the_primary_gets_nothing(pair: Pair) -> None:
    async def scenario() -> None:
        async with workers(pair, 1) as [broker]:
            await broker.publish(update("a"))
            pair.cut_off()
            pair.sentinel.name(pair.replica)
            await until(lambda: broker._server.epoch)
            for question in (broker.publish(update("early")), broker.read(BEGIN, 1)):
                with pytest.raises(BrokerAwayError, match="is a slave") as caught:
                    await question
                assert caught.value.nothing_taken
            pair.promote()
            await published(broker, "b")
            page = await broker.read(BEGIN, 10)
            assert list(map(data_of, page.records)) == ["a", "b"]

    asyncio.run(scenario())


def test_a_run_that_is_claimed_after_a_failover_has_a_larger_fence_than_a_lost_one(
    pair: Pair,
) -> None:
    def claim(run_id: str) -> Claim:
        return Claim("key", run_id, "/run", "/runner", Lease(60, False, 60), 60)

    async def scenario() -> None:
        async with workers(pair) as (first, second):
            await first.publish(update("a"))
            pair.cut_off()
            pair.clock.move(-30)
            await second.read(BEGIN, 1)
            lost, _ = await first.claim(claim("one"))
            pair.promote()
            await until(lambda: second._server.epoch)
            found, is_new = await second.claim(claim("two"))
            assert is_new
            assert found.fence > lost.fence

    asyncio.run(scenario())


def test_kept_values_that_were_lost_are_shown_no_more(pair: Pair) -> None:
    async def kept(broker: ValkeyBroker) -> list[str]:
        found = await broker.rewound((), Rewind(kept=True), 1, all_kept=True)
        return [data_of(each) for each in found.kept.values()]

    async def scenario() -> None:
        async with workers(pair) as (first, second):
            await first.publish(update("a"))
            pair.cut_off()
            await first.publish(Update(("topic",), Event("lost"), keep_seconds=math.inf))
            assert await kept(second) == ["lost"]
            pair.promote()
            await until(lambda: second._server.epoch)
            other = Update(("other",), Event("kept"), keep_seconds=math.inf)
            await second.publish(other)
            assert await kept(second) == ["kept"]

    asyncio.run(scenario())
