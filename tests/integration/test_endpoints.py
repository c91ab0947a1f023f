"""Each endpoint, on our server with direct writes and on a plain ASGI server without."""

import asyncio
import importlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from barestream.app import create_app
from barestream.delivery.clock import HISTORY_TICKS
from barestream.settings.settings import Settings
from support.clients.sse_client import SseClient, stamp_seconds
from support.servers.served import Served
from support.servers.service import wait_for


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    app = create_app(Settings(heartbeat_seconds=0.4))
    with Served(app, ours=request.param) as served:
        yield served


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    host, port = server.address
    with httpx.Client(base_url=f"http://{host}:{port}") as client:
        yield client


def follow(
    server: Served, is_enough: Callable[[SseClient], Any], path: str = "/events", **headers: str
) -> SseClient:
    """Return a client that has read a stream until a condition on it was true."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(SseClient(server.address, path, named).read_until(is_enough))


def has_events(count: int) -> Callable[[SseClient], bool]:
    return lambda client: len(client.events) >= count


def is_open(client: SseClient) -> bool:
    return client.opened.is_set()


def place(seconds_ago: int) -> str:
    return f"#{int(time.time()) - seconds_ago}000-0"


def seconds_of(place: str) -> int:
    return int(place.removeprefix("#").partition("-")[0]) // 1000


def test_the_root_leads_to_the_page(http: httpx.Client) -> None:
    answer = http.get("/")
    assert answer.status_code == 303
    assert answer.url.join(answer.headers["location"]).path == "/test"


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
def test_a_load_balancer_may_ask_for_the_root(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/")
    assert (answer.is_error, answer.content) == (False, b"")
    if method == "OPTIONS":
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_the_page_names_its_own_files_and_they_may_be_cached_forever(http: httpx.Client) -> None:
    page = http.get("/test")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    folder = page.text.partition('src="static/')[2].partition("/")[0]
    script = http.get(f"/static/{folder}/test_page.js")
    assert script.status_code == 200
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["cache-control"]


def test_a_file_of_another_version_is_served_but_not_cached(http: httpx.Client) -> None:
    answer = http.get("/static/other/page.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "path", ["/static/x/..%2fpages.py", "/static/x/test.html", "/nope", "/events/"]
)
def test_an_unknown_path_gets_a_problem_each_time(http: httpx.Client, path: str) -> None:
    for _ in range(3):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Not Found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_wrong_method_gets_the_allowed_ones_each_time(http: httpx.Client, method: str) -> None:
    for _ in range(2):
        answer = http.request(method, "/events")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
        assert answer.json()["status"] == 405


def test_a_target_without_a_path_gets_a_problem(server: Served) -> None:
    with socket.create_connection(server.address, timeout=5) as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


@pytest.mark.parametrize("path", ["/", "/test", "/events", "/healthz", "/readyz"])
def test_head_gets_the_headers_of_get_and_ends(http: httpx.Client, path: str) -> None:
    head = http.head(path)
    with http.stream("GET", path) as get:
        assert head.status_code == get.status_code
        assert head.headers.get("content-type") == get.headers.get("content-type")
    assert head.content == b""


def test_health_reports_that_the_process_lives_and_accepts_streams(http: httpx.Client) -> None:
    assert http.get("/healthz").text == http.get("/readyz").text == "ok\n"


def test_the_headers_of_a_stream_keep_proxies_and_caches_from_holding_it(server: Served) -> None:
    headers = follow(server, is_open).response_headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert {"connection", "keep-alive", "content-encoding", "content-length"} & set(
        headers
    ) == set()


def test_a_stream_starts_with_a_delay_and_the_newest_tick_and_goes_on_live(server: Served) -> None:
    began_at = time.time()
    client = follow(server, has_events(5))
    stamps = [stamp_seconds(event) for event in client.events]
    assert stamps == list(range(int(stamps[0]), int(stamps[0]) + len(stamps)))
    assert stamps[0] >= int(began_at)
    assert len(client.retries_ms) == 1
    delays = [event.at - stamp_seconds(event) for event in client.events[1:]]
    assert min(delays) >= 0
    # The middle one: a machine that is held up for a moment makes one late, not most.
    assert median(delays) < 0.25


def test_every_client_is_given_a_delay_of_its_own(server: Served) -> None:
    async def many() -> list[SseClient]:
        clients = [SseClient(server.address) for _ in range(10)]
        return await asyncio.gather(
            *(client.read_until(lambda client: client.retries_ms) for client in clients)
        )

    delays = {client.retries_ms[0] for client in asyncio.run(many())}
    assert len(delays) > 5
    assert all(1000 <= delay <= 3000 for delay in delays)


def test_a_client_gets_the_missed_ticks_and_then_live_ones(server: Served) -> None:
    # The ticks of 5 s, and a live one.
    client = follow(server, has_events(7), Last_Event_ID=place(5))
    assert client.response_headers["last-event-id"] == client.headers["Last-Event-ID"]
    first = int(client.headers["Last-Event-ID"][1:].partition("-")[0]) // 1000 + 1
    stamps = [stamp_seconds(event) for event in client.events]
    assert stamps == list(range(first, first + len(stamps)))


def test_a_client_may_resume_by_the_query_and_the_header_takes_precedence(server: Served) -> None:
    asked, newer = place(5), place(2)
    query = "/events?lastEventID=" + quote(asked)
    for client, resumed_from in (
        (follow(server, has_events(1), query), asked),
        (follow(server, has_events(1), query, Last_Event_ID=newer), newer),
    ):
        assert stamp_seconds(client.events[0]) == seconds_of(resumed_from) + 1


def test_a_client_that_was_away_too_long_is_sent_a_gap(server: Served) -> None:
    began_at = int(time.time())
    client = follow(server, has_events(1 + HISTORY_TICKS), Last_Event_ID=place(HISTORY_TICKS + 40))
    gap, *ticks = client.events
    assert gap.type == "barestream.gap"
    assert client.response_headers["last-event-id"] == gap.id
    # The number of ticks that are kept at any moment.
    oldest_seconds_ago = HISTORY_TICKS - 1
    first = stamp_seconds(ticks[0])
    assert began_at - oldest_seconds_ago <= first <= int(time.time()) - oldest_seconds_ago


@pytest.mark.parametrize("unreadable", ["x", "#1-", "\0", "é" * 500])
def test_a_stream_asked_for_with_an_unreadable_id_starts_live_and_its_header_says_so(
    server: Served, unreadable: str
) -> None:
    began_at = int(time.time())
    client = follow(server, has_events(1), "/events?lastEventID=" + quote(unreadable))
    assert client.status == 200
    assert stamp_seconds(client.events[0]) >= began_at
    first = stamp_seconds(client.events[0])
    assert client.response_headers["last-event-id"] == f"#{int(first) - 1}000-0"


def test_a_stream_asked_for_with_a_future_id_starts_with_a_gap_and_goes_on_live(
    server: Served,
) -> None:
    began_at = int(time.time())
    client = follow(server, has_events(2), "/events?lastEventID=" + quote("#99999999999999-0"))
    gap, tick = client.events[:2]
    assert gap.type == "barestream.gap"
    assert client.response_headers["last-event-id"] == gap.id
    assert stamp_seconds(tick) >= began_at


def test_a_query_with_many_fields_is_accepted(server: Served) -> None:
    assert follow(server, is_open, "/events?" + "a&" * 1000).status == 200


def test_a_request_that_is_no_http_gets_a_problem_too() -> None:
    with (
        Served(create_app(Settings()), ours=True) as server,
        socket.create_connection(server.address, timeout=5) as connection,
    ):
        connection.sendall("GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"application/problem+json" in answer


def test_a_stream_with_a_request_behind_it_still_notices_that_its_client_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), Served(create_app(Settings()), ours=True) as server:
        with socket.create_connection(server.address, timeout=5) as connection:
            connection.sendall(
                b"GET /events HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        wait_for("the stream's end", lambda: "stream ended" in caplog.messages)


def test_without_nginx_the_address_that_a_client_claims_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BARESTREAM_BIND", "127.0.0.1:9009")
    config = importlib.reload(importlib.import_module("barestream.server.config"))
    assert config.forwarded_allow_ips == ""
    monkeypatch.delenv("BARESTREAM_BIND")
    assert importlib.reload(config).forwarded_allow_ips == "*"


def test_silence_is_filled_with_bare_comment_lines() -> None:
    for ours in (True, False):
        app = create_app(Settings(clock_seconds=3600, heartbeat_seconds=0.5))
        with Served(app, ours=ours) as server:
            began_at = time.monotonic()
            client = follow(server, lambda client: client.heartbeats >= 3)
        assert len(client.events) == 1
        # Each heartbeat follows at least half a second of silence.
        assert time.monotonic() - began_at >= 1.5


def test_a_client_of_http_1_0_gets_a_body_without_chunks() -> None:
    app = create_app(Settings())
    with (
        Served(app, ours=True) as server,
        socket.create_connection(server.address, timeout=5) as connection,
    ):
        connection.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        received = b""
        while received.count(b"\n\n") < 3:
            received += connection.recv(1000)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"retry: ")
    assert b"\r" not in body
