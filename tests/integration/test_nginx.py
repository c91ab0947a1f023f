"""nginx in front of the app, and while the app is away."""

import asyncio
import contextlib
import math
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, token
from support.clients.sse_client import ReconnectingClient, SseClient, stamp_seconds
from support.judges.ticks import assert_whole
from support.servers.outer_nginx import outer_nginx
from support.servers.served import reading, until
from support.servers.service import PATIENCE_SECONDS, ROOT, Service, children, wait_for


def refusal_by_nginx(tmp_path: Path, **settings: str) -> str:
    """Return nginx's complaint about its configuration with these settings; else an empty text."""
    conf, prefix = tmp_path / "conf", tmp_path / "prefix"
    prefix.mkdir()
    environment = {**os.environ, **settings, "BARESTREAM_LISTEN": "8080"}
    subprocess.run([ROOT / "nginx/render", conf], env=environment, check=True)
    binary = subprocess.check_output([ROOT / "scripts/nginx-binary"], text=True).strip()
    checked = subprocess.run(
        [binary, "-t", "-p", prefix, "-c", conf / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    return checked.stderr if checked.returncode else ""


def test_nginx_has_room_for_the_largest_number_of_workers(tmp_path: Path) -> None:
    most = max(
        limit.le for limit in Settings.model_fields["workers"].metadata if hasattr(limit, "le")
    )
    assert not refusal_by_nginx(tmp_path, BARESTREAM_WORKERS=str(most))


def test_nginx_has_room_for_an_origin_with_the_longest_host_name(tmp_path: Path) -> None:
    host = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    origin = f"https://{host}:65535"
    assert not refusal_by_nginx(tmp_path, BARESTREAM_CORS_ORIGINS=origin)


@pytest.mark.parametrize(
    ("version", "leaves_idle_connections"),
    [("1.22.1", False), ("1.27.3", False), ("1.27.4", True), ("1.28.0 (Ubuntu)", True)],
)
def test_a_reload_leaves_idle_connections_alone_where_nginx_can(
    tmp_path: Path, version: str, *, leaves_idle_connections: bool
) -> None:
    fake = tmp_path / "nginx"
    fake.write_text(f"#!/bin/sh\necho 'nginx version: nginx/{version}' >&2\n")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([ROOT / "nginx/render", tmp_path / "conf"], env=environment, check=True)
    rendered = (tmp_path / "conf/conf.d/http.conf").read_text()
    assert ("\nkeepalive_min_timeout 30s;\n" in rendered) is leaves_idle_connections


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("BARESTREAM_PUBLISH_RATE=7", None),
        ("BARESTREAM_PUBLISH_RATE=$(touch run)", "expected a whole number above 0"),
        ("BARESTREAM_PUBLISH_RATE=7r/s; include /etc/passwd", "expected a whole number above 0"),
        (
            "BARESTREAM_CORS_ORIGINS=https://a.example;",
            "expected origins with commas between, or *",
        ),
        ("BARESTREAM_TRUSTED_PROXIES=10.0.0.1;", "expected IP addresses or networks"),
        ("BARESTREAM_DRAIN_SECONDS=1;", "expected a number of seconds"),
        # This setting is not one that an app hands to nginx.
        ("PATH=/nowhere", None),
        ("BARESTREAM_TLS=on", None),
    ],
)
def test_the_settings_that_the_app_hands_to_nginx_are_checked_and_never_run(
    tmp_path: Path, line: str, refusal: str | None
) -> None:
    handed = tmp_path / "nginx.env"
    handed.write_text(f"{line}\n")
    environment = {**os.environ, "BARESTREAM_NGINX_ENV": str(handed)}
    done = subprocess.run(
        [ROOT / "nginx/render", tmp_path / "conf"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "run").exists()
    if refusal:
        assert done.returncode != 0
        assert refusal in done.stderr
        return
    assert done.returncode == 0, done.stderr
    rendered = (tmp_path / "conf/conf.d/http.conf").read_text()
    assert ("rate=7r/s;" in rendered) is line.endswith("RATE=7")
    assert "include conf.d/plain.conf;" in rendered


@pytest.mark.parametrize(
    "target", ["/_end-streams", "//_end-streams", "/%5fend-streams", "/x/../_end-streams"]
)
def test_the_end_of_all_streams_cannot_be_asked_for_from_outside(
    service: Service, target: str
) -> None:
    with socket.create_connection(service.address, timeout=5) as connection:
        connection.sendall(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_make_up_repairs_a_run_whose_app_is_dead() -> None:
    with Service() as service:
        os.killpg(service.app_pid, signal.SIGKILL)
        wait_for("the app's end", lambda: not service.is_app_running())
        service.make_up()
        assert httpx.get(f"{service.url}/readyz").status_code == 200


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url) as client:
        yield client


def live_events(count: int, address: tuple[str, int] | Path, **headers: str) -> SseClient:
    """Read a stream up to so many live events; its first event is the newest tick, not live."""
    client = SseClient(address, headers=headers)
    return asyncio.run(client.read_until(lambda client: len(client.events) > count))


def test_a_stream_is_neither_buffered_nor_compressed(service: Service) -> None:
    client = live_events(4, service.address, **{"Accept-Encoding": "gzip, br"})
    delays = [event.at - stamp_seconds(event) for event in client.events[1:]]
    assert median(delays) < 0.25
    assert "content-encoding" not in client.response_headers
    assert client.response_headers["x-accel-buffering"] == "no"


def test_ticks_of_two_seconds_arrive_at_their_stamps() -> None:
    with Service(clock_seconds=2) as two:

        async def both() -> list[SseClient]:
            clients = (SseClient(two.current_sockets[0]), SseClient(two.address))
            return await asyncio.gather(
                *(client.read_until(lambda client: len(client.events) > 3) for client in clients)
            )

        for client in asyncio.run(both()):
            live = client.events[1:]
            assert median(event.at - stamp_seconds(event) for event in live) < 0.25


def test_every_answer_has_the_security_headers(http: httpx.Client) -> None:
    for path in ("/test", "/nope", "/healthz"):
        headers = http.get(path).headers
        assert headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["server"] == "nginx"


def test_static_files_are_compressed_and_cached(service: Service, http: httpx.Client) -> None:
    page = http.get("/test").text
    path, script = (
        "/" + page.partition(f'{name}="')[2].partition('"')[0] for name in ("href", "src")
    )
    assert path.startswith("/static/")
    logged_before = len(lines_of(service, script))
    answers = [http.get(script) for _ in range(2)]
    assert [answer.headers["content-encoding"] for answer in answers] == ["gzip", "gzip"]
    assert answers[0].text == answers[1].text
    wait_for("both lines", lambda: len(lines_of(service, script)) == logged_before + 2)
    assert lines_of(service, script)[-1]["upstream"] == ""


def lines_of(service: Service, path: str) -> list[dict[str, str]]:
    """Return the lines of nginx's log about requests for a path."""
    return [line for line in service.nginx_log() if line["path"] == path]


def test_both_logs_have_the_same_id_of_a_request_and_neither_has_its_query(
    service: Service,
) -> None:
    client = SseClient(
        service.address, "/events?authorization=secret", {"User-Agent": "in both logs"}
    )
    asyncio.run(client.read_until(lambda client: client.events))
    end = service.end_of("in both logs")
    [found] = [line for line in service.nginx_log() if line["request_id"] == end["request_id"]]
    assert found["path"] == "/events"
    assert "secret" not in (service.folder / "nginx.log").read_text()
    assert "secret" not in (service.folder / "app.log").read_text()


def test_the_address_of_a_client_comes_from_nginx_and_not_from_the_client(service: Service) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "User-Agent": "says another address"}
    live_events(0, service.address, **headers)
    assert service.end_of("says another address")["client"] == "127.0.0.1"


