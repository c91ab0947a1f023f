"""The app on its own port without nginx: the real Gunicorn, byte by byte."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from barestream.app import create_app
from barestream.server.protocol import Protocol
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, token
from support.servers.bound import Bound
from support.servers.served import Served
from support.servers.service import wait_for

# The limit of the protocol, 10 s, and its sweep each second.
TIMEOUT_SECONDS = 15

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
BEARER = f"Authorization: Bearer {token()}\r\n"


@pytest.fixture(scope="module")
def bound() -> Iterator[Bound]:
    with Bound(token_key=KEY) as running:
        yield running


@pytest.fixture
def wire(bound: Bound) -> Iterator[socket.socket]:
    with closing(connected(bound)) as connection:
        yield connection


def connected(bound: Bound) -> socket.socket:
    return socket.create_connection(bound.address, timeout=TIMEOUT_SECONDS)


def rest(wire: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: wire.recv(65_536), b""))


def answered(wire: socket.socket, sent: bytes | str) -> bytes:
    """Send, and read to the end."""
    wire.sendall(sent.encode() if isinstance(sent, str) else sent)
    return rest(wire)


def assert_problem(answer: bytes, status: int, detail: str = "") -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"connection: close" in head
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert detail in problem["detail"]


def get(path: str, *fields: str, version: str = "1.1") -> str:
    lines = [f"GET {path} HTTP/{version}", *fields, "", ""]
    return "\r\n".join(lines)


def post(*fields: str, body: str = "topic=t") -> str:
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{FORM}{''.join(fields)}\r\n{body}"


def assert_serves(bound: Bound) -> None:
    with closing(connected(bound)) as wire:
        answer = answered(wire, get("/healthz", "Host: x", "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_connections_that_do_not_finish_their_first_request_are_closed(
    bound: Bound,
) -> None:
    with ExitStack() as stack:
        idle, head, body, behind, stream, second = (
            stack.enter_context(closing(connected(bound))) for _ in range(6)
        )
        head.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        body.sendall(post(BEARER, "Content-Length: 100\r\n").encode())
        behind.sendall(get("/events", "Host: x").encode() + b"GET / HT")
        stream.sendall(get("/events", "Host: x").encode())
        second.sendall(get("/healthz", "Host: x").encode() + b"GET / HTTP/1.1\r\n")
        assert_problem(rest(head), 408, "head did not come within 10 s")
        assert_problem(rest(body), 408, "No further part of the body came within 10 s")
        assert rest(idle) == b""
        _, _, last = rest(second).partition(b"ok\n")
        assert_problem(last, 408, "head did not come")
        # The stream has ended for the half-sent request behind it, or goes on; it was not cut.
        for each in (behind, stream):
            each.settimeout(3)
            read = each.recv(65_536)
            while len(ticks(read)) < 13:
                read += each.recv(65_536)
    [line] = wait_for("the line", lambda: bound.says("408: The request's head did not"))
    assert (line["level"], line["client"]) == ("WARNING", "127.0.0.1")
    assert len(bound.says("no request came within 10 s")) == 1


def ticks(read: bytes) -> list[bytes]:
    return [line for line in read.splitlines() if line.startswith(b"data:")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return a connection to a server that gives up within one to two seconds."""
    monkeypatch.setattr(Protocol, "body_seconds", 1)
    monkeypatch.setattr(Protocol, "linger_seconds", 1)
    with (
        Served(create_app(Settings(token_key=KEY)), ours=True) as served,
        socket.create_connection(served.address, timeout=TIMEOUT_SECONDS) as connection,
    ):
        yield connection


