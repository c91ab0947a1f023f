"""The promises of the broker in Valkey, beyond those of every broker."""

import asyncio
import contextlib
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from barestream.history.broker import Broker, BrokerAwayError, HistoryBounds
from barestream.history.gap import lost
from barestream.history.record import Place, Record
from barestream.history.update import Update
from barestream.history.valkey import broker as valkey
from barestream.history.valkey import pages, publishing
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from scenarios import run_on
from support.judges.published import data_of, id_of, update_of
from support.servers.served import until
from support.servers.valkey_server import ValkeyServer

LOG = "{barestream}:log"
BEGIN = Place(0, 0)
FAR_BOUNDS = HistoryBounds(events=100_000, seconds=3600, bytes=100_000_000)


def update(data: str = "data", event_id: str | None = None) -> Update:
    return Update(("topic",), Event(data, event_id))


def run(
    server: ValkeyServer,
    scenario: Callable[[ValkeyBroker], Awaitable[None]],
    bounds: HistoryBounds = FAR_BOUNDS,
    url: str | None = None,
) -> None:
    run_on(lambda: ValkeyBroker(url or server.url, bounds, server.password), scenario)


async def all_records(broker: Broker) -> list[Record]:
    return (await broker.read(BEGIN, 100_000)).records


def texts(records: list[Record]) -> list[str]:
    return [data_of(record) for record in records]