def test_the_clients_of_a_trusted_proxy_have_the_addresses_that_it_names() -> None:
    with Service(trusted_proxies="127.0.0.1, 10.0.0.0/8", streams_per_address=1) as behind:

        async def each_its_own(*forwarded: str) -> None:
            clients = [
                SseClient(behind.address, headers={"X-Forwarded-For": named}) for named in forwarded
            ]
            # All are open at the same time; the limit of one address is below their number.
            async with reading(*clients):
                await until(lambda: all(client.events for client in clients))

        # The address that a client claims comes first, and the proxies' own addresses last.
        asyncio.run(each_its_own("203.0.113.9, 198.51.100.1, 10.1.2.3", "203.0.113.9"))
        wait_for("the ends", lambda: len(behind.ended_streams()) == 2)
        told = {line["client"] for line in behind.ended_streams()}
        assert told == {"198.51.100.1", "203.0.113.9"}


@pytest.mark.parametrize(("trusted", "status"), [("127.0.0.1", 200), ("192.0.2.1", 403)])
def test_only_a_trusted_proxy_may_say_that_a_publish_with_a_cookie_came_by_tls(
    trusted: str, status: int
) -> None:
    with Service(trusted_proxies=trusted, workers=1, token_key=KEY) as behind:
        answer = httpx.post(
            behind.url + PATH,
            data={"topic": "a"},
            headers={
                "Cookie": f"mercureAuthorization={token()}",
                "Origin": behind.url.replace("http:", "https:"),
                "X-Forwarded-Proto": "https",
            },
        )
    assert answer.status_code == status