def test_a_body_that_comes_slowly_but_steadily_is_waited_for(impatient: socket.socket) -> None:
    data = "&data=123456"
    impatient.sendall(post(BEARER, f"Content-Length: {7 + len(data)}\r\n").encode())
    impatient.settimeout(0.3)
    for piece in data:
        with pytest.raises(TimeoutError):
            impatient.recv(1)
        impatient.sendall(piece.encode())
    impatient.settimeout(TIMEOUT_SECONDS)
    assert impatient.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_head_without_an_end_is_refused_and_not_kept_in_memory(
    bound: Bound, wire: socket.socket
) -> None:
    before = resident_kb(bound.worker)
    wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    with pytest.raises(ConnectionError):  # noqa: PT012 (the server leaves at a time of its own)
        for _ in range(100):
            wire.sendall(b"x" * 1_000_000)
        # The server read the whole body and dropped it.
        raise ConnectionError
    assert resident_kb(bound.worker) - before < 10_000
    assert_serves(bound)


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get("/", "Host: x", f"X: {'y' * 132_000}"), 431),
        (get("/", "Host: x", *(["X: y"] * 24_000)), 431),
        (get("/" + "y" * 33_000, "Host: x"), 414),
        (get("/?" + "y" * 300_000, "Host: x"), 414),
        (post("Transfer-Encoding: chunked\r\n", body=f"0\r\nX: {'y' * 300_000}"), 431),
    ],
    ids=["field", "fields", "path", "query", "trailer"],
)
def test_a_head_that_is_too_long_is_refused_with_the_reason(
    bound: Bound, wire: socket.socket, sent: str, status: int
) -> None:
    if status == 431 and sent.startswith("POST"):
        sent = sent.replace("Transfer", BEARER + "Transfer")
    assert_problem(answered(wire, sent), status)
    lines = wait_for("the line", lambda: bound.says(f"{status}: The request's"))
    assert lines[0]["client"] == "127.0.0.1"


def test_a_head_of_many_fields_is_served_below_the_limit(wire: socket.socket) -> None:
    sent = get("/healthz", "Host: x", "Connection: close", f"X: {'y' * 127_000}")
    assert answered(wire, sent).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        (PATH, FORM, 401),
        (PATH, FORM + "Authorization: Bearer x\r\n", 401),
        (PATH, BEARER, 415),
        (PATH, FORM + BEARER, 413),
        ("/events", "", 405),
        ("/nope", "", 404),
    ],
)
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["", "expect"])
def test_a_publish_that_is_refused_is_answered_before_its_body(
    wire: socket.socket, path: str, fields: str, status: int, expect: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n{fields}{expect}\r\n"
    assert_problem(answered(wire, head), status)


def test_a_client_that_sends_its_whole_body_first_still_sees_the_refusal(bound: Bound) -> None:
    client = http.client.HTTPConnection(*bound.address, timeout=TIMEOUT_SECONDS)
    with closing(client):
        client.request("POST", PATH, body=b"x" * 20_000_000, headers={"Host": "x"})
        answer = client.getresponse()
        assert (answer.status, json.load(answer)["status"]) == (401, 401)


def test_a_client_that_goes_on_sending_is_cut(impatient: socket.socket) -> None:
    impatient.sendall(post("Transfer-Encoding: chunked\r\n", body="").encode())
    sent = 0
    with pytest.raises(ConnectionError):  # noqa: PT012
        while sent < 10**12:
            impatient.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 65_536


def test_a_small_body_that_is_refused_costs_no_connection(wire: socket.socket) -> None:
    wire.sendall(post("Content-Length: 7\r\n").encode())
    answer = read_until(wire, b"}")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" not in answer
    sent = get("/healthz", "Host: x", "Connection: close")
    assert answered(wire, sent).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_expects_100_continue_gets_it_when_its_token_is_valid(
    wire: socket.socket,
) -> None:
    wire.sendall(post(BEARER, "Expect: 100-continue\r\nContent-Length: 7\r\n", body="").encode())
    assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(b"topic=t")
    assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_request_for_a_stream_with_a_large_body_is_refused(wire: socket.socket) -> None:
    head = get("/events", "Host: x", "Content-Length: 1000000")
    assert_problem(answered(wire, head + "x" * 1_000_000), 413)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get("/healthz"), 400),
        (get("/healthz", "Host: a", "Host: b"), 400),
        (get("/healthz", "Host: a", "Host: a"), 400),
        (get("/healthz", "Host: a", "Host: a", version="1.0"), 400),
        (get("/healthz", version="1.0"), 200),
        (get("/healthz", "Host:", "Connection: close"), 200),
    ],
)
def test_a_request_names_one_host(wire: socket.socket, sent: str, status: int) -> None:
    answer = answered(wire, sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
        "Content-Length: 7\r\nContent-Length: 8\r\n",
        "Content-Length: 7\r\nContent-Length: 7\r\n",
        "Content-Length: 7, 7\r\n",
        "Content-Length: +7\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
    ],
)
def test_a_body_whose_length_can_be_read_in_two_ways_is_refused(
    wire: socket.socket, framing: str
) -> None:
    assert_problem(answered(wire, post(BEARER, framing)), 400)


