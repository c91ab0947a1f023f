"""How an id that a publisher uses again is kept in Valkey, also beside an older release.

Of a release that refuses such an id, only the effect on the keys is played: it takes an id out of
the hash with any of its updates that it trims, puts one in with an update whose id it does not
find there, and leaves the sorted set as it is.
"""

from collections.abc import Awaitable, Callable

from barestream.history.broker import MOST_FOUND, HistoryBounds
from barestream.history.record import BEGIN, Known, Record
from barestream.history.update import Update
from barestream.history.valkey import scripts
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from scenarios import run_on
from support.judges.published import data_of
from support.servers.valkey_server import ValkeyServer

LOG = "{barestream}:log"
IDS = "{barestream}:ids"
REPEATS = "{barestream}:repeats"
STATE = "{barestream}:state"


def update(data: str, event_id: str | None = None) -> Update:
    return Update(("topic",), Event(data, event_id))


def run(
    server: ValkeyServer, scenario: Callable[[ValkeyBroker], Awaitable[None]], events: int = 1000
) -> None:
    bounds = HistoryBounds(events, 3600, 10_000_000)
    run_on(lambda: ValkeyBroker(server.url, bounds, server.password), scenario)


async def publish_all(broker: ValkeyBroker, texts: str, event_id: str | None = "id") -> None:
    for text in texts:
        await broker.publish(update(text, event_id))


async def all_records(broker: ValkeyBroker) -> list[Record]:
    return (await broker.read(BEGIN, 1000)).records


def known(*records: Record) -> list[Known]:
    return [Known(record.place, record.topics, record.private) for record in records]


def in_ids(server: ValkeyServer, event_id: str = "id") -> list[str]:
    """Return the place and the digest that every release finds for an id."""
    value = server.ask("HGET", IDS, event_id)
    return value.decode().split() if value else []


def written(record: Record, newest: str, event_id: str = "id") -> list[str]:
    """Return what is written for an id: a record's place, and the digest of its newest update."""
    return [str(record.place).removeprefix("#"), update(newest, event_id).digest.decode()]


def members(server: ValkeyServer) -> list[tuple[str, str]]:
    """Return the ids and places in the sorted set, in its order."""
    parts = [member.decode().split("\0") for member in server.ask("ZRANGE", REPEATS, 0, -1)]
    assert {(len(place), len(digest)) for _, place, digest in parts} <= {(36, 32)}
    return [
        (event_id, "#" + "-".join(str(int(part)) for part in place.split("-")))
        for event_id, place, _ in parts
    ]


def older_trims(server: ValkeyServer) -> None:
    """Do what an older release does to remove the oldest entry."""
    [(place, fields)] = server.ask("XRANGE", LOG, "-", "+", "COUNT", 1)
    server.ask("XTRIM", LOG, "MAXLEN", server.ask("XLEN", LOG) - 1)
    if b"id" in fields:
        server.ask("HDEL", IDS, fields[b"id"])
    server.ask("HSET", STATE, "floor", place)


def older_publishes(server: ValkeyServer, text: str, event_id: str = "id") -> None:
    """Do what an older release does to add an update whose id it does not find."""
    assert not in_ids(server, event_id)
    fields = ("v", "1", "topics", '["topic"]', "data", text, "id", event_id)
    place = server.ask("XADD", LOG, "*", *fields)
    server.ask("HSET", IDS, event_id, place + b" " + update(text, event_id).digest)


def test_an_id_that_is_used_once_has_no_member(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "aa")
        await publish_all(broker, "b", "other")
        await publish_all(broker, "cd", None)
        [first, *_] = await all_records(broker)
        assert in_ids(server) == written(first, "a")
        assert server.ask("EXISTS", REPEATS) == 0

    run(server, scenario)


