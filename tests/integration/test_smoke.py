"""deploy/smoke on the real service, and on services that are broken in one way each."""

import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token, token
from support.servers.service import PATIENCE_SECONDS, ROOT, Service, free_port, wait_for

SMOKE = ROOT / "deploy/smoke"


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(token_key=KEY, workers=1) as running:
        yield running


def environment(token: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "BARESTREAM" not in name}
    return kept | ({"BARESTREAM_TOKEN": token} if token else {})


def smoke(*arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SMOKE, *arguments],
        env=environment(token),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def failure(done: subprocess.CompletedProcess[str]) -> tuple[str, str, str]:
    """Return the failed step, the cause and the remedy."""
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.fullmatch(
        r"\nsmoke failed at: (.*)\n  cause:      (.*)\n  what to do: (.*)\n", done.stderr, re.DOTALL
    )
    assert found, done.stderr
    step, cause, remedy = found.groups()
    return step, cause, remedy


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the steps that it prints, without the times."""
    return [line.partition(" s  ")[2] for line in done.stdout.splitlines()]


ALL_STEPS = [
    "checking that the service is ready",
    "opening the page's stream",
    "publishing and receiving",
    "resuming with replay",
]


def test_a_working_service_passes_within_3_s(hub: Service) -> None:
    began_at = time.monotonic()
    done = smoke(hub.url, token=token())
    assert time.monotonic() - began_at < 3
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(done) == [*ALL_STEPS, f"all is well at {hub.url}"]


def test_a_token_that_covers_only_the_topics_of_the_smoke_test_is_enough(hub: Service) -> None:
    narrow = token(("barestream/smoke/{run}",), ("barestream/smoke/{run}",))
    assert smoke(f"{hub.url}/", "--token", narrow).returncode == 0


def test_a_service_of_mercure_1_0_alone_passes_with_an_access_token() -> None:
    with Service(
        token_key=KEY,
        workers=1,
        protocols="1.0",
        issuer=ISSUER,
        resource_identifier=RESOURCE,
    ) as service:
        done = smoke(service.url, token=access_token(patterns=["barestream/smoke/*"]))
        assert done.returncode == 0, done.stderr
        assert steps(done)[-1] == f"all is well at {service.url}"


def test_a_worker_is_tested_on_its_own_socket(hub: Service) -> None:
    [path] = hub.current_sockets
    done = smoke("http://candidate", "--unix-socket", str(path), token=token())
    assert steps(done)[-1] == "all is well at http://candidate"


def test_the_smoke_test_is_sent_to_the_vm_as_one_stream(hub: Service) -> None:
    """A shell stands in for ssh; no file of the project is in its folder."""
    send = """
        here=deploy
        . deploy/operator/progress.sh
        . deploy/operator/connection.sh
        . deploy/operator/release.sh
        ssh_command=(env --chdir=/ bash -c) as_root= token=$1 subscriber_token=$1
        smoke_on_vm "$2" --require-publish
    """
    done = subprocess.run(
        ["bash", "-euc", send, "smoke", token(), hub.url],
        env=environment(None),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(done)[-1] == f"all is well at {hub.url}"


def test_no_viewer_sees_the_updates_of_the_smoke_test(hub: Service) -> None:
    with subprocess.Popen(
        ["curl", "-sN", f"{hub.url}{PATH}?topic=*"], stdout=subprocess.PIPE
    ) as viewer:
        assert viewer.stdout
        assert viewer.stdout.readline().startswith(b"retry:")
        assert smoke(hub.url, token=token()).returncode == 0
        viewer.terminate()
        assert b"data" not in viewer.stdout.read()


def test_without_a_token_the_smoke_test_reports_that_nothing_was_published(hub: Service) -> None:
    done = smoke(hub.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "publishing was not tested, because no token was given" in done.stdout
    step, cause, _ = failure(smoke(hub.url, "--require-publish"))
    assert (step, cause) == ("publishing and receiving", "No token was given.")


def test_a_token_is_never_on_a_command_line(hub: Service) -> None:
    # Another run of the tests on this machine may have the usual one on a command line of its own.
    secret = token(("*", secrets.token_hex(8)))
    seen = set()
    with subprocess.Popen(
        [SMOKE, hub.url], env=environment(secret), stdout=subprocess.DEVNULL
    ) as running:
        while running.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue
    assert any(b"curl" in line and hub.url.encode() in line for line in seen)
    assert not any(secret.encode() in line for line in seen)


def test_an_address_at_which_nothing_listens_is_reported() -> None:
    port = free_port()
    step, cause, remedy = failure(smoke(f"http://127.0.0.1:{port}", token=token()))
    assert step == "checking that the service is ready"
    assert cause.startswith("GET /readyz was not answered: curl: (7) ")
    assert "reaches it" in remedy


def test_a_token_of_another_key_is_refused_with_the_way_to_make_one(hub: Service) -> None:
    step, cause, remedy = failure(smoke(hub.url, token=token() + "x"))
    assert step == "publishing and receiving"
    assert "was answered with 401: {" in cause
    assert "barestream token --publish" in remedy


def test_a_token_that_may_not_publish_is_refused(hub: Service) -> None:
    step, cause, _ = failure(smoke(hub.url, token=token(publish=())))
    assert step == "publishing and receiving"
    assert cause.startswith(f"POST {PATH} was answered with 403: {{")


def test_a_token_that_may_not_subscribe_receives_nothing(hub: Service) -> None:
    step, cause, remedy = failure(smoke(hub.url, token=token(subscribe=())))
    assert step == "publishing and receiving"
    assert "an open stream did not receive it" in cause
    assert "may subscribe too" in remedy


class Fake(BaseHTTPRequestHandler):
    """A service without a history: an update reaches only the streams that are open."""

    protocol_version = "HTTP/1.0"
    published = threading.Condition()
    events: list[bytes]
    came_back: threading.Event
    moved_to = ""
    turns_away = False
    replays = 0

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self.answer(200, b"ok\n")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        # The client publishes as soon as it has the line.
        seen = len(self.events) - (self.replays if "Last-Event-ID" in self.headers else 0)
        self.wfile.write(b"retry: 2000\n")
        if "Last-Event-ID" in self.headers:
            self.came_back.set()
        if self.turns_away:
            return
        with self.published:
            is_open = True
            while is_open:
                self.wfile.write(b"".join(self.events[seen:]))
                seen = len(self.events)
                # Longer than smoke's patience.
                is_open = self.published.wait(8)

    def do_POST(self) -> None:
        if self.moved_to:
            self.send_response(308)
            self.send_header("Location", self.moved_to)
            self.end_headers()
            return
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with self.published:
            event_id = f"#{len(self.events) + 1}-0"
            self.events.append(f"data: {form['data'][0]}\nid: {event_id}\n\n".encode())
            self.published.notify_all()
        self.answer(200, event_id.encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def fake(**fields: object) -> Iterator[str]:
    """Serve a Fake, and return its URL."""
    handler = type("Handler", (Fake,), {"events": [], "came_back": threading.Event(), **fields})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        # A stream waits for events longer than the test does.
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_service_that_is_live_and_does_not_replay_fails() -> None:
    with fake() as url:
        step, cause, _ = failure(smoke(url, token=token()))
    assert step == "resuming with replay"
    assert "A client that resumed from #1-0 did not receive the update #2-0" in cause


def test_a_replay_of_an_event_that_was_received_before_fails() -> None:
    with fake(replays=2) as url:
        step, cause, _ = failure(smoke(url, token=token()))
    assert step == "resuming with replay"
    assert "received #1-0 (message: first), not #2-0" in cause


def test_a_replay_of_only_the_missed_events_passes() -> None:
    with fake(replays=1) as url:
        assert smoke(url, token=token()).returncode == 0


def test_a_stream_that_is_turned_away_fails() -> None:
    with fake(turns_away=True) as url:
        step, cause, _ = failure(smoke(url))
    assert step == "opening the page's stream"
    assert cause == "GET /events was turned away: the stream ended at once."


def test_a_publish_follows_no_redirect() -> None:
    with fake(moved_to="https://events.example/") as url:
        _, cause, remedy = failure(smoke(url, token=token()))
    moved = f"{url} redirects to https://events.example/"
    assert cause == f"{moved}, and a publish cannot be redirected."
    assert remedy == "Use the URL that it redirects to."


def test_a_smoke_test_stopped_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    came_back = threading.Event()
    with (
        fake(came_back=came_back) as url,
        subprocess.Popen(
            [SMOKE, url],
            env=environment(token()) | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running,
    ):
        assert running.stdout
        # It waits some seconds for the event that this service does not replay.
        assert came_back.wait(PATIENCE_SECONDS)
        os.killpg(running.pid, signal.SIGINT)
        running.stdout.read()
        assert running.wait(5) == 130
        wait_for("the end of its processes", lambda: not group_lives(running.pid))
    assert list(tmp_path.iterdir()) == []


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("arguments", [[], ["ftp://x"], ["http://x", "--token"]])
def test_wrong_arguments_are_refused_with_the_usage(arguments: list[str]) -> None:
    done = smoke(*arguments)
    assert done.returncode == 2
    assert "smoke URL [--token TOKEN]" in done.stderr