def test_chunks_in_http_1_0_are_refused(wire: socket.socket) -> None:
    sent = post(BEARER, "Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")
    assert_problem(answered(wire, sent), 400)


def half_closed(wire: socket.socket, sent: str) -> bytes:
    wire.sendall(sent.encode())
    wire.shutdown(socket.SHUT_WR)
    return rest(wire)


def test_a_client_that_closed_its_half_of_the_connection_gets_its_answers(
    wire: socket.socket,
) -> None:
    answers = half_closed(wire, get("/healthz", "Host: x") * 3)
    assert answers.count(b"HTTP/1.1 200 ") == 3


def test_a_publish_is_answered_when_its_client_has_closed_its_half_of_the_connection(
    wire: socket.socket,
) -> None:
    assert half_closed(wire, post(BEARER, "Content-Length: 7\r\n")).startswith(b"HTTP/1.1 200 ")


def test_half_a_request_before_a_closed_half_of_the_connection_is_no_request(
    wire: socket.socket,
) -> None:
    assert half_closed(wire, "GET / HTTP/1.1\r\n") == b""


def test_a_stream_ends_when_its_client_closes_its_half_of_the_connection(
    bound: Bound, wire: socket.socket
) -> None:
    wire.sendall(get("/events", "Host: x").encode())
    assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
    ended = len(bound.says("stream ended"))
    wire.shutdown(socket.SHUT_WR)
    rest(wire)
    wait_for("the stream's end", lambda: len(bound.says("stream ended")) > ended)


def test_a_stream_ends_when_its_client_closes_its_half_of_the_connection_at_once(
    wire: socket.socket,
) -> None:
    # Before or after its first bytes.
    assert half_closed(wire, get("/events", "Host: x"))[:13] in {b"", b"HTTP/1.1 200 "}


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_a_request_that_asks_for_another_protocol_is_answered_as_plain_http(
    bound: Bound, wire: socket.socket, protocol: str
) -> None:
    upgrade = ("Connection: Upgrade", f"Upgrade: {protocol}")
    wire.sendall(get("/healthz", "Host: x", *upgrade).encode())
    assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
    sent = get("/healthz", "Host: x", *upgrade) + get("/healthz", "Host: x", "Connection: close")
    assert answered(wire, sent).count(b"HTTP/1.1 200 ") == 2
    assert bound.says("pgrade") + bound.says("WebSocket") == []


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 14\r\n", "topic=t&id=abc"),
        ("Transfer-Encoding: chunked\r\n", "e\r\ntopic=t&id=abc\r\n0\r\n\r\n"),
    ],
)
def test_a_publish_that_asks_for_another_protocol_is_accepted(
    wire: socket.socket, framing: str, body: str
) -> None:
    # Java's client asks for h2c beside each request to http://.
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
    wire.sendall(post(BEARER, upgrade, framing, body="").encode())
    own_id = os.urandom(2).hex()[:3]
    answer = answered(wire, body.replace("abc", own_id))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(own_id.encode())