def calls(server: ValkeyServer, command: str) -> int:
    stats = server.ask("INFO", "commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


QUESTIONS: dict[str, Callable[[Broker], Coroutine[Any, Any, object]]] = {
    "publish": lambda broker: broker.publish(update()),
    "newest": lambda broker: broker.newest(10, 1000),
    "read": lambda broker: broker.read(BEGIN, 10),
    "find": lambda broker: broker.find("id"),
    "trim": lambda broker: broker.trim(),
    "wait": lambda broker: broker.wait(BEGIN, 10),
}


async def away(question: Coroutine[Any, Any, object]) -> float:
    """Return how many seconds it took until the question found Valkey away."""
    start = time.monotonic()
    with pytest.raises(BrokerAwayError):
        await question
    return time.monotonic() - start


def is_sent(broker: ValkeyBroker, server: ValkeyServer) -> bool:
    """Return whether every update was sent to a Valkey that stands still."""
    return not broker._publishing._pending and server.unread_bytes() > 0


# --- the history that is kept ---


def test_an_answered_update_survives_a_crash_of_valkey(fresh_valkey: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        answered: list[str] = []

        async def publish_on(name: str) -> None:
            for n in itertools.count():
                try:
                    answered.append(await broker.publish(update(event_id=f"{name}{n}")))
                except BrokerAwayError:
                    return

        publishers = [asyncio.create_task(publish_on(name)) for name in "abcdefgh"]
        await until(lambda: len(answered) >= 500)
        await asyncio.to_thread(fresh_valkey.kill)
        await asyncio.gather(*publishers)
        await asyncio.to_thread(fresh_valkey.start)
        records = await all_records(broker)
        kept = [id_of(record) for record in records]
        assert set(answered) <= set(kept)
        assert len(kept) == len(set(kept))
        assert await broker.publish(update(event_id="a0")) == "a0"
        assert await all_records(broker) == records

    run(fresh_valkey, scenario)


def test_places_go_on_after_a_restart_of_valkey(fresh_valkey: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        before = Place.parse(await broker.publish(update("before")))
        floor = (await broker.read(BEGIN, 1)).floor
        await asyncio.to_thread(fresh_valkey.stop)
        await asyncio.to_thread(fresh_valkey.start)
        after = Place.parse(await broker.publish(update("after")))
        page = await broker.read(BEGIN, 10)
        assert page.floor == floor
        assert [record.place for record in page.records] == [before, after]

    run(fresh_valkey, scenario)


def test_two_workers_share_one_history_and_one_set_of_ids(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        other = ValkeyBroker(server.unix_url, FAR_BOUNDS, server.password)
        try:
            await broker.publish(update("one", "id"))
            assert await other.publish(update("one", "id")) == "id"
            await other.publish(update("two"))
            assert texts(await all_records(broker)) == ["one", "two"]
            assert await all_records(other) == await all_records(broker)
        finally:
            await other.close()

    run(server, scenario)


def test_places_go_forward_after_the_clock_was_set_back(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.read(BEGIN, 1)
        tomorrow_ms = int(time.time() + 86_400) * 1000
        server.ask("XADD", LOG, f"{tomorrow_ms}-7", "topics", "[]", "data", "")
        assert await broker.publish(update()) == f"#{tomorrow_ms}-8"

    run(server, scenario)


# --- a history that begins anew ---


@pytest.mark.parametrize("loss", [["FLUSHALL"], ["DEL", LOG], ["DEL", "{barestream}:state"]])
def test_a_lost_history_begins_anew_after_every_place_that_it_gave(
    server: ValkeyServer, loss: list[str]
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for _ in range(20):
            last = Place.parse(await broker.publish(update()))
            await broker.publish(update(event_id="id"))
            server.ask(*loss)
            page = await broker.read(last, 10)
            assert page.floor > last
            assert page.records == []
            assert await broker.find("id") == []
            assert Place.parse(await broker.publish(update())) > page.floor

    run(server, scenario)


def test_a_history_lost_within_a_millisecond_begins_anew_after_it(
    server: ValkeyServer,
) -> None:
    publish_and_lose = """
        redis.call('FLUSHALL')
        local place = redis.call('XADD', KEYS[1], '*', 'topics', '[]', 'data', '')
        redis.call('FLUSHALL')
        return place
    """

    async def scenario(broker: ValkeyBroker) -> None:
        for _ in range(100):
            last = server.ask("EVAL", publish_and_lose, 1, LOG).decode()
            assert (await broker.read(BEGIN, 1)).floor > Place.parse(f"#{last}")

    run(server, scenario)


@pytest.mark.parametrize("touch", QUESTIONS)
def test_the_first_question_to_a_lost_history_begins_it_anew(
    server: ValkeyServer, touch: str
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        last = Place.parse(await broker.publish(update()))
        server.ask("FLUSHALL")
        await QUESTIONS[touch](broker)
        floor = server.ask("HGET", "{barestream}:state", "floor").decode()
        assert last < Place.parse(f"#{floor}")
        assert (await broker.read(BEGIN, 1)).floor == Place.parse(f"#{floor}")

    run(server, scenario)


def test_a_wait_reports_that_the_history_was_lost_meanwhile(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        last = Place.parse(await broker.publish(update("before")))
        waiter = asyncio.create_task(broker.wait(last, 10))
        await until(lambda: server.ask("INFO", "clients")["blocked_clients"])
        server.ask("FLUSHALL")
        await broker.publish(update("after"))
        page = await waiter
        assert page.floor > last
        assert texts(page.records) == ["after"]

    run(server, scenario)


# --- entries of other writers ---


def test_an_entry_of_another_release_is_read(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.read(BEGIN, 1)
        newer = ("v", "1", "new", b"\xff", "topics", '["t"]', "data", "x", "private", "1")
        server.ask("XADD", LOG, "*", *newer)
        server.ask("XADD", LOG, "*", "data", "y", "topics", '["\\u00e9"]', "retry", "7")
        assert [update_of(record) for record in await all_records(broker)] == [
            Update(("t",), Event("x"), private=True),
            Update(("é",), Event("y", retry_ms=7)),
        ]

    run(server, scenario)


UNREADABLE = [
    ("topics", '["t"]'),
    ("data", "secret"),
    ("topics", "secret", "data", "x"),
    ("topics", '"secret"', "data", "x"),
    ("topics", "[1]", "data", "x"),
    ("topics", "[]", "data", "x"),
    ("topics", '["\\ud800"]', "data", "x"),
    ("topics", "[" * 100_000, "data", "x"),
    ("topics", '["t"]', "data", b"secret\xff"),
    ("topics", '["t"]', "data", "x", "retry", "secret"),
    ("topics", '["t"]', "data", "x", "retry", "-1"),
    ("topics", '["t"]', "data", "x", "type", "secret\n"),
    ("v", "2", "topics", '["t"]', "data", "secret"),
    ("v", "10", "topics", '["t"]', "data", "secret"),
    ("v", "secret", "topics", '["t"]', "data", "x"),
]


def test_unreadable_entries_are_one_gap_to_every_subscriber_and_each_is_logged_once(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        floor = (await broker.read(BEGIN, 1)).floor
        await broker.publish(update("first"))
        places = [server.ask("XADD", LOG, "*", *fields).decode() for fields in UNREADABLE]
        await broker.publish(update("last"))
        for page in (
            await broker.read(BEGIN, 100),
            await broker.newest(100, 1_000_000),
            await broker.wait(floor, 100),
        ):
            first_entry, gap, last_entry = page.records
            assert texts([first_entry, last_entry]) == ["first", "last"]
            assert str(gap.place) == f"#{places[-1]}"
            assert gap == lost(gap.place)
        assert [record.place for record in caplog.records] == [f"#{place}" for place in places]
        assert {record.levelno for record in caplog.records} == {logging.ERROR}
        assert "secret" not in "".join(str(vars(record)) for record in caplog.records)

    run(server, scenario)


@pytest.mark.parametrize(
    ("form", "readable"), [([], True), (["v", "1"], True), (["v", "2"], False)]
)
def test_nobody_may_read_an_update_of_a_form_that_this_release_does_not_know(
    server: ValkeyServer, form: list[str], *, readable: bool
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        fields = ("topics", '["t"]', "data", "x", "id", "id")
        place = server.ask("XADD", LOG, "*", *form, *fields).decode()
        server.ask("HSET", "{barestream}:ids", "id", f"{place} digest")
        [known] = await broker.find("id")
        # Without a topic no token allows to read it.
        assert (known.topics, known.private) == ((("t",), False) if readable else ((), True))

    run(server, scenario)


def test_an_entry_for_lost_updates_is_a_gap_to_every_subscriber_and_is_not_logged(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update("first"))
        server.ask("XADD", LOG, "*", "lost", "")
        record = (await all_records(broker))[-1]
        assert record == lost(record.place)
        assert caplog.records == []

    run(server, scenario)


def test_entries_that_were_never_counted_are_trimmed_too(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update("first"))
        for fields in UNREADABLE:
            server.ask("XADD", LOG, "*", *fields)
        await broker.publish(update("last"))
        assert texts(await all_records(broker)) == ["last"]
        size = int(server.ask("HGET", "{barestream}:state", "bytes"))
        assert 0 <= size <= 100

    run(server, scenario, HistoryBounds(events=1, seconds=3600, bytes=1000))


# --- trimming ---


def test_a_history_with_smaller_bounds_shrinks_by_a_hundred_with_each_publish(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        many = (broker.publish(update(f"{n}", f"{n}")) for n in range(500))
        await asyncio.gather(*many)
        smaller = ValkeyBroker(
            server.url,
            HistoryBounds(events=10, seconds=3600, bytes=10_000),
            server.password,
        )
        try:
            await smaller.publish(update("500", "500"))
            assert server.ask("XLEN", LOG) == 401
            assert server.ask("HLEN", "{barestream}:ids") == 401
            for n in range(501, 506):
                await smaller.publish(update(f"{n}", f"{n}"))
            page = await broker.read(BEGIN, 1000)
            assert texts(page.records) == [f"{n}" for n in range(496, 506)]
            assert server.ask("HKEYS", "{barestream}:ids") == [b"%d" % n for n in range(496, 506)]
        finally:
            await smaller.close()

    run(server, scenario)


def test_a_trim_removes_all_that_is_beyond_the_bounds(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        many = (broker.publish(update(f"{n}", f"{n}")) for n in range(500))
        places = await asyncio.gather(*many)
        assert len(places) == 500
        smaller = ValkeyBroker(
            server.url,
            HistoryBounds(events=10, seconds=3600, bytes=10_000),
            server.password,
        )
        try:
            await smaller.trim()
            assert server.ask("XLEN", LOG) == server.ask("HLEN", "{barestream}:ids") == 10
        finally:
            await smaller.close()

    run(server, scenario)


def test_the_newest_updates_have_no_hole_when_the_history_is_trimmed_between_pages(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        given = [Place.parse(await broker.publish(update())) for _ in range(50)]

        async def publish_on() -> None:
            while True:
                given.append(Place.parse(await broker.publish(update())))

        publisher = asyncio.create_task(publish_on())
        lengths = []
        for _ in range(20):
            page = await broker.newest(100, 1_000_000)
            places = [page.floor, *(record.place for record in page.records)]
            first = given.index(page.floor)
            # An update may be in the history before its publish is answered.
            assert given[first : first + len(places)] == places[: len(given) - first]
            lengths.append(len(page.records))
        publisher.cancel()
        assert 0 < min(lengths) < 50

    monkeypatch.setattr(pages, "NEWEST_PAGE_EVENTS", 1)
    run(server, scenario, HistoryBounds(events=50, seconds=3600, bytes=1_000_000))


# --- publishing ---


def test_publishes_that_arrive_together_are_sent_together(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        server.ask("CONFIG", "RESETSTAT")
        await asyncio.gather(*(broker.publish(update()) for _ in range(500)))
        assert calls(server, "evalsha") == 4
        assert len(await all_records(broker)) == 501

    run(server, scenario)


def test_large_publishes_are_sent_in_batches_of_bounded_bytes(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        server.ask("CONFIG", "RESETSTAT")
        await asyncio.gather(*(broker.publish(update("x" * 400_000)) for _ in range(6)))
        assert calls(server, "evalsha") == 3

    run(server, scenario)


def test_a_publisher_that_leaves_does_not_stop_the_updates_of_others(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update("first"))
        server.pause()
        sent = [asyncio.create_task(broker.publish(update(f"sent {n}"))) for n in range(3)]
        await until(lambda: is_sent(broker, server))
        behind = [asyncio.create_task(broker.publish(update(f"behind {n}"))) for n in range(3)]
        await until(lambda: len(broker._publishing._pending) == 3)
        sent[1].cancel()
        behind[1].cancel()
        await asyncio.sleep(0)
        server.resume()
        answers = await asyncio.gather(*sent, *behind, return_exceptions=True)
        left = [isinstance(answer, asyncio.CancelledError) for answer in answers]
        assert left == [False, True, False, False, True, False]
        # Updates that were sent are kept; the others are never sent.
        expected = ["first", "sent 0", "sent 1", "sent 2", "behind 0", "behind 2"]
        assert texts(await all_records(broker)) == expected

    try:
        run(server, scenario)
    finally:
        server.resume()


def test_a_valkey_that_forgot_the_script_keeps_each_update_once(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for n in range(20):
            server.ask("SCRIPT", "FLUSH")
            pair = (broker.publish(update(f"{2 * n + odd}")) for odd in range(2))
            await asyncio.gather(*pair)
        assert texts(await all_records(broker)) == [f"{n}" for n in range(40)]

    run(server, scenario)


def test_a_valkey_that_forgot_the_script_answers_each_wait(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        place = Place.parse(await broker.publish(update("before")))
        for n in range(5):
            server.ask("SCRIPT", "FLUSH")
            await broker.publish(update(f"{n}"))
            page = await broker.wait(place, 10)
            assert (page.floor, texts(page.records)) == (place, [f"{n}"])
            place = page.upto

    run(server, scenario)


def test_an_update_is_read_by_the_wait_alone_from_the_first_one_on(
    fresh_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        place = Place.parse(await broker.publish(update("before")))
        # A second question would be lost with a Valkey that ends after it has accepted the update.
        monkeypatch.setattr(broker._following, "ask_by", None)
        for n in range(3):
            waiter = asyncio.create_task(broker.wait(place, 10))
            await until(lambda: fresh_valkey.ask("INFO", "clients")["blocked_clients"])
            await broker.publish(update(f"{n}"))
            page = await waiter
            assert texts(page.records) == [f"{n}"]
            place = page.upto

    run(fresh_valkey, scenario)


def test_more_questions_than_connections_wait_for_their_turn(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update(event_id="id"))
        found = await asyncio.gather(*(broker.find("id") for _ in range(100)))
        assert all(record is not None for record in found)
        held = server.ask("CLIENT", "LIST").count(b"name=barestream")
        assert held == 1 + valkey.MOST_CONNECTIONS

    run(server, scenario)


# --- an absent Valkey ---


def test_without_valkey_every_question_fails_at_once_and_works_when_valkey_is_back(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for question in QUESTIONS.values():
            await question(broker)
        await asyncio.to_thread(fresh_valkey.kill)
        for question in QUESTIONS.values():
            assert await away(question(broker)) < 1
        await asyncio.to_thread(fresh_valkey.start)
        for question in QUESTIONS.values():
            await question(broker)

    run(fresh_valkey, scenario)


@pytest.mark.parametrize("kind", ["url", "unix_url"])
def test_a_valkey_that_stands_still_is_away_for_every_question_within_the_time_limit(
    server: ValkeyServer, kind: str
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for question in QUESTIONS.values():
            await question(broker)
        place = Place.parse(await broker.publish(update()))
        server.pause()
        waiter = asyncio.create_task(away(broker.wait(place, 10)))
        # The second waits behind the first, which is larger than a socket's buffer.
        publishers = [away(broker.publish(update("x" * 2_000_000))) for _ in range(2)]
        others = [away(QUESTIONS[name](broker)) for name in QUESTIONS.keys() - {"wait"}]
        asked = await asyncio.gather(*publishers, *others)
        assert max(asked) < valkey.ANSWER_SECONDS + 1
        assert await waiter < 8.5
        server.resume()
        for question in QUESTIONS.values():
            await question(broker)

    try:
        run(server, scenario, url=getattr(server, kind))
    finally:
        server.resume()


def test_a_publish_in_flight_when_valkey_dies_fails_at_once(fresh_valkey: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        fresh_valkey.pause()
        flights = [asyncio.create_task(away(broker.publish(update()))) for _ in range(3)]
        await until(lambda: is_sent(broker, fresh_valkey))
        flights += [asyncio.create_task(away(broker.publish(update())))]
        await until(lambda: broker._publishing._pending)
        await asyncio.to_thread(fresh_valkey.kill)
        assert max(await asyncio.gather(*flights)) < 1

    run(fresh_valkey, scenario)


def test_a_publish_beyond_the_bytes_that_may_wait_is_refused_at_once(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        server.pause()
        waiting = [asyncio.create_task(broker.publish(update("x" * 400))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BrokerAwayError, match="too many updates wait"):
            await broker.publish(update("x" * 400))
        server.resume()
        await asyncio.gather(*waiting)
        await broker.publish(update("x" * 400))

    monkeypatch.setattr(publishing, "PENDING_MOST_BYTES", 1600)
    try:
        run(server, scenario)
    finally:
        server.resume()


def test_a_valkey_that_refuses_to_write_is_away_with_its_reason(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update("before", "id"))
        server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(BrokerAwayError, match="maxmemory"):
            await broker.publish(update("full"))
        # The history can still be read and trimmed.
        for name in QUESTIONS.keys() - {"publish"}:
            await QUESTIONS[name](broker)
        assert texts(await all_records(broker)) == ["before"]
        server.ask("CONFIG", "SET", "maxmemory", "0")
        server.ask("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(BrokerAwayError, match="read only replica"):
            await broker.publish(update("replica"))
        server.ask("REPLICAOF", "NO", "ONE")
        await broker.publish(update("after"))
        assert texts(await all_records(broker)) == ["before", "after"]

    try:
        run(server, scenario)
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0")
        server.ask("REPLICAOF", "NO", "ONE")


def test_a_valkey_key_of_another_type_is_reported(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        server.ask("SET", LOG, "no stream")
        for question in (broker.publish(update()), broker.read(BEGIN, 10)):
            with pytest.raises(BrokerAwayError, match="WRONGTYPE"):
                await question

    run(server, scenario)


def test_closing_a_broker_fails_the_publishes_that_still_wait(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.publish(update())
        server.pause()
        sent = asyncio.create_task(away(broker.publish(update())))
        await until(lambda: is_sent(broker, server))
        behind = asyncio.create_task(away(broker.publish(update())))
        await until(lambda: broker._publishing._pending)
        await broker.close()
        assert await sent < 1
        assert await behind < 1

    try:
        run(server, scenario)
    finally:
        server.resume()


def test_bytes_that_a_stopped_valkey_has_not_read_keep_no_connection_open(
    server: ValkeyServer,
) -> None:
    def sockets() -> set[int]:
        files = Path("/proc/self/fd").iterdir()
        return {file.stat().st_ino for file in files if file.is_socket()}

    async def scenario(broker: ValkeyBroker) -> None:
        before = sockets()
        await broker.publish(update())
        server.pause()
        # More bytes than the buffers of both ends hold.
        publisher = asyncio.create_task(away(broker.publish(update("x" * 20_000_000))))
        await until(lambda: is_sent(broker, server))
        await broker.close()
        await publisher
        assert sockets() <= before

    try:
        run(server, scenario)
    finally:
        server.resume()


def test_a_question_that_is_cancelled_at_any_turn_leaves_no_connection_open(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        for turns in range(40):
            await broker.read(BEGIN, 1)
            asked = asyncio.create_task(broker.read(BEGIN, 1))
            for _ in range(turns):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
        await broker.close()
        await until(lambda: b"name=barestream" not in server.ask("CLIENT", "LIST"))

    run(server, scenario)


# --- the connection ---


def test_a_host_that_answers_no_connection_is_reported_within_the_time_limit() -> None:
    async def scenario(port: int) -> None:
        broker = ValkeyBroker(f"redis://127.0.0.1:{port}", FAR_BOUNDS)
        started_at = time.monotonic()
        with pytest.raises(BrokerAwayError) as caught:
            await broker.publish(update())
        assert time.monotonic() - started_at < valkey.ANSWER_SECONDS - 1
        assert (caught.value.cause, caught.value.nothing_taken) == ("unreachable", True)
        await broker.close()

    # A full queue answers as a vanished host does: not at all.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with contextlib.ExitStack() as queue:
            for _ in range(3):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)
            asyncio.run(scenario(address[1]))


@pytest.mark.parametrize("password", ["wrong-secret", "", None])
def test_a_wrong_password_is_reported_without_being_shown(
    server: ValkeyServer, password: str | None
) -> None:
    async def scenario() -> None:
        broker = ValkeyBroker(server.url, FAR_BOUNDS, password)
        for question in QUESTIONS.values():
            with pytest.raises(BrokerAwayError, match=r"(?i)password|auth") as caught:
                await question(broker)
            assert "wrong-secret" not in str(caught.value)
            assert caught.value.nothing_taken
        await broker.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_the_password_may_be_in_the_url(server: ValkeyServer, scheme: str) -> None:
    async def scenario() -> None:
        quoted = "correct%20horse%2Fbattery%3Astaple%40%2541"
        address = f"barestream:{quoted}@127.0.0.1:{server.port}"
        broker = ValkeyBroker(f"{scheme}://{address}", FAR_BOUNDS)
        assert await broker.publish(update(event_id="id")) == "id"
        await broker.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://:secret@host",
        "redis://",
        "redis://:secret@",
        "redis://:secret@:6379",
        "redis://:secret@host:port",
        "redis://:secret@host:99999",
        "redis://:12#secret@host:6379",
        "redis://u:12/secret@host:6379",
        "redis://u:12?secret@host:6379",
        "redis://:sec/ret@host",
        "redis://:secret@host/name",
        "redis://:secret@[::1",
        "redis://:secret@host?db=x",
        "redis://:secret@host?socket_timeout=1",
        "redis://:secret@host?retry_on_timeout=true",
        "rediss://:secret@host?ssl_cert_reqs=none",
        "redis://:secret@host?ssl_ca_certs=/path",
        "unix://",
        "unix:///path?password=secret",
    ],
)
def test_a_malformed_url_is_refused_without_showing_what_may_be_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="expected the URL of a Valkey") as caught:
        ValkeyBroker(url, FAR_BOUNDS)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://user:secret@host:6380/3",
        "REDIS://host/",
        "rediss://[::1]:6379?ssl_ca_certs=/etc/ca.pem",
        "valkey://host?db=3",
        "valkeys://host",
        "unix:///run/valkey.sock?db=1",
    ],
)
def test_creating_a_broker_does_not_connect(url: str) -> None:
    ValkeyBroker(url, FAR_BOUNDS, "password")
