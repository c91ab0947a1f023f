"""The figures of the workers, and ``barestream top``, which shows them."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from barestream.commands.rates import Interval, interval
from barestream.mercure.tokens import sign
from barestream_client import Hub, mint
from support.clients.command_line import CommandLine
from support.clients.operator import bearing
from support.clients.publisher import KEY, PATH, Publisher
from support.clients.sse_client import SseClient
from support.clients.terminal import Terminal
from support.servers.faulty_proxy import Fault, FaultyProxy
from support.servers.http_server import http_server
from support.servers.served import following, until
from support.servers.service import Service, free_port, wait_for
from support.servers.stopped import stopped
from support.servers.valkey_server import ValkeyServer

FIGURES = f"{PATH}/figures"
OPERATE = sign(KEY, "HS256", (), (), None, operate=True)
ALTERNATE_SCREEN = "\x1b[?1049"


@pytest.fixture(scope="module")
def service(valkey: ValkeyServer) -> Iterator[Service]:
    with Service(
        workers=2,
        token_key=KEY,
        broker_url=valkey.url,
        broker_password=valkey.password,
        drain_seconds=0,
    ) as running:
        wait_for("both workers", running.is_ready)
        yield running


@pytest.fixture
def shell(service: Service) -> Iterator[CommandLine]:
    with CommandLine(BARESTREAM_URL=service.url, BARESTREAM_TOKEN=OPERATE) as shell:
        yield shell


def told_by(path: Path, seconds: float = 30) -> dict[str, Any]:
    """Return the figures that the worker of a socket answers with, in so many seconds."""
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, timeout=seconds) as inside:
        found: dict[str, Any] = inside.get(
            f"http://inside{FIGURES}", headers=bearing(OPERATE)
        ).json()
        return found


def on_a_terminal(shell: CommandLine, line: str, **size: int) -> Terminal:
    return Terminal(["bash", "-c", f"exec {line}"], shell.environment, shell.home, **size)


async def _to_each_worker(service: Service, events: int) -> None:
    """Have each worker write some events to a stream of its own, and one worker take them."""
    async with contextlib.AsyncExitStack() as stack:
        streams: list[SseClient] = [
            await stack.enter_async_context(following(path, "t"))
            for path in service.current_sockets
        ]
        await until(lambda: all(stream.retries_ms for stream in streams))
        await stack.enter_async_context(publisher := Publisher(service.url))
        for nth in range(events):
            await publisher.publish("t", data=str(nth))
        await until(lambda: all(len(stream.events) == events for stream in streams))
        await until(lambda: [each["streams"] for each in _workers(service)] == [1, 1])


def _workers(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told_by(service.current_sockets[0])["workers"]
    return found


def test_each_worker_tells_what_all_of_them_do(service: Service) -> None:
    before = told_by(service.current_sockets[0])
    asyncio.run(_to_each_worker(service, 5))
    wait_for("no streams", lambda: not any(each["streams"] for each in _workers(service)))
    one, other = map(told_by, service.current_sockets)
    assert {each["pid"] for each in one["workers"]} == {*service.workers()}
    for after in (one, other):
        risen = {name: count - before["totals"][name] for name, count in after["totals"].items()}
        assert (risen["updates_published"], risen["events_delivered"]) == (5, 10)
        assert risen["streams_ended"] == 2
        of_workers = interval(before, after).workers
        assert {each.activity.deliveries for each in of_workers} == {
            5 / (after["steady_seconds"] - before["steady_seconds"])
        }
        assert all(each["memory_bytes"] > 10_000_000 for each in after["workers"])
        assert all(each["history"]["answers"] for each in after["workers"])
    assert one["history"] == "valkey"


def test_the_counts_of_a_worker_that_was_killed_stay_in_the_totals(service: Service) -> None:
    before = told_by(service.current_sockets[0])["totals"]
    killed = service.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_for("its successor", lambda: killed not in service.workers() and service.is_ready())
    after = told_by(service.current_sockets[0])
    assert killed not in {each["pid"] for each in after["workers"]}
    assert len(after["workers"]) == 2
    assert all(after["totals"][name] >= count for name, count in before.items())


def test_only_an_operator_is_told(service: Service) -> None:
    for token, status in ((None, 401), (mint(KEY, publish=["*"], subscribe=["*"]), 403)):
        answer = httpx.get(service.url + FIGURES, headers=bearing(token) if token else {})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "right to operate" in answer.json()["detail"]


def test_the_client_for_python_has_the_figures(service: Service) -> None:
    async def told() -> dict[str, Any]:
        async with Hub(service.url, OPERATE) as hub:
            return await hub.figures()

    assert len(asyncio.run(told())["workers"]) == 2


def _answering(service: Service) -> Path | None:
    """Return the socket of a worker that answers; None where none does so soon."""
    for path in service.current_sockets:
        with contextlib.suppress(httpx.TimeoutException):
            told_by(path, seconds=2)
            return path
    return None


def test_a_worker_that_hangs_is_seen_by_the_other_one(service: Service) -> None:
    hanging, other = service.workers()
    # The master would kill a worker that hangs for long.
    with stopped(service.app_pid, hanging):
        path = wait_for("a worker that answers", lambda: _answering(service))
        before = told_by(path)

        def later() -> Interval | None:
            found = interval(before, told_by(path))
            return found if found.seconds is not None and found.seconds > 1 else None

        found: Interval = wait_for("a second", later)
    assert {each.pid: each.is_hanging for each in found.workers} == {hanging: True, other: False}


def test_a_view_on_a_terminal_says_what_is_away_and_goes_on_when_it_is_back(
    service: Service, valkey: ValkeyServer, shell: CommandLine
) -> None:
    with FaultyProxy(service) as proxy:
        line = f"barestream top --interval 0.2 --url {proxy.url}"
        with on_a_terminal(shell, line) as terminal:
            rows = [f"{pid} " for pid in service.workers()]
            terminal.until(
                lambda view: all(row in view for row in rows) and "Valkey answers" in view
            )
            assert terminal.output.startswith(f"{ALTERNATE_SCREEN}h")
            assert "memory" in terminal.view
            terminal.resize(50, 20)
            terminal.until(lambda view: "streams" in view and "memory" not in view)
            terminal.resize(80, 24)
            terminal.until(lambda view: "memory" in view)
            valkey.kill()
            try:
                terminal.until(
                    lambda view: "Valkey does not answer all workers (unreachable)" in view
                )
            finally:
                valkey.start()
            terminal.until(lambda view: "Valkey answers" in view and "last failed" in view)
            proxy.fault = Fault.REFUSES
            proxy.break_all()
            # The last figures stay.
            terminal.until(lambda view: "The hub is away" in view and rows[1] in view)
            words = " ".join(terminal.view.split())
            # The kernel decides whether the request was sent before the proxy broke it off.
            assert re.search(r"The hub is away[^:]*: .*(was cut|takes no connection): \w", words)
            proxy.fault = Fault.NONE
            terminal.until(lambda view: "Valkey answers" in view)
            terminal.type("\x03")
            assert terminal.end() == 130
            # The terminal has its screen and its cursor back, and the last figures are below.
            screens = [each for each in terminal.output.split("\x1b[?") if each[:4] == "1049"]
            assert [each[4] for each in screens] == ["h", "l"]
            assert terminal.output.count("\x1b[?25l") == terminal.output.count("\x1b[?25h") == 1
            assert rows[1] in terminal.output.rpartition(f"{ALTERNATE_SCREEN}l")[2]
            assert "Traceback" not in terminal.output
    wait_for("both workers", service.is_ready)


def test_a_hub_that_is_silent_is_seen_before_its_answer_is_given_up(shell: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        line = f"barestream top --url http://127.0.0.1:{silent.getsockname()[1]}"
        with on_a_terminal(shell, line) as terminal:
            terminal.until(lambda view: "no answer yet" in view)
            terminal.type("\x03")
            assert terminal.end() == 130
            assert "Traceback" not in terminal.output


def test_a_terminal_has_its_screen_back_after_a_signal_too(shell: CommandLine) -> None:
    with on_a_terminal(shell, "barestream top") as terminal:
        terminal.until(lambda view: "worker" in view)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.end() == 143
        assert f"{ALTERNATE_SCREEN}l" in terminal.output
        assert "Traceback" not in terminal.output


def test_colours_are_only_for_terminals_that_want_them(shell: CommandLine) -> None:
    coloured = "\x1b[32m"
    with on_a_terminal(shell, "barestream top --once --interval 0.2") as terminal:
        assert terminal.end() == 0
        assert coloured in terminal.output
        assert ALTERNATE_SCREEN not in terminal.output
    shell.environment["NO_COLOR"] = "1"
    with on_a_terminal(shell, "barestream top --once --interval 0.2") as terminal:
        assert terminal.end() == 0
        assert coloured not in terminal.output
        assert "Valkey answers" in terminal.output
    del shell.environment["NO_COLOR"]
    for dumb in ("barestream top --once --interval 0.2", "barestream top --count 1"):
        piped = shell.run(dumb)
        assert (piped.returncode, piped.stderr, "\x1b" in piped.stdout) == (0, "", False)
        assert "Valkey answers" in piped.stdout
    shell.environment["TERM"] = "dumb"
    with on_a_terminal(shell, "barestream top --count 1") as terminal:
        assert terminal.end() == 0
        assert "\x1b" not in terminal.output


def test_each_interval_is_a_line_for_people_or_for_programs(
    service: Service, shell: CommandLine
) -> None:
    lines = shell.run("barestream top --count 2 --interval 0.2").stdout.splitlines()
    assert [each.partition("  ")[2][:17] for each in lines] == ["0 streams  0 slow"] * 2
    told = shell.run("barestream top --json --count 2 --interval 0.2").stdout.splitlines()
    found = [json.loads(each) for each in told]
    assert [each["interval_seconds"] > 0 for each in found] == [True, True]
    assert [each["pid"] for each in found[0]["workers"]] == sorted(service.workers())
    assert found[0]["history"]["answers"] is True


def fails(shell: CommandLine, options: str, code: int, words: str) -> None:
    done = shell.run(f"barestream top {options}")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    [said] = done.stderr.splitlines()
    assert words in said, done.stderr


def test_what_keeps_it_from_showing_anything_is_one_line_and_an_exit_code(
    service: Service, shell: CommandLine
) -> None:
    fails(shell, "--token nonsense", 5, "401")
    fails(shell, f"--json --token {mint(KEY, publish=['*'])}", 5, "403")
    fails(shell, f"--once --url http://127.0.0.1:{free_port()}", 4, "nothing listens there")
    fails(shell, "--url http://no-such-host.invalid", 3, "finds no host of that name")
    fails(shell, f"--url {service.url}/nowhere", 6, "its release is older")
    fails(shell, f"--url {service.url.replace('http', 'https')}", 3, "TLS fails")
    done = shell.run("barestream top --once --count 3")
    assert (done.returncode, "Give --once or --count" in done.stderr) == (2, True)


def test_instances_that_answer_in_turn_are_each_compared_with_themselves(
    service: Service, shell: CommandLine
) -> None:
    names = itertools.cycle(["one", "other"])

    class Renaming(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = {"Authorization": self.headers["Authorization"]}
            told = httpx.get(service.url + self.path, headers=token)
            body = told.content.replace(b'"main"', b'"%s"' % next(names).encode())
            self.send_response(told.status_code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http_server(Renaming) as port:
        line = f"barestream top --json --count 2 --interval 0.2 --url http://127.0.0.1:{port}"
        done = shell.run(line)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["instance"] for each in found] == ["one", "other"]
    assert [each["interval_seconds"] > 0 for each in found] == [True, True]


def test_who_reads_it_may_leave(shell: CommandLine) -> None:
    line = "barestream top --interval 0.2 | head -n 1 >first; echo ${PIPESTATUS[0]}"
    done = shell.run(line)
    assert (done.stdout, done.stderr) == ("141\n", "Who read the output has closed it.\n")


def test_without_a_terminal_a_hub_that_comes_later_is_waited_for(
    service: Service, shell: CommandLine
) -> None:
    with FaultyProxy(service) as proxy:
        proxy.fault = Fault.REFUSES
        line = f"exec barestream top --interval 0.2 --url {proxy.url}"
        with shell.start(line, stderr=subprocess.STDOUT) as running:
            assert running.stdout
            assert re.match(r"\d\d:\d\d:\d\d  The hub is away", running.stdout.readline())
            proxy.fault = Fault.NONE
            assert any("Valkey answers" in each for each in running.stdout)
            os.killpg(running.pid, signal.SIGINT)
            rest, _ = running.communicate(timeout=30)
            assert (running.returncode, "Traceback" in rest) == (130, False)
