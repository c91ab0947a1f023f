"""barestream smoke on the real service, and on services that are broken in one way each."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import httpx
import pytest

from barestream_client import mint
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token, token
from support.servers.http_server import http_server
from support.servers.service import PATIENCE_SECONDS, ROOT, Service, free_port

SMOKE = [sys.executable, "-m", "barestream", "smoke", "--retry-seconds", "0"]


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(token_key=KEY, workers=1) as running:
        yield running


def environment(token: str | None = None, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "BARESTREAM" not in name}
    kept |= {"PYTHONPATH": str(ROOT / "src"), **variables}
    return kept | ({"BARESTREAM_TOKEN": token} if token else {})


def smoke(
    url: str, *arguments: str, token: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SMOKE, "--url", url, *arguments],
        env=environment(token, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def failure(done: subprocess.CompletedProcess[str], code: int = 1) -> tuple[str, str, str]:
    """Return the failed step, the cause and the remedy."""
    assert done.returncode == code, done.stdout + done.stderr
    found = re.fullmatch(
        r"smoke failed at: (.*)\n  cause:      (.*)\n  what to do: (.*)\n", done.stderr, re.DOTALL
    )
    assert found, done.stderr
    step, cause, remedy = found.groups()
    return step, cause, remedy


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the steps that it prints, without the times."""
    return [line.partition(" s  ")[2] or line for line in done.stdout.splitlines()]


READY, OPEN, ARRIVES, REPLAYED = ALL_STEPS = [
    "the service is ready",
    "streams open",
    "a published update arrives",
    "a client that comes back gets what it missed",
]


def test_a_working_service_passes(hub: Service) -> None:
    done = smoke(hub.url, token=token())
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(done) == [*ALL_STEPS, f"all is well at {hub.url}{PATH}"]


def test_a_token_that_covers_only_the_topics_of_the_smoke_test_is_enough(hub: Service) -> None:
    narrow = token(("barestream/smoke/{run}",), ("barestream/smoke/{run}",))
    assert smoke(f"{hub.url}/", "--token", narrow).returncode == 0


def test_a_service_of_mercure_1_0_alone_passes_with_an_access_token_and_without_a_token() -> None:
    with Service(
        token_key=KEY,
        workers=1,
        protocols="1.0",
        issuer=ISSUER,
        resource_identifier=RESOURCE,
    ) as service:
        done = smoke(service.url, token=access_token(patterns=["barestream/smoke/*"]))
        assert done.returncode == 0, done.stderr
        assert steps(done)[:-1] == ALL_STEPS
        assert steps(smoke(service.url))[:-1] == [READY, OPEN]


def test_a_worker_is_tested_on_its_own_socket(hub: Service) -> None:
    [path] = hub.current_sockets
    done = smoke("http://candidate", "--unix", str(path), token=token())
    assert steps(done) == [*ALL_STEPS, f"all is well at http://candidate{PATH}"]


def test_the_tokens_of_subscribers_may_have_a_key_of_their_own() -> None:
    other = "another key that only the tests sign with"
    with Service(token_key=KEY, subscriber_token_key=other, workers=1) as service:
        reader = mint(other, subscribe=["*"])
        done = smoke(service.url, token=token(), BARESTREAM_SUBSCRIBER_TOKEN=reader)
        assert (done.returncode, done.stderr) == (0, "")
        step, cause, _ = failure(smoke(service.url, token=token()), 5)
    assert (step, "401" in cause) == (ARRIVES, True)


def test_no_viewer_sees_the_updates_of_the_smoke_test(hub: Service) -> None:
    with subprocess.Popen(
        ["curl", "-sN", f"{hub.url}{PATH}?topic=*"], stdout=subprocess.PIPE
    ) as viewer:
        assert viewer.stdout
        assert viewer.stdout.readline().startswith(b"retry:")
        assert smoke(hub.url, token=token()).returncode == 0
        viewer.terminate()
        assert b"data" not in viewer.stdout.read()


