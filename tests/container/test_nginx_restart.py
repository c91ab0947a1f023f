"""nginx stopped alone, and given other settings, with streams open and publishers at work."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import httpx
import pytest

from compose import Stack
from outage import Outage
from support.clients.publisher import KEY, PATH, token
from support.servers.service import wait_for
from support.viewers.report import Report
from support.viewers.viewers import Viewers

# One that waits for a timeout takes 10 s or longer. A machine that is not busy takes 1 to 3 s;
# the tests print how long it took.
MOST_SECONDS = 8
STREAMS = 100
ORIGIN = "https://other.example"


@pytest.fixture
def hub() -> Iterator[Stack]:
    """Return the project with a key for publishers."""
    # Docker makes one address of all clients on this machine.
    with Stack(token_key=KEY) as running:
        yield running


def assert_whole(report: Report) -> None:
    """Fail unless every client was ended properly, came back, and has every event once."""
    assert report.verdict.accounts == []
    # What was taken was answered.
    assert report.verdict.unacknowledged == 0
    assert report.closed == report.gaps == []
    assert {visits[0].end for visits in report.visits} == {"ended"}
    assert all(visits[-1].end == "left" for visits in report.visits)


class SlowPublish:
    """A publish whose body comes in two halves."""

    def __init__(self, stack: Stack) -> None:
        # More than nginx keeps in memory.
        body = urlencode({"topic": "slow", "data": "x" * 200_000}).encode()
        self._connection = socket.create_connection(stack.address, timeout=30)
        self._rest = body[len(body) // 2 :]
        self._connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[: len(body) // 2]
        )

    def finish(self) -> bytes:
        """Send the rest, and return the answer's status line."""
        with self._connection:
            self._connection.sendall(self._rest)
            return self._connection.recv(4096).partition(b"\r\n")[0]