def test_bad_input_gets_a_problem(service: Service, http: httpx.Client) -> None:
    answer = http.post("/nope", content=b"x" * 2_000_000)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 413
    with socket.create_connection(service.address, timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 400")
    assert b'"status": 400' in received


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"G@T / HTTP/1.1", b"400"),
        (b"nonsense", b"400"),
        (b"GET /" + b"a" * 33_000 + b" HTTP/1.1", b"414"),
        (b"GET / HTTP/3.0", b"505"),
    ],
)
def test_an_unreadable_request_line_gets_a_problem(
    service: Service, request_line: bytes, status: bytes
) -> None:
    with socket.create_connection(service.address, timeout=5) as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert b'"status": ' + status in answer


@pytest.mark.parametrize(
    ("path", "more", "status", "limit"),
    [
        (f"/?{'a' * 33_000}", {}, 414, "longer than 32 KiB"),
        ("/", {"headers": {"x": "a" * 33_000}}, 431, "longer than 32 KiB"),
        ("/", {"content": b"a" * 1_100_000}, 413, "any other request 1 MiB"),
        (PATH, {"content": b"a" * 1_700_000}, 413, f"a publish may have {3 * 512_000 + 65_536}"),
    ],
    ids=["target", "header", "body", "publish"],
)
def test_a_request_above_a_limit_of_nginx_is_refused_with_that_limit(
    http: httpx.Client, path: str, more: dict[str, Any], status: int, limit: str
) -> None:
    answer = http.request("POST" if "content" in more else "GET", path, **more)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert limit in answer.json()["detail"]


def test_the_service_answers_over_ipv6_too(service: Service) -> None:
    # On a machine without IPv6, nginx has started without it.
    host = "[::1]" if Path("/proc/net/if_inet6").exists() else "127.0.0.1"
    assert httpx.get(f"http://{host}:{service.port}/healthz").text == "ok\n"


def test_the_largest_number_of_topics_fits_the_url_of_a_stream(service: Service) -> None:
    topics = [f"{nth:03}".ljust(90, "/") for nth in range(100)]
    with httpx.stream("GET", service.url + PATH, params={"topic": topics}) as answer:
        assert len(answer.request.url.raw_path) > 26_000
        assert answer.status_code == 200


def test_a_slow_header_is_not_waited_for(service: Service) -> None:
    with socket.create_connection(service.address, timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        started_at = time.monotonic()
        # nginx resets the connection, or closes it normally.
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
        assert time.monotonic() - started_at < 15


def test_a_stream_above_the_limit_of_an_address_gets_a_retry_delay() -> None:
    with Service(streams_per_address=2) as service:

        async def three() -> list[SseClient]:
            clients = [SseClient(service.address) for _ in range(3)]
            async with reading(*clients):
                await until(lambda: all(each.events or each.clean is not None for each in clients))
            return clients

        clients = asyncio.run(three())
        wait_for("a line for each", lambda: len(lines_of(service, "/events")) == 3)
        assert service.complaints() == []
    assert {client.status for client in clients} == {200}
    [refused] = [client for client in clients if not client.events]
    assert refused.clean
    assert 2000 <= refused.retries_ms[0] <= 4000
    assert refused.response_headers["content-type"].startswith("text/event-stream")


def test_a_stream_for_which_nginx_has_no_files_left_gets_a_retry_delay() -> None:
    with Service(streams_per_address=65535) as service, contextlib.ExitStack() as streams:
        workers = children(service.nginx_pid)
        for worker in workers:
            # For 10 streams, and for the client's side of the next.
            most = sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir()) + 21
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (most, most))
        for _ in range(11 * len(workers)):
            stream = streams.enter_context(socket.create_connection(service.address, timeout=5))
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert "Too many open files" in (service.folder / "nginx.log").read_text()


