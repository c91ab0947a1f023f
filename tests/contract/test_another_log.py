"""A history that is another one than before: lost, or replaced by an older copy."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from barestream.history.broker import HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.record import Place
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from reader import LateBroker, Reader, closing
from scenarios import run_on
from support.servers.served import until
from support.servers.valkey_server import ValkeyServer

LOG = "{barestream}:log"
BEGIN = Place(0, 0)
BOUNDS = HistoryBounds(events=1000, seconds=1e9, bytes=10_000_000)

# A day ahead of Valkey's clock: when a history with an entry of this time is lost, the clock is
# behind it.
AHEAD_MS = 86_400_000


def update(data: str) -> Update:
    return Update(("topic",), Event(data))


def put_ahead(server: ValkeyServer, data: str) -> None:
    """Add an update as Valkey did while its clock was ahead."""
    fields = ("v", "1", "topics", '["topic"]', "data", data)
    server.ask("XADD", LOG, f"{server.now_ms() + AHEAD_MS}-0", *fields)


def run(server: ValkeyServer, scenario: Callable[[ValkeyBroker], Awaitable[None]]) -> None:
    run_on(lambda: ValkeyBroker(server.url, BOUNDS, server.password), scenario)


def test_the_loss_of_a_history_while_the_clock_is_behind_is_reported_and_the_next_one_followed(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        reader = Reader(broker)
        async with reader.following():
            await broker.publish(update("before"))
            put_ahead(server, "ahead")
            await until(lambda: reader.events() == ["before", "ahead"])
            sent = reader.feed.sent
            server.ask("FLUSHALL")
            await broker.publish(update("lost and found"))
            # The tail, which waits for an update after the old end, has asked again by then. The
            # second gap is an entry of the history itself, for every subscriber.
            expected = ["gap", "lost and found", "gap"]
            await until(lambda: reader.events()[2:] == expected, 20)
            after = Place.parse(await broker.publish(update("after")))
            assert after > sent
            await until(lambda: reader.events()[2:] == [*expected, "after"])

    run(server, scenario)


def test_an_older_copy_of_the_history_is_reported_and_its_updates_are_not_sent_again(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        reader = Reader(broker)
        async with reader.following():
            for data in "ab":
                await broker.publish(update(data))
            copies = {key: server.ask("DUMP", key) for key in server.ask("KEYS", "*")}
            await broker.publish(update("c"))
            put_ahead(server, "ahead")
            await until(lambda: reader.events() == ["a", "b", "c", "ahead"])
            server.ask("FLUSHALL")
            for key, copy in copies.items():
                server.ask("RESTORE", key, 0, copy)
            await broker.publish(update("d"))
            await until(lambda: reader.events()[4:] == ["gap", "d", "gap"], 20)

    run(server, scenario)


@pytest.mark.parametrize("clock", ["right", "behind"])
def test_a_late_subscriber_is_sent_a_gap_for_the_updates_that_an_older_copy_has_lost(
    server: ValkeyServer, clock: str
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        late_broker = LateBroker(server.url, BOUNDS, server.password)
        reader, late = Reader(broker), Reader(late_broker)
        async with closing(late_broker), reader.following(), late.following():
            last_of_both = await broker.publish(update("a"))
            await until(lambda: reader.events() == late.events() == ["a"])
            copies = {key: server.ask("DUMP", key) for key in server.ask("KEYS", "*")}
            late_broker.is_held = True
            await broker.publish(update("lost"))
            if clock == "behind":
                put_ahead(server, "lost, too")
            await until(lambda: "lost" in reader.events()[-1])
            for key, copy in copies.items():
                server.ask("RESTORE", key, 0, copy, "REPLACE")
            await broker.publish(update("b"))
            await until(lambda: reader.events()[-1] == "gap" and "b" in reader.events(), 20)
            late_broker.is_held = False
            # It has not seen the lost updates: all that it has seen is in the copy.
            await until(lambda: late.events() == ["a", "b", "gap"], 20)
            # A client that was away has not seen them either.
            fresh = Reader(broker)
            async with fresh.following():
                assert await fresh.gets_from(last_of_both) == ["b", "gap"]

    run(server, scenario)


def test_workers_that_see_the_same_loss_record_it_once_in_the_history(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        last = Place.parse(await broker.publish(update("a")))
        for ms in (last.ms + 5, last.ms + 5, last.ms + 3, last.ms + 9, last.ms + 7):
            await broker.move_on(Place(ms, 3))
        ids = [row[0].decode() for row in server.ask("XRANGE", LOG, "-", "+")]
        assert ids[1:] == [f"{last.ms + 6}-0", f"{last.ms + 10}-0"]

    run(server, scenario)


def test_a_history_that_is_lost_repeatedly_never_gives_a_place_twice(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        last = Place.parse(await broker.publish(update("a")))
        for _ in range(200):
            server.ask("FLUSHALL")
            place = Place.parse(await broker.publish(update("a")))
            assert last < (await broker.read(BEGIN, 0)).floor < place
            last = place

    run(server, scenario)


def test_a_cursor_of_a_lost_history_is_answered_with_a_gap_and_the_whole_new_history(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        first = await broker.publish(update("a"))
        put_ahead(server, "ahead")
        *_, ahead = (await broker.read(BEGIN, 10)).records
        server.ask("FLUSHALL")
        reader = Reader(broker)
        async with reader.following():
            await broker.publish(update("b"))
            floor = (await broker.read(BEGIN, 0)).floor
            assert await reader.resumes(str(ahead.place)) == (floor, True)
            # The place is before the new history: the gap is sent when the stream reaches it.
            assert await reader.resumes(first) == (Place.parse(first), False)

    run(server, scenario)


def test_a_cursor_of_a_history_that_shares_nothing_with_the_next_one_gets_all_of_that(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        reader = Reader(broker)
        async with reader.following():
            put_ahead(server, "ahead")
            await until(lambda: reader.events() == ["ahead"])
            sent = reader.feed.sent
            server.ask("FLUSHALL")
            await broker.publish(update("b"))
            await until(lambda: "b" in reader.events(), 20)
            later = Place(sent.ms + 1_000_000, 0)
            assert (await reader.gets_from(str(later)))[:2] == ["gap", "b"]

    run(server, scenario)


def test_the_history_of_an_older_release_is_continued_without_a_gap(server: ValkeyServer) -> None:
    # Release 0.1.0 left a floor whose entry is gone, and an entry.
    floor_ms = server.now_ms()
    server.ask("XADD", LOG, f"{floor_ms}-0", "begin", "")
    server.ask("XDEL", LOG, f"{floor_ms}-0")
    server.ask("HSET", "{barestream}:state", "floor", f"{floor_ms}-0", "bytes", 10)

    async def scenario(broker: ValkeyBroker) -> None:
        reader = Reader(broker)
        async with reader.following():
            assert reader.feed.ring.last == Place(floor_ms, 0)
            assert await reader.resumes(f"#{floor_ms}-0") == (Place(floor_ms, 0), False)
            fields = ("v", "1", "topics", '["topic"]', "data", "of the older release")
            server.ask("XADD", LOG, "*", *fields)
            await broker.publish(update("of this one"))
            await until(lambda: reader.events() == ["of the older release", "of this one"])

    run(server, scenario)


def test_a_local_broker_restarted_with_its_clock_behind_sends_a_gap_to_returning_clients() -> None:
    async def scenario() -> None:
        seconds = 1_800_000_000.0
        cursor = await LocalBroker(BOUNDS, lambda: seconds).publish(update("before"))
        broker = LocalBroker(BOUNDS, lambda: seconds - 30)
        reader = Reader(broker)
        async with reader.following():
            await broker.publish(update("after"))
            floor = (await broker.read(BEGIN, 0)).floor
            assert await reader.resumes(cursor) == (floor, True)

    asyncio.run(scenario())


@pytest.mark.parametrize("data", ["", "x" * 400_000])
def test_a_forbidden_id_costs_as_much_as_an_unknown_one(server: ValkeyServer, data: str) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        answered_bytes: list[int] = []
        ask = broker._reading.ask

        async def counted(*commands: Sequence[bytes]) -> list[Any]:
            answers = await ask(*commands)
            answered_bytes.append(len(repr(answers)))
            return answers

        await broker.publish(Update(("topic",), Event(data, "secret"), private=True))
        reader = Reader(broker)
        async with reader.following():
            await until(lambda: reader.feed.ring.find("secret"))
            # Valkey has each script from the first question on.
            await reader.resumes("first")
            # The tail has its own connection.
            broker._reading.ask = counted  # type: ignore[method-assign]
            known = await reader.resumes("secret")
            known_bytes = answered_bytes[:]
            answered_bytes.clear()
            assert await reader.resumes("nobody's") == known
            assert known[1]
            assert len(answered_bytes) == len(known_bytes)
            # One answer names place and topics.
            assert abs(sum(answered_bytes) - sum(known_bytes)) < 100

    run(server, scenario)


def test_the_gap_of_another_history_names_the_place_after_which_sent_updates_are_lost(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        reader = Reader(broker)
        async with reader.following():
            put_ahead(server, "ahead")
            await until(lambda: reader.events() == ["ahead"])
            sent = reader.feed.sent
            server.ask("FLUSHALL")
            await until(lambda: "gap" in reader.events(), 20)
            gap, *_ = [
                json.loads(line.removeprefix("data: "))
                for line in reader.text().splitlines()
                if line.startswith("data: {")
            ]
            floor = (await broker.read(BEGIN, 0)).floor
            assert gap == {"from": str(sent), "to": str(floor), "missed": None}

    run(server, scenario)