def is_listening(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/_nginx").status_code == 204
    except httpx.TransportError:
        return False


def test_a_restart_of_nginx_is_a_short_outage_in_which_nothing_is_lost(
    hub: Stack, figure: Callable[[str], None]
) -> None:
    def restart() -> float:
        with Viewers(hub.url, STREAMS) as viewers, Outage(hub.address) as outage:
            publishes = [SlowPublish(hub) for _ in range(5)]
            with ThreadPoolExecutor(1) as thread:
                began_at = time.monotonic()
                restarting = thread.submit(hub.run, "restart", "nginx")
                wait_for("the end of the listening", lambda: not is_listening(hub))
                answers = [publish.finish() for publish in publishes]
                assert restarting.result().returncode == 0
            seconds = time.monotonic() - began_at
            report = viewers.leave()
        figure(f"the command took {seconds:.1f} s; not served: {outage}\n{report}")
        assert answers == [b"HTTP/1.1 200 OK"] * 5
        assert_whole(report)
        return outage.most_seconds

    assert restart() <= MOST_SECONDS
    assert hub.logs("app").count('"reason": "nginx stopped"') >= STREAMS


def test_an_nginx_that_leaves_takes_nobody_and_exits_when_its_streams_are_over(hub: Stack) -> None:
    before = hub.inspect("nginx")["State"]["StartedAt"]
    with httpx.stream("GET", f"{hub.url}/events", timeout=20) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert hub.exec("nginx", "nginx-start", "leave").returncode == 0
        wait_for("the end of the listening", lambda: not is_listening(hub))
        # The stream has a tick each second.
        assert sum(next(lines).startswith("data:") for _ in range(12)) >= 3
        assert hub.inspect("nginx")["State"]["StartedAt"] == before
    # Docker starts it again when it has exited.
    wait_for("another nginx", lambda: is_listening(hub))
    assert hub.inspect("nginx")["State"]["StartedAt"] != before
    assert "nginx stopped" not in hub.logs("app")


def test_a_restart_of_nginx_does_not_wait_for_hung_workers(
    hub: Stack, figure: Callable[[str], None]
) -> None:
    workers = hub.workers()
    with httpx.stream("GET", f"{hub.url}/events", timeout=20) as answer:
        lines = answer.iter_lines()
        next(lines)
        for worker in workers:
            hub.signal_within(worker, "STOP")
        began_at = time.monotonic()
        done = hub.run("restart", "nginx")
        seconds = time.monotonic() - began_at
    for worker in workers:
        hub.signal_within(worker, "CONT")
    figure(f"the command took {seconds:.1f} s")
    assert done.returncode == 0
    assert seconds < MOST_SECONDS
    assert "connections to the app that did not end within 2 s" in hub.logs("nginx")


def allowed_origin(answer: httpx.Response) -> str | None:
    return answer.headers.get("access-control-allow-origin")


def is_live(stack: Stack) -> bool:
    return stack.exec("nginx", "nginx-start", "health").returncode == 0


def test_a_changed_setting_reloads_nginx_and_costs_a_short_time_without_the_app(
    hub: Stack, figure: Callable[[str], None]
) -> None:
    def started() -> tuple[str, str]:
        container = hub.inspect("nginx")
        return container["Id"], container["State"]["StartedAt"]

    def change_settings() -> float:
        with Viewers(hub.url, STREAMS) as viewers, Outage(hub.address) as outage:
            hub.set(cors_origins=ORIGIN, publish_rate=2000)
            began_at = time.monotonic()
            done = hub.run("up", "--wait")
            up_at = time.monotonic()
            wait_for("nginx with the settings", lambda: is_live(hub))
            live_at = time.monotonic()
            report = viewers.leave()
        figure(
            f"the command took {up_at - began_at:.1f} s, nginx was seen to follow after another "
            f"{live_at - up_at:.1f} s; not served: {outage}\n{report}"
        )
        assert done.returncode == 0, done.stderr
        assert_whole(report)
        return outage.most_seconds

    before = started()
    assert change_settings() <= MOST_SECONDS
    assert started() == before
    origin = {"Origin": ORIGIN}
    of_the_app = httpx.get(f"{hub.url}{PATH}", headers=origin)
    assert (of_the_app.status_code, allowed_origin(of_the_app)) == (400, ORIGIN)
    of_nginx = httpx.post(f"{hub.url}{PATH}", headers=origin, content=b"x" * 2_000_000)
    assert (of_nginx.status_code, allowed_origin(of_nginx)) == (413, ORIGIN)


def change(stack: Stack, rate: object) -> None:
    """Let the app hand another setting to nginx, without a restart of the app."""
    env = "/run/barestream/current/nginx.env"
    script = f"sed 's/PUBLISH_RATE=.*/PUBLISH_RATE={rate}/' {env} >/tmp/env && cp /tmp/env {env}"
    done = stack.exec("app", "sh", "-c", script)
    assert done.returncode == 0, done.stderr


def runs_with(stack: Stack, rate: int) -> bool:
    command = ("nginx", "-p", "/run/nginx", "-c", "/etc/nginx/nginx.conf", "-T")
    return f"rate={rate}r/s;" in stack.exec("nginx", *command).stdout


def test_nginx_follows_a_changed_app_cuts_no_stream_and_keeps_a_working_configuration(
    hub: Stack,
) -> None:
    with httpx.stream("GET", f"{hub.url}/events", timeout=20) as answer:
        lines = answer.iter_lines()
        change(hub, 7)
        wait_for("the reload", lambda: "PUBLISH_RATE=7 " in hub.logs("nginx"))
        assert runs_with(hub, 7)
        assert is_live(hub)
        change(hub, 0)
        refusal = "BARESTREAM_PUBLISH_RATE='0': expected a whole number above 0"
        wait_for("the refusal", lambda: refusal in hub.logs("nginx"))
        wait_for("what follows", lambda: "nginx keeps the one before" in hub.logs("nginx"))
        assert runs_with(hub, 7)
        assert not is_live(hub)
        change(hub, 8)
        wait_for("the next reload", lambda: is_live(hub))
        assert runs_with(hub, 8)
        # It is the same stream all the while.
        had = int(time.time())
        for line in lines:
            if line.startswith("id: #") and int(line[5:].partition("-")[0]) // 1000 > had:
                break
    assert hub.logs("nginx").count("the configuration was refused") == 1
