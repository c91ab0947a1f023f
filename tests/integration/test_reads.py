"""Reads that end: the events of a stream as one answer, and the newest cursor."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from hub_in_use import JSON, Hub, Pairs, Serving, bearing, serve
from support.clients.publisher import PATH
from support.servers.served import Served, until
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer

VERSIONS = pytest.mark.parametrize("version", ["topic", "match"])


def data_of(answer: dict[str, Any]) -> list[str]:
    return [event["data"] for event in answer["events"]]


@VERSIONS
def test_a_read_has_the_events_after_a_cursor_and_the_next_one(hub: Hub, version: str) -> None:
    cursor = hub.cursor
    first = hub.publish("1\n2", "x", "a", id="own", type="greeting", retry="1500")
    second = hub.publish("3", "a")
    last = hub.publish("4", "other")
    answer = hub.read([(version, "a"), ("last_event_id", cursor)])
    place = answer["events"][0].pop("place")
    assert answer == {
        "events": [
            {"id": first, "topic": "a", "type": "greeting", "data": "1\n2", "retry": 1500},
            {"id": second, "place": second, "topic": "a", "type": "message", "data": "3"},
        ],
        "gap": None,
        "more": False,
        "ended": False,
        "cursor": last,
    }
    for seen in ("own", place):
        assert data_of(hub.read([(version, "a"), ("last_event_id", seen)])) == ["3"]
    assert data_of(hub.read([(version, "a"), ("last_event_id", last)])) == []
    assert data_of(hub.read([(version, "a")], {"Last-Event-ID": "own"})) == ["3"]


@VERSIONS
def test_a_read_without_a_cursor_has_the_newest_one(hub: Hub, version: str) -> None:
    last = hub.publish("1", "a")
    answer = hub.read([(version, "a")])
    assert (answer["events"], answer["cursor"]) == ([], last)


def test_the_headers_of_a_read(hub: Hub) -> None:
    answer = hub.ask([("topic", "a")], accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    # Whoever can read a stream gets one.
    for accept in ("text/event-stream, application/json", "application/json, text/event-stream"):
        sent = {"Accept": accept}
        with hub.http.stream("GET", f"{PATH}?topic=a", headers=sent) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")


def test_a_read_may_be_asked_for_by_query(hub: Hub) -> None:
    hub.publish("1", "a")
    form = {"match": ["a", "b"], "rewind": "5", "limit": "1"}
    answer = hub.http.request("QUERY", PATH, data=form, headers=JSON)
    assert answer.status_code == 200
    assert data_of(answer.json()) == ["1"]


@VERSIONS
def test_pages_of_a_long_history_are_whole_together(serving: Serving, version: str) -> None:
    for ring_events in (1, 1000):
        with serving(ring_events=ring_events) as hub:
            cursor = hub.cursor
            hub.publish_all(*({"topic": "ab"[n % 2], "data": str(n)} for n in range(50)))
            seen: list[str] = []
            more = True
            while more:
                pairs = [(version, "a"), ("limit", "7"), ("last_event_id", cursor)]
                answer = hub.read(pairs)
                assert len(answer["events"]) <= 7
                assert answer["gap"] is None
                seen += data_of(answer)
                cursor, more = answer["cursor"], answer["more"]
            assert seen == [str(n) for n in range(0, 50, 2)]


def test_a_read_of_a_lost_cursor_has_a_gap(serving: Serving) -> None:
    with serving(history_events=2, ring_events=1) as hub:
        cursor = hub.cursor
        for text in ("a1", "a2", "a3", "a4"):
            hub.publish(text)
        for lost in (cursor, "never"):
            answer = hub.read([("topic", "a"), ("last_event_id", lost)])
            assert answer["gap"]["from"] == lost
            assert data_of(answer) == ["a3", "a4"]
            again = hub.read([("topic", "a"), ("last_event_id", answer["cursor"])])
            assert (again["gap"], again["events"]) == (None, [])
        assert hub.read([("topic", "a"), ("last_event_id", "earliest")])["gap"] is None


def test_a_read_with_a_rewind_has_it_and_goes_on_from_its_cursor(hub: Hub) -> None:
    for text in ("a1", "b1", "a2", "a3"):
        hub.publish(text)
    pairs: Pairs = [("topic", "a"), ("topic", "b"), ("rewind", "2")]
    whole = hub.read(pairs)
    assert (data_of(whole), whole["more"]) == (["b1", "a2", "a3"], False)
    hub.publish("b2")
    assert data_of(hub.read([*pairs, ("last_event_id", whole["cursor"])])) == ["b2"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_reads_beside_a_topic_that_is_new_lose_nothing(hub: Hub, limit: int) -> None:
    hub.publish("n1")
    cursor = hub.publish("a0")
    for text in ("a1", "n2", "a2", "a3", "x"):
        hub.publish(text)
    pairs: Pairs = [("topic", "a"), ("topic", "n"), ("rewind", "2"), ("new", "n")]
    seen: list[str] = []
    gaps: list[object] = []
    for _ in range(9):
        answer = hub.read([*pairs, ("last_event_id", cursor), ("limit", str(limit))])
        seen += data_of(answer)
        gaps += [answer["gap"]] if answer["gap"] else []
        cursor = answer["cursor"]
        if "~" not in cursor:
            # The topic is not new any more.
            break
    # A rewind of two does not fit into an answer of one event, and that says so.
    assert seen == ["a1", "a2", "a3", *(["n1"] if limit > 1 else []), "n2"]
    assert len(gaps) == (limit == 1)
    assert cursor == hub.cursor


def beside(hub: Hub, act: Callable[[], object], pairs: Pairs) -> dict[str, Any]:
    """Return the answer to a read that waits, while something is done."""

    async def main() -> dict[str, Any]:
        reading = asyncio.create_task(asyncio.to_thread(hub.read, pairs))
        await until(lambda: hub.served.is_answering)
        await asyncio.to_thread(act)
        return await reading

    return asyncio.run(main())


def test_a_read_waits_for_the_first_event(hub: Hub) -> None:
    waiting: Pairs = [("topic", "a"), ("last_event_id", hub.cursor), ("wait", "50")]

    def act() -> None:
        hub.publish("other")
        hub.publish("a1", private="on")
        hub.publish("a2")

    answer = beside(hub, act, waiting)
    assert data_of(answer) == ["a2"]
    assert answer["cursor"] == hub.cursor
    # What is there already is not waited for.
    assert data_of(hub.read(waiting)) == ["a2"]
    assert data_of(hub.read([("topic", "a"), ("rewind", "1"), ("wait", "50")])) == ["a2"]


def test_a_read_waits_no_longer_than_asked(hub: Hub) -> None:
    cursor = hub.publish("x")
    answer = hub.read([("topic", "a"), ("wait", "1")])
    assert answer == {"events": [], "gap": None, "more": False, "ended": False, "cursor": cursor}


def test_a_read_that_waits_counts_as_a_stream(serving: Serving) -> None:
    with serving(streams_per_worker=1) as hub:

        def act() -> None:
            wait_for("the read", lambda: "barestream_streams 1.0" in hub.http.get("/metrics").text)
            refused = hub.ask([("topic", "a")], accept="application/json")
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "1"
            assert "BARESTREAM_STREAMS_PER_WORKER" in refused.json()["detail"]
            hub.publish("a1")

        assert data_of(beside(hub, act, [("topic", "a"), ("wait", "50")])) == ["a1"]
        assert "barestream_streams 0.0" in hub.http.get("/metrics").text


@pytest.mark.parametrize("method", ["GET", "QUERY"])
def test_a_client_that_leaves_while_its_read_waits_is_no_stream_any_more(
    hub: Hub, method: str
) -> None:
    def streams() -> bool:
        return "barestream_streams 1.0" in hub.http.get("/metrics").text

    form = "match=a&wait=50"
    url, body = (f"{PATH}?{form}", "") if method == "GET" else (PATH, form)
    head = [f"{method} {url} HTTP/1.1", "Host: x", "Accept: application/json"]
    if body:
        head += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    with socket.create_connection(hub.served.address) as connection:
        connection.sendall("\r\n".join([*head, "", body]).encode())
        wait_for("the read", streams)
    started_at = time.monotonic()
    wait_for("its end", lambda: not streams())
    assert time.monotonic() - started_at < 40


@VERSIONS
def test_head_has_the_newest_cursor(hub: Hub, version: str) -> None:
    name = "last-event-id" if version == "topic" else "mercure-last-event-id"
    for text in ("a1", "other"):
        place = hub.publish(text)
        answer = hub.ask([(version, "a")], "HEAD")
        assert (answer.status_code, answer.headers[name], answer.content) == (200, place, b"")
        assert answer.headers["cache-control"] == "no-store"
    # A page that was read with this cursor misses nothing.
    hub.publish("a2")
    assert data_of(hub.read([(version, "a"), ("last_event_id", place)])) == ["a2"]


def test_head_of_an_ended_topic_has_the_cursor_too(hub: Hub) -> None:
    end = hub.publish("1", "run", end="true")
    assert hub.ask([("topic", "run")], "HEAD").headers["last-event-id"] == end


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_needs_the_rights_of_a_stream(serving: Serving, method: str) -> None:
    with serving(anonymous="false") as hub:
        assert hub.ask([("topic", "a")], method, accept="application/json").status_code == 401
        allowed = hub.ask([("topic", "a")], method, accept="application/json", **bearing("a"))
        assert allowed.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_before_the_history_was_read_a_read_is_refused_and_a_stream_told_to_come_back(
    method: str,
) -> None:
    with (
        Served(create_app(Settings(broker_url="redis://127.0.0.1:9")), ours=True) as served,
        httpx.Client(base_url=served.url) as http,
    ):
        answer = http.request(method, f"{PATH}?topic=a", headers=JSON)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        stream = http.get(f"{PATH}?topic=a")
        assert stream.status_code == 200
        assert stream.text.startswith("retry: ")


@pytest.mark.parametrize("more", [[("rewind", "5")], [("last_event_id", "never")]])
def test_a_read_of_a_history_that_is_away_is_refused_in_time(more: Pairs) -> None:
    with ValkeyServer() as valkey, serve("direct", valkey, ring_events=1) as hub:
        hub.publish("a1")
        valkey.kill()
        answer = hub.ask([("topic", "a"), *more], accept="application/json")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert "The history does not answer" in answer.json()["detail"]
        valkey.start()
        wait_for("the hub", lambda: hub.http.get("/readyz").status_code == 200)
        assert data_of(hub.read([("topic", "a"), *more])) == ["a1"]