def test_every_update_of_a_repeated_id_has_a_member(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abbc")
        await publish_all(broker, "x", "once")
        records = (await all_records(broker))[:3]
        assert members(server) == [("id", str(record.place)) for record in records]

    run(server, scenario)


def test_an_older_release_finds_the_earliest_update_of_an_id_and_the_digest_of_the_newest(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        first, second, _ = await all_records(broker)
        assert in_ids(server) == written(first, "c")
        await publish_all(broker, "d", None)
        assert in_ids(server) == written(second, "c")
        await publish_all(broker, "ef", None)
        assert (server.ask("HLEN", IDS), server.ask("EXISTS", REPEATS)) == (0, 0)

    run(server, scenario, events=3)


def test_members_go_with_a_history_that_begins_anew(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "ab")
        server.ask("DEL", LOG)
        assert await broker.find("id") == []
        assert server.ask("EXISTS", REPEATS) == 0

    run(server, scenario)


def test_an_id_that_an_older_release_removed_still_leads_to_its_later_updates(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        _, second, third = await all_records(broker)
        older_trims(server)
        assert in_ids(server) == []
        assert await broker.find("id") == known(second, third)

    run(server, scenario)


def test_members_that_an_older_release_left_behind_hide_no_later_update(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(2 * MOST_FOUND):
            await broker.publish(update(f"{n}", "id"))
        for _ in range(server.ask("XLEN", LOG) - 1):
            older_trims(server)
        assert await broker.find("id") == known(*await all_records(broker))

    run(server, scenario)


def test_an_update_that_is_sent_again_is_recognized_after_an_older_release_removed_its_id(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        _, second, third = await all_records(broker)
        older_trims(server)
        await publish_all(broker, "c")
        assert await all_records(broker) == [second, third]
        # The id is as it was, and the member of the update that was removed is gone.
        assert in_ids(server) == written(second, "c")
        assert members(server) == [("id", str(each.place)) for each in (second, third)]

    run(server, scenario)


def test_a_new_update_repeats_an_id_that_an_older_release_removed(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        older_trims(server)
        await publish_all(broker, "a")
        second, third, fourth = await all_records(broker)
        assert fourth.repeats
        assert in_ids(server) == written(second, "a")
        assert await broker.find("id") == known(second, third, fourth)

    run(server, scenario)


def test_an_id_is_new_if_an_older_release_removed_all_its_updates(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "ab")
        older_trims(server)
        older_trims(server)
        assert await broker.find("id") == []
        await publish_all(broker, "b")
        [record] = await all_records(broker)
        assert not record.repeats
        assert in_ids(server) == written(record, "b")
        assert await broker.find("id") == known(record)
        assert server.ask("EXISTS", REPEATS) == 0

    run(server, scenario)


def test_an_update_that_an_older_release_added_under_a_repeated_id_is_found_with_the_others(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        older_trims(server)
        older_publishes(server, "d")
        second, third, fourth = await all_records(broker)
        assert await broker.find("id") == known(second, third, fourth)
        assert await broker.find("id", third.place) == known(fourth)
        await publish_all(broker, "d")
        assert in_ids(server) == written(second, "d")
        await publish_all(broker, "e")
        assert [data_of(record) for record in await all_records(broker)] == list("bcde")
        assert await broker.find("id") == known(*await all_records(broker))

    run(server, scenario)


def test_a_trim_keeps_an_update_that_an_older_release_added_under_a_repeated_id(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "ab")
        older_trims(server)
        older_publishes(server, "c")
        # This removes b, the last update with a member.
        await publish_all(broker, "x", None)
        third, _ = await all_records(broker)
        assert in_ids(server) == written(third, "c")
        await publish_all(broker, "c")
        assert data_of((await all_records(broker))[-1]) == "x"

    run(server, scenario, events=2)


def test_a_trim_of_a_repeated_id_puts_back_what_an_older_release_removed(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        older_trims(server)
        await publish_all(broker, "xy", None)
        third = (await all_records(broker))[0]
        assert in_ids(server) == written(third, "c")

    run(server, scenario, events=3)


def test_an_older_release_that_trims_and_publishes_by_turns_with_this_one_loses_no_id(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(60):
            await broker.publish(update(f"{n}", f"{n % 3}"))
            if n % 4 == 3:
                older_trims(server)
            records = await all_records(broker)
            for event_id in "012":
                same = [record for record in records if record.own_id == event_id]
                assert await broker.find(event_id) == known(*same)
        # The last entry that the older release trimmed has left its member.
        assert server.ask("ZCARD", REPEATS) <= len(records) + 1

    run(server, scenario, events=10)


def test_members_that_an_older_release_left_behind_go_one_with_each_trim(
    server: ValkeyServer,
) -> None:
    async def leave_members(broker: ValkeyBroker) -> None:
        for n in range(10):
            await publish_all(broker, "ab", f"{n}")
        for _ in range(20):
            older_trims(server)
        assert (server.ask("HLEN", IDS), server.ask("ZCARD", REPEATS)) == (0, 20)

    async def scenario(broker: ValkeyBroker) -> None:
        for left in (20, 20, 19, 18):
            await publish_all(broker, "x", None)
            assert server.ask("ZCARD", REPEATS) == left

    run(server, leave_members)
    run(server, scenario, events=2)


def test_members_of_updates_that_the_history_has_stay(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "xyz", None)
        await publish_all(broker, "abc")
        assert len(members(server)) == 3

    run(server, scenario, events=3)


def test_members_count_towards_the_byte_limit(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(100):
            await broker.publish(update(f"{n % 2}", "id"))
        sizes = sum(update("0", "id").size_bytes for _ in range(100))
        # One more than the id and the members of all, and one less.
        held = int(scripts.WEIGHTS.total(sizes, 100, 1 + 100, 1, 100))
        for size_bytes, kept in ((held + 1, 100), (held - 1, 99)):
            bounds = HistoryBounds(1000, 3600, size_bytes)
            smaller = ValkeyBroker(server.url, bounds, server.password)
            try:
                await smaller.trim()
            finally:
                await smaller.close()
            assert server.ask("XLEN", LOG) == kept

    run(server, scenario)


def test_the_beginning_of_a_member_is_no_id(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "ab")
        member = server.ask("ZRANGE", REPEATS, 0, 0)[0].decode()
        for length in range(len("id") + 1, len(member) + 1):
            assert await broker.find(member[:length]) == []

    run(server, scenario)


def test_an_update_that_an_older_release_added_comes_after_many_others(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(MOST_FOUND + 1):
            await broker.publish(update(f"{n}", "id"))
        older_trims(server)
        older_publishes(server, "newest")
        *others, newest = await all_records(broker)
        assert await broker.find("id") == known(*others)
        assert await broker.find("id", others[-1].place) == known(newest)

    run(server, scenario)


def test_an_entry_that_was_deleted_by_hand_is_not_found(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        first, second, third = await all_records(broker)
        server.ask("XDEL", LOG, str(second.place).removeprefix("#"))
        assert await broker.find("id") == known(first, third)

    run(server, scenario)


def test_a_search_writes_nothing(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await publish_all(broker, "abc")
        older_trims(server)
        before = server.ask("INFO", "persistence")["rdb_changes_since_last_save"]
        assert await broker.find("id")
        assert server.ask("INFO", "persistence")["rdb_changes_since_last_save"] == before

    run(server, scenario)
