"""The index of topics in Valkey beside a release that does not know it, and on the way to it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from barestream.history.broker import Broker, BrokerAwayError, HistoryBounds
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind
from barestream.history.valkey.broker import ValkeyBroker
from older_release import OlderRelease
from scenarios import run_on
from support.servers.valkey_server import ValkeyServer
from topic_updates import covering, floor_of, holding, lane_of, log_of, public, publish, update

LOG = "{barestream}:log"
FLOORS = "{barestream}:floors"
EMPTIED = "{barestream}:emptied"
STATE = "{barestream}:state"

HOUR_SECONDS = 3600


def run(
    server: ValkeyServer,
    scenario: Callable[[ValkeyBroker], Awaitable[None]],
    events: int = 10_000,
    **of_topics: int,
) -> None:
    bounds = HistoryBounds(events, 1e6, 100_000_000, **of_topics)
    run_on(lambda: ValkeyBroker(server.url, bounds, server.password), scenario)


def lists(server: ValkeyServer) -> dict[str, int]:
    """Return the lanes that have places, with the number of these."""
    keys = server.ask("KEYS", "{barestream}:[-+]*")
    return {key.decode().partition(":")[2]: server.ask("LLEN", key) for key in keys}


# --- entries of the release before ---


def test_a_log_without_an_index_is_read_by_topic(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        for each in (update("a1"), update("b1"), update("2", "b", "a"), update("a3", private=True)):
            older.publish(each)
        assert await lane_of(broker, public("a")) == ["a1", "2"]
        assert await lane_of(broker, covering("a")) == ["a1", "2", "a3"]
        assert await lane_of(broker, public("b")) == ["b1", "2"]

    run(server, scenario)


def test_what_left_a_log_without_an_index_may_have_been_of_any_topic(server: ValkeyServer) -> None:
    older = OlderRelease(server, events=2)

    async def scenario(broker: ValkeyBroker) -> None:
        begin = await floor_of(broker)
        server.ask("FLUSHALL")
        places = [older.publish(update(data)) for data in ("a1", "a2", "a3", "a4")]
        for reader in (public("b"), covering("a"), holding("b"), None):
            assert await floor_of(broker, reader) == places[1]
        assert begin < places[1]

    run(server, scenario)


def test_entries_of_both_releases_are_in_the_index_in_their_order(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"))
        older.publish(update("a2"))
        older.publish(update("b2"))
        await publish(broker, update("a3"))
        older.publish(update("a4"))
        assert await lane_of(broker, public("a")) == ["a1", "a2", "a3", "a4"]
        assert await lane_of(broker, public("b")) == ["b2"]
        assert lists(server) == {"+a": 4, "+b": 1}

    run(server, scenario)


def test_an_entry_of_the_release_before_is_rewound(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"))
        place = older.publish(update("a2"))
        found = await broker.rewound(["a"], Rewind(events=1), 10, all_kept=False)
        assert (found.upto, [*found.newest["a"].public]) == (place, [place])

    run(server, scenario)


def test_the_index_keeps_the_bounds_of_topics_as_it_catches_up(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        places = [older.publish(update(f"a{n}")) for n in range(5)]
        await broker.trim()
        assert await lane_of(broker, public("a")) == ["a3", "a4"]
        assert await log_of(broker) == ["a3", "a4"]
        assert await floor_of(broker, public("a")) == places[2]

    run(server, scenario, topic_events=2, topic_seconds=0)


# --- entries that the release before removes ---


def test_an_update_that_the_release_before_removes_raises_the_floors_of_its_topics_alone(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server, events=3)

    async def scenario(broker: ValkeyBroker) -> None:
        begin = await floor_of(broker)
        places = await publish(
            broker, update("a1"), update("2", "b", "c"), update("d3"), update("a4")
        )
        places += [older.publish(update("d5"))]
        assert await log_of(broker) == ["d3", "a4", "d5"]
        for reader, floor in (("a", places[0]), ("b", places[1]), ("c", places[1]), ("d", begin)):
            assert await floor_of(broker, public(reader)) == floor
        assert await floor_of(broker) == places[1]
        assert await floor_of(broker, public("e")) == begin

    run(server, scenario)


def test_lanes_lose_what_the_release_before_removed(server: ValkeyServer) -> None:
    older = OlderRelease(server, events=1)

    async def scenario(broker: ValkeyBroker) -> None:
        places = await publish(broker, *(update(f"{topic}1") for topic in "abc"))
        older.publish(update("d2"))
        await broker.trim()
        assert lists(server) == {"+d": 1}
        assert server.ask("ZCARD", EMPTIED) == 3
        floors = server.ask("HMGET", FLOORS, "+a", "+b", "+c")
        assert [f"#{floor.decode()}" for floor in floors] == list(map(str, places))
        # A lane that is emptied is as new.
        await publish(broker, update("a3"))
        assert await lane_of(broker, public("a")) == ["a3"]
        assert server.ask("ZCARD", EMPTIED) == 2

    run(server, scenario)


def test_updates_that_the_release_before_added_and_removed_may_have_been_of_any_topic(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server, events=1)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"))
        unseen = [older.publish(update(data)) for data in ("x2", "x3", "b4")][1]
        for reader in (public("a"), public("b"), public("c"), covering("a"), holding("c"), None):
            assert await floor_of(broker, reader) == unseen
        assert await lane_of(broker, public("b")) == ["b4"]
        # Later ones do not raise these floors.
        await publish(broker, update("b5"))
        older.publish(update("b6"))
        assert await floor_of(broker, public("a")) == unseen

    run(server, scenario)


def test_both_releases_by_turns_keep_the_index_true(server: ValkeyServer) -> None:
    choose = random.Random(16)
    older = OlderRelease(server, events=30)

    async def scenario(broker: ValkeyBroker) -> None:
        written = []
        for n in range(400):
            topics = choose.sample("abcdefgh", choose.randint(1, 3))
            each = update(f"{n}", *topics, private=choose.random() < 0.3)
            if choose.random() < 0.5:
                written.append((older.publish(each), each))
            else:
                written.append((Place.parse(await broker.publish(each)), each))
            if n % 10 == 0:
                await broker.trim()
            kept = {int(text) for text in await log_of(broker)}
            topic = choose.choice("abcdefgh")
            expected = [f"{i}" for i in sorted(kept) if topic in written[i][1].topics]
            assert await lane_of(broker, covering(topic)) == expected
            gone = [
                place
                for i, (place, each) in enumerate(written)
                if i not in kept and topic in each.topics
            ]
            if gone:
                assert await floor_of(broker, covering(topic)) >= max(gone)
        await broker.trim()
        lengths = lists(server)
        total = sum(len({*written[int(text)][1].topics}) for text in await log_of(broker))
        assert sum(lengths.values()) == total

    run(server, scenario, events=40)


# --- catching up in steps ---


def test_a_long_log_is_indexed_in_bounded_steps(server: ValkeyServer) -> None:
    async def fill(broker: ValkeyBroker) -> None:
        await asyncio.gather(*(broker.publish(update(f"{n}", f"t{n % 7}")) for n in range(3000)))

    async def scenario(broker: ValkeyBroker) -> None:
        server.ask("CONFIG", "RESETSTAT")
        assert len(await lane_of(broker, public("t3"))) == len(range(3, 3000, 7))
        calls = server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
        assert 3000 / 310 < calls < 3000 / 200

    run(server, fill)
    _forget_index(server)
    run(server, scenario)


def _forget_index(server: ValkeyServer) -> None:
    """Leave the log as the release before leaves it."""
    server.ask("HDEL", STATE, "index")
    for key in server.ask("KEYS", "*"):
        if key.decode().partition(":")[2] not in ("log", "ids", "state", "repeats"):
            server.ask("DEL", key)


def test_updates_that_are_published_while_the_index_is_behind_follow_in_their_order(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server, events=10_000)

    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(700):
            older.publish(update(f"{n}", "a"))
        await broker.publish(update("700", "a"))
        assert 0 < server.ask("LLEN", "{barestream}:+a") < 700
        older.publish(update("701", "a"))
        await broker.publish(update("702", "a"))
        assert await lane_of(broker, public("a")) == [f"{n}" for n in range(703)]

    run(server, scenario)


def test_updates_leave_a_history_whose_index_is_behind(server: ValkeyServer) -> None:
    older = OlderRelease(server, events=10_000)

    async def scenario(broker: ValkeyBroker) -> None:
        places = [older.publish(update(f"{n}", f"t{n % 3}")) for n in range(700)]
        await broker.trim()
        assert await log_of(broker) == [f"{n}" for n in range(690, 700)]
        assert await lane_of(broker, public("t0")) == ["690", "693", "696", "699"]
        for n in range(3):
            gone = max(place for i, place in enumerate(places[:690]) if i % 3 == n)
            assert await floor_of(broker, public(f"t{n}")) == gone

    run(server, scenario, events=10)


def test_the_index_of_a_lost_history_is_not_that_of_the_next_one(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        many = [update(f"{n}", f"t{n}", keep=HOUR_SECONDS) for n in range(1000)]
        await asyncio.gather(*map(broker.publish, many))
        await broker.publish(update("end", "e", end=HOUR_SECONDS))
        server.ask("DEL", LOG)
        await broker.publish(update("a1"))
        assert await lane_of(broker, public("a")) == ["a1"]
        assert await lane_of(broker, public("t5")) == []
        assert lists(server) == {"+a": 1}
        assert await broker.ends() == {}
        found = await broker.rewound(["t5"], Rewind(kept=True), 10, all_kept=True)
        assert found.kept == {}
        assert server.ask("ZCARD", EMPTIED) == 0

    run(server, scenario)


def test_an_older_release_that_begins_a_history_anew_leaves_no_end_and_no_kept_value(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1", keep=HOUR_SECONDS), update("b1", end=HOUR_SECONDS))
        server.ask("DEL", LOG)
        older.publish(update("c1"))
        await publish(broker, update("b2"))
        assert await broker.ends() == {}
        assert (await broker.rewound([], Rewind(kept=True), 10, all_kept=True)).kept == {}
        assert await log_of(broker) == ["c1", "b2"]

    run(server, scenario)


def test_what_a_failed_script_has_added_is_in_the_index_once(fresh_valkey: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"))
        fresh_valkey.ask("ACL", "SETUSER", "barestream", "-hset")
        with pytest.raises(BrokerAwayError):
            await broker.publish(update("a2"))
        fresh_valkey.ask("ACL", "SETUSER", "barestream", "+hset")
        await publish(broker, update("a3"))
        assert await lane_of(broker, public("a")) == ["a1", "a2", "a3"]
        assert lists(fresh_valkey) == {"+a": 3}

    run(fresh_valkey, scenario)


# --- a Valkey that refuses to write ---


def test_a_valkey_that_refuses_to_write_answers_by_topic_if_the_index_is_true(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1", keep=HOUR_SECONDS), update("b1", end=HOUR_SECONDS))
        server.ask("REPLICAOF", "127.0.0.1", "1")
        assert await lane_of(broker, public("a")) == ["a1"]
        assert [*await broker.ends()] == ["b"]
        found = await broker.rewound(["a"], Rewind(events=1), 10, all_kept=True)
        assert [*found.kept] == ["a"]
        server.ask("REPLICAOF", "NO", "ONE")
        older.publish(update("a2"))
        server.ask("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(BrokerAwayError, match="READONLY"):
            await lane_of(broker, public("a"))
        assert await log_of(broker) == ["a1", "b1", "a2"]

    try:
        run(server, scenario)
    finally:
        server.ask("REPLICAOF", "NO", "ONE")


# --- entries without topics ---


def test_every_reader_of_topics_gets_the_report_of_lost_updates(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        [first] = await publish(broker, update("a1"))
        await broker.move_on(Place(first.ms + 60_000, 0))
        await broker.publish(update("a2"))
        page = await broker.read(BEGIN, 10, reader=public("b"))
        assert [record.topics for record in page.records] == [()]
        [report] = page.records
        # Once it has left, nobody can tell whose updates were lost.
        for n in range(3, 6):
            await broker.publish(update(f"a{n}"))
        assert await floor_of(broker, public("b")) == report.place

    run(server, scenario, events=3)


@pytest.mark.parametrize(
    "fields", [("topics", "[]", "data", ""), ("v", "2", "topics", '["a"]', "data", ""), ("x", "y")]
)
def test_an_entry_that_cannot_be_read_is_a_gap_to_every_reader_of_topics(
    server: ValkeyServer, fields: tuple[str, ...]
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"))
        server.ask("XADD", LOG, "*", *fields)
        page = await broker.read(BEGIN, 10, reader=public("a"))
        assert [record.topics for record in page.records] == [("a",), ()]
        assert len((await broker.read(BEGIN, 10, reader=public("b"))).records) == 1

    run(server, scenario)


# --- ends beside the release before ---


def test_an_update_that_the_release_before_adds_to_an_ended_topic_is_forgotten_with_it(
    server: ValkeyServer,
) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        await publish(broker, update("a1"), update("a2", end=0.05))
        place = older.publish(update("a3"))
        assert await lane_of(broker, public("a")) == ["a1", "a2", "a3"]
        await forgotten(broker)
        assert await log_of(broker) == []
        assert await floor_of(broker, public("a")) == place
        await publish(broker, update("a4"))
        assert await lane_of(broker, public("a")) == ["a4"]

    run(server, scenario)


async def forgotten(broker: Broker) -> None:
    while await broker.ends():
        await asyncio.sleep(0.005)
    await broker.trim()


def test_updates_to_a_topic_that_had_much_wait_until_it_is_forgotten_and_keep_their_order(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        many = (broker.publish(update(f"{n}", "a", own_id=f"{n}")) for n in range(1500))
        await asyncio.gather(*many)
        others = [update(f"b{n}", "b", "a") for n in range(50)]
        await asyncio.gather(*map(broker.publish, others))
        await broker.publish(update("end", "a", end=0.01))
        while await broker.ends():
            await asyncio.sleep(0.005)
        server.ask("CONFIG", "RESETSTAT")
        given = [f"new {n}" for n in range(20)]
        await asyncio.gather(*(broker.publish(update(text, "a")) for text in given))
        assert await lane_of(broker, public("a")) == [f"b{n}" for n in range(50)] + given
        calls = server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
        assert calls > 1500 / 200
        assert server.ask("HLEN", "{barestream}:ids") == 0
        assert await broker.publish_all([update("c"), update("last", "a")])

    run(server, scenario)


# --- memory ---


def test_memory_that_removed_updates_still_take_between_others_counts(server: ValkeyServer) -> None:
    most_bytes = 1_000_000
    bounds = HistoryBounds(1_000_000, 1e6, most_bytes, topic_events=10, topic_seconds=0)

    async def scenario(broker: ValkeyBroker) -> None:
        for first in range(0, 20_000, 500):
            each = (
                update(f"{n}" + "x" * 200, f"quiet {n}" if n % 10 == 0 else "busy")
                for n in range(first, first + 500)
            )
            await asyncio.gather(*map(broker.publish, each))
            await broker.trim()
        kept = len(await log_of(broker))
        taken_bytes = server.ask("MEMORY", "USAGE", LOG, "SAMPLES", 0)
        assert most_bytes / 3 < taken_bytes < most_bytes
        # Their own size would let many more stay.
        assert 100 < kept < 1000

    run_on(lambda: ValkeyBroker(server.url, bounds, server.password), scenario)


def test_a_trim_of_a_log_without_an_index_hides_no_gap(server: ValkeyServer) -> None:
    older = OlderRelease(server)

    async def scenario(broker: ValkeyBroker) -> None:
        for number in range(10):
            older.publish(update(f"{number}", f"t{number}"))
        begin = await floor_of(broker)
        await broker.trim()
        assert await floor_of(broker, public("t3")) > begin

    run(server, scenario, events=5)