def test_metrics_are_for_clients_of_this_machine_alone() -> None:
    outside = own_address()
    with Bound(host="0.0.0.0") as bound:
        for address, status in (("127.0.0.1", 200), ("127.0.0.2", 200), (outside, 404)):
            if address is None:
                continue
            client = http.client.HTTPConnection(address, bound.port, timeout=5)
            with closing(client):
                client.request("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
                assert client.getresponse().status == status


def own_address() -> str | None:
    """Return an address of this machine beside the loopback ones."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of documentation (RFC 5737); nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def test_with_all_files_open_the_next_connections_are_closed_and_later_ones_served() -> None:
    with Bound(files=(128, 128)) as bound, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(closing(connected(bound)))
        [line] = wait_for("the line", lambda: bound.says("more than 64 connections"))
        assert line["client"] == "127.0.0.1"
        # Some files are not connections.
        assert len(list(Path(f"/proc/{bound.worker}/fd").iterdir())) < 128
        stack.close()
        wait_for("the ends", lambda: len(list(Path(f"/proc/{bound.worker}/fd").iterdir())) < 64)
        assert_serves(bound)


def test_streams_are_as_many_as_open_files_allow_and_the_log_says_so() -> None:
    with Bound(files=(100, 128)) as bound, ExitStack() as stack:
        [line] = bound.says("a worker can hold 32 streams, not 8000")
        assert line["level"] == "WARNING"
        for _ in range(32):
            wire = stack.enter_context(closing(connected(bound)))
            wire.sendall(get("/events", "Host: x").encode())
            read_until(wire, b"data:")
        wire = stack.enter_context(closing(connected(bound)))
        wire.sendall(get("/events", "Host: x").encode())
        # It is answered with a stream that has only a retry delay.
        assert b"data:" not in read_until(wire, b"\r\n0\r\n\r\n")
        assert_serves(bound)


def read_until(wire: socket.socket, mark: bytes) -> bytes:
    read = b""
    while mark not in read:
        got = wire.recv(1000)
        assert got, read
        read += got
    return read


def test_a_soft_limit_of_open_files_is_raised_where_the_streams_need_more() -> None:
    with Bound(files=(100, 400), streams_per_worker=300) as bound:
        limits = Path(f"/proc/{bound.worker}/limits").read_text()
        assert (
            next(line for line in limits.splitlines() if "open files" in line).split()[3] == "400"
        )


def test_a_setting_of_more_streams_than_files_allow_stops_the_start() -> None:
    with Bound(files=(100, 128), streams_per_worker=33) as bound:
        assert bound.exit_code == 1
        assert (
            "BARESTREAM_STREAMS_PER_WORKER=33: expected at most 32, because a worker may open "
            "128 files here (ulimit -Hn)" in bound.text
        )


def test_reloads_leave_no_files_of_dead_workers_and_no_count_is_lost() -> None:
    with Bound(token_key=KEY) as bound:
        for number in range(1, 4):
            with closing(connected(bound)) as wire:
                sent = post("Connection: close\r\nContent-Length: 7\r\n")
                assert answered(wire, sent).startswith(b"HTTP/1.1 401 ")
            bound.reload()
            # The counts of the dead worker are merged when Gunicorn's master has noticed its end.
            wait_for(
                "the files of the living alone", lambda: counting_files(bound) == living(bound)
            )
            assert refused(bound) == number


def living(bound: Bound) -> list[str]:
    kinds = ("counter", "histogram")
    files = [f"{kind}_{whose}.db" for kind in kinds for whose in (bound.worker, "dead")]
    # The master counts the workers that were lost.
    return sorted([*files, f"counter_{bound.master}.db"])


def counting_files(bound: Bound) -> list[str]:
    names = (path.name for path in bound.metrics_folder.glob("*.db"))
    return sorted(name for name in names if name.startswith(("counter", "histogram")))


def refused(bound: Bound) -> float:
    with closing(connected(bound)) as wire:
        text = answered(wire, get("/metrics", "Host: x", "Connection: close")).decode()
    found = [line for line in text.splitlines() if 'refused_total{status="401"}' in line]
    return float(found[0].split()[1]) if found else 0.0