def test_without_a_token_nothing_is_published_and_that_is_said(hub: Service) -> None:
    done = smoke(hub.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(done)[:-1] == [READY, OPEN]
    assert "without a token nothing was published" in done.stdout
    step, cause, remedy = failure(smoke(hub.url, "--require-publish"), 5)
    assert (step, cause) == (ARRIVES, "no token was given")
    assert "barestream token --publish" in remedy


def test_an_address_at_which_nothing_listens_is_reported() -> None:
    step, cause, remedy = failure(smoke(f"http://127.0.0.1:{free_port()}", token=token()), 4)
    assert step == READY
    assert cause.endswith("takes no connection: nothing listens there")
    assert "reaches it" in remedy


def test_a_token_of_another_key_is_refused_with_the_way_to_make_one(hub: Service) -> None:
    step, cause, remedy = failure(smoke(hub.url, token=token() + "x"), 5)
    assert step == ARRIVES
    assert "was answered with 401" in cause
    assert "barestream token --publish" in remedy


def test_a_token_that_may_not_publish_is_refused(hub: Service) -> None:
    step, cause, _ = failure(smoke(hub.url, token=token(publish=())), 5)
    assert step == ARRIVES
    assert cause.startswith(f"POST {PATH} was answered with 403")


def test_a_token_that_may_not_subscribe_receives_nothing(hub: Service) -> None:
    step, cause, remedy = failure(smoke(hub.url, token=token(subscribe=())))
    assert step == ARRIVES
    assert "an open stream did not get it" in cause
    assert "may subscribe too" in remedy


class Fake(BaseHTTPRequestHandler):
    """A service without a history: an update reaches only the streams that are open."""

    protocol_version = "HTTP/1.0"
    published = threading.Condition()
    events: list[bytes]
    came_back: threading.Event
    moved_to = ""
    turns_away = False
    is_buffered = False
    media_type = "text/event-stream"
    repeats = False
    replays = 0

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self.answer(200, b"ok\n")
            return
        self.send_response(200)
        self.send_header("Content-Type", self.media_type)
        self.end_headers()
        with self.published:
            seen = len(self.events) - (self.replays if "Last-Event-ID" in self.headers else 0)
            if not self.is_buffered:
                self.wfile.write(b"retry: 2000\n")
            if "include=match%2Cready" in self.path:
                self.wfile.write(b"event: barestream.ready\ndata: {}\n\n")
            if "Last-Event-ID" in self.headers:
                self.came_back.set()
            is_open = not self.turns_away
            while is_open:
                self.wfile.write(b"".join(self.events[seen:]))
                seen = len(self.events)
                # Longer than smoke's patience.
                is_open = self.published.wait(PATIENCE_SECONDS)

    def do_POST(self) -> None:
        if self.moved_to:
            self.send_response(308)
            self.send_header("Location", self.moved_to)
            self.end_headers()
            return
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        [event_id], [data] = form["id"], form["data"]
        with self.published:
            event = f"data: {data}\nid: {event_id}\n\n".encode()
            self.events.append(event * 2 if self.repeats and data == "second" else event)
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
    # A stream waits for events longer than the test does.
    with http_server(handler) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_service_that_is_live_and_does_not_replay_fails() -> None:
    with fake() as url:
        step, cause, remedy = failure(smoke(url, token=token()))
    assert step == REPLAYED
    assert "a client that comes back did not get it within 5 s" in cause
    assert "drops the header Last-Event-ID" in remedy


def test_a_replay_of_an_event_that_was_received_before_fails() -> None:
    with fake(replays=2) as url:
        step, cause, _ = failure(smoke(url, token=token()))
    assert step == REPLAYED
    assert re.fullmatch(r"a client that comes back got .* \(message: first\), not .*", cause)


def test_an_event_behind_the_last_one_fails() -> None:
    with fake(replays=1, repeats=True) as url:
        step, cause, _ = failure(smoke(url, token=token()))
    assert step == REPLAYED
    assert re.fullmatch(r"a client .* got .* \(message: second\) after .*, the last one", cause)


def test_a_replay_of_only_the_missed_events_passes() -> None:
    with fake(replays=1) as url:
        assert smoke(url, token=token()).returncode == 0


def test_a_stream_that_is_turned_away_fails() -> None:
    with fake(turns_away=True) as url:
        step, cause, remedy = failure(smoke(url), 4)
    assert step == OPEN
    assert cause == "GET /events was turned away: the stream ended at once"
    assert "BARESTREAM_STREAMS_PER_ADDRESS" in remedy


def test_a_service_that_turns_streams_away_says_why() -> None:
    with (
        Service(token_key=KEY, workers=1, streams_per_address=1) as service,
        httpx.stream("GET", f"{service.url}/events") as held,
    ):
        assert held.status_code == 200
        step, cause, _ = failure(smoke(service.url), 4)
    assert step == OPEN
    assert cause.startswith("GET /events was turned away: this address has 1 streams")


def test_a_proxy_that_buffers_is_found() -> None:
    with fake(is_buffered=True) as url:
        step, cause, remedy = failure(smoke(url))
    assert (step, cause) == (OPEN, "GET /events was answered, but nothing came within 5 s")
    assert "buffering" in remedy


def test_an_answer_that_is_no_stream_fails() -> None:
    with fake(media_type="text/html", turns_away=True) as url:
        step, cause, _ = failure(smoke(url), 3)
    assert step == OPEN
    assert cause.startswith("GET /events was answered with 200 and text/html.")


def test_a_publish_follows_no_redirect() -> None:
    with fake(moved_to="https://events.example/") as url:
        step, cause, _ = failure(smoke(url, token=token()), 3)
    assert step == ARRIVES
    assert cause.endswith(
        "it redirects to https://events.example/; use the URL that it redirects to"
    )


def test_a_smoke_test_stopped_halfway_ends_at_once() -> None:
    came_back = threading.Event()
    with (
        fake(came_back=came_back) as url,
        subprocess.Popen(
            [*SMOKE, "--url", url],
            env=environment(token()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        # It waits some seconds for the event that this service does not replay.
        assert came_back.wait(PATIENCE_SECONDS)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE_SECONDS)
    assert (running.returncode, "Traceback" in errors) == (130, False)


@pytest.mark.parametrize("arguments", [["--unix", "/nowhere"], ["--what"]])
def test_wrong_arguments_are_refused_with_the_usage(arguments: list[str]) -> None:
    done = smoke("http://127.0.0.1", *arguments)
    assert done.returncode == 2
    assert "Usage: barestream smoke" in done.stderr