def test_with_the_app_away_streams_get_a_retry_delay_and_no_other_request_gets_a_200() -> None:
    with Service() as service, httpx.Client(base_url=service.url) as http:
        service.end_app()
        asked = [
            http.get("/events"),
            http.request(
                "QUERY",
                "/.well-known/mercure",
                content="match=a",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            ),
            http.get("/other", headers={"Accept": "text/event-stream"}),
        ]
        for answer in asked:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert re.fullmatch(r"retry: [0-9]{4}\n", asked[0].text)
        for answer in (
            http.post("/events"),
            http.get("/test"),
            http.get("/readyz"),
            http.post("/other", headers={"Accept": "text/event-stream"}),
        ):
            assert answer.status_code == 502
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == 502
        service.start_app()
        wait_for("the app", lambda: http.get("/readyz").status_code == 200)


def test_a_client_misses_nothing_over_an_outage_of_the_app() -> None:
    with Service() as service:

        async def follow() -> ReconnectingClient:
            client = ReconnectingClient(service.address)
            back_at = math.inf
            running = asyncio.create_task(
                client.run_until(
                    lambda client: client.events and stamp_seconds(client.events[-1]) > back_at
                )
            )
            await until(lambda: client.events or running.done())
            service.signal(signal.SIGTERM)
            await until(lambda: not service.is_app_running())
            # At least one attempt to reconnect fails.
            await asyncio.sleep(3)
            await asyncio.to_thread(service.start_app)
            back_at = time.time()
            return await running

        client = asyncio.run(follow())
    assert_whole(client.events)


def test_a_reload_of_nginx_cuts_no_stream_and_refuses_no_request() -> None:
    with Service() as service:

        async def follow() -> tuple[SseClient, list[int]]:
            client = SseClient(service.address)
            async with reading(client):
                os.kill(service.nginx_pid, signal.SIGHUP)
                statuses = []
                for _ in range(30):
                    probe = SseClient(service.address, "/readyz")
                    await probe.run(PATIENCE_SECONDS)
                    statuses.append(probe.status)
                await until(lambda: len(client.events) >= 6 or client.clean is not None)
            return client, statuses

        client, statuses = asyncio.run(follow())
        assert client.clean is None
        assert_whole(client.events)
        assert set(statuses) == {200}


def test_an_outer_nginx_with_default_buffering_passes_events_at_once(
    service: Service, tmp_path: Path
) -> None:
    with outer_nginx(service, tmp_path) as outer:
        client = live_events(4, outer.address)
    delays = [event.at - stamp_seconds(event) for event in client.events[1:]]
    assert median(delays) < 0.25


@pytest.mark.parametrize(
    "head",
    [
        "GET /healthz HTTP/1.0\r\n",
        # As much as nginx accepts, before it adds its own fields.
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        + f"X: {'y' * 32_000}\r\n" * 3
        + f"X: {'y' * 31_800}\r\n",
    ],
    ids=["without a host", "large"],
)
def test_every_head_that_nginx_accepts_is_served_by_the_app(service: Service, head: str) -> None:
    with socket.create_connection(service.address, timeout=5) as connection:
        connection.sendall(f"{head}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_every_file_of_the_pages_is_found_below_the_path_of_an_outer_proxy(
    service: Service, tmp_path: Path
) -> None:
    with outer_nginx(service, tmp_path, "/hub/") as outer:
        page = httpx.get(f"{outer.url}/", follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/hub/test")
        hub = httpx.URL(page.headers["link"].partition("<")[2].partition(">")[0])
        names = re.findall(r'(?:href|src)="([^#"]+)"', page.text)
        found = {page.url.join(name).path: name for name in [*names, str(hub)]}
        assert {"/hub/events", "/hub/.well-known/mercure"} < found.keys()
        for path in found:
            with httpx.stream("GET", page.url.join(f"{path}?topic=a")) as answer:
                assert (path, answer.status_code) == (path, 200)
