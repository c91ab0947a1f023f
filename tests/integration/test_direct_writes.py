"""Streams written past the transport, byte for byte as their clients receive them."""

import asyncio
import logging
import re
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import bareasgi
import pytest
from bareasgi import HttpRequest, HttpResponse
from bareutils import header

from barestream import Event, event_stream
from barestream.app import create_app
from barestream.delivery.broadcast_loop import BroadcastLoop
from barestream.delivery.feed import Feed
from barestream.delivery.resume import Resumption
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.delivery.time_slices import Slices
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Frame, encode, frame
from barestream.settings.settings import Settings
from barestream.telemetry.metrics import Metrics
from barestream.web.application import Application
from barestream.web.event_stream import STREAMS, StreamResponse
from barestream.web.follow import Following, follow
from barestream.web.router import Router
from support.clients.publisher import PATH
from support.servers.served import Served
from support.servers.service import wait_for

FLOOR = Place(1, 0)
COUNTED = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
RETRY = re.compile(rb"retry: \d+\n")


class House:
    """Our application on its own server, with a feed to which the test appends."""

    served: Served

    def __init__(self) -> None:
        self._slices = Slices(time.monotonic)
        self._streams = Streams(StreamLimits(), time.monotonic, Metrics(), self._slices)
        self.feed = Feed(Ring(10_000, FLOOR), Metrics(), time.time)
        self.feed.budget = self._slices
        self.handling = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.app = Application(
            http_router=Router(), startup_handlers=[self._start], info={STREAMS: self._streams}
        )
        for path, handler in (
            ("/follow", self._follow),
            ("/late", self._late),
            ("/count", counting),
            ("/alive", alive),
        ):
            self.app.http_router.add({"GET"}, path, handler)

    async def _start(self, _: object) -> None:
        self._loop = asyncio.get_running_loop()
        works = BroadcastLoop(self.feed, self._slices, time.monotonic).run()
        self._tasks.append(asyncio.create_task(works))

    async def _follow(self, request: HttpRequest) -> HttpResponse:
        topic = request.scope["query_string"].decode() or "*"
        wanted = Subscription(Selectors([topic]), Selectors(()))
        following = Following(
            self.feed, Resumption(None), heartbeat_events=False, subscription=wanted
        )
        return follow(request, following)

    async def _late(self, request: HttpRequest) -> HttpResponse:
        """Answer after the client has left, as after a slow read of the history."""
        self.handling += 1
        while self._connections:
            await asyncio.sleep(0.01)
        self.handling += 1
        return follow(request, Following(self.feed, Resumption(None), heartbeat_events=False))

    @property
    def _connections(self) -> int:
        return len(self.served._server.server_state.connections)

    def on_loop(self, act: Callable[[], Any]) -> Any:
        """Call a function in one turn of the server's loop, and return its result."""

        async def acting() -> Any:
            return act()

        return asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    def append(self, *events: bytes, topic: str = "a") -> None:
        """Append events of one topic to the feed, all in one turn."""
        self.append_each([(topic, event) for event in events])

    def append_each(self, events: Iterable[tuple[str, bytes]]) -> None:
        """Append events, each of a topic of its own."""

        def act() -> None:
            for topic, event in events:
                place = Place(self.feed.ring.last.ms + 1, 0)
                self.feed.append(Record(place, event, (topic,)))

        self.on_loop(act)

    @property
    def open_streams(self) -> list[Stream]:
        """Return the open streams, the oldest first."""
        return list(self._streams._streams)

    def end_streams(self) -> None:
        """End all streams, as a drain does."""

        def act() -> None:
            for stream in self.open_streams:
                self._streams.turn_away(stream, EndReason.DRAINED)

        self.on_loop(act)


async def counting(request: HttpRequest) -> HttpResponse:
    return event_stream(request, counted())


async def counted() -> AsyncGenerator[Event]:
    for number in range(1, 4):
        yield Event(str(number))


async def alive(_: HttpRequest) -> HttpResponse:
    return HttpResponse.from_text("alive")


class Wire:
    """A client that returns every byte of the connection."""

    def __init__(self, address: tuple[str, int], receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self._unread = b""

    def ask(self, *targets: str, method: str = "GET", version: str = "1.1") -> "Wire":
        """Send requests, all at once."""
        self.socket.sendall(
            b"".join(f"{method} {t} HTTP/{version}\r\nHost: x\r\n\r\n".encode() for t in targets)
        )
        return self

    def until(self, mark: bytes) -> bytes:
        """Read up to a mark, and return the bytes up to its end."""
        while mark not in self._unread:
            got = self.socket.recv(65_536)
            assert got, f"ended after {self._unread!r}"
            self._unread += got
        read, _, self._unread = self._unread.partition(mark)
        return read + mark

    def take(self, size_bytes: int) -> bytes:
        """Read so many bytes."""
        while len(self._unread) < size_bytes:
            got = self.socket.recv(65_536)
            assert got, f"ended after {self._unread!r}"
            self._unread += got
        taken, self._unread = self._unread[:size_bytes], self._unread[size_bytes:]
        return taken

    def head(self) -> bytes:
        """Read the head of an answer, which must be a 200."""
        head = self.until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 200 "), head
        return head

    def chunk(self) -> bytes:
        """Read one chunk, the last one too."""
        size = self.until(b"\r\n")
        assert re.fullmatch(rb"[0-9a-f]+\r\n", size), size
        body = self.take(int(size, 16))
        assert self.take(2) == b"\r\n"
        return body

    def chunks(self) -> list[bytes]:
        """Read chunks up to the last one."""
        return list(iter(self.chunk, b""))

    def events(self, size_bytes: int) -> bytes:
        """Read chunks until they hold so many bytes beside the delay, and return those bytes."""
        body = b""
        while len(body) < size_bytes:
            body += RETRY.sub(b"", self.chunk())
        return body

    def answer(self) -> bytes:
        """Read an answer that is no stream, and return its body."""
        assert b"transfer-encoding: chunked" in self.head()
        return b"".join(self.chunks())

    def is_silent(self) -> bool:
        """Return whether no unread byte has arrived."""
        self.socket.settimeout(0)
        try:
            return not self._unread and not self.socket.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(10)

    def rest(self) -> bytes:
        """Read to the connection's end."""
        while got := self.socket.recv(65_536):
            self._unread += got
        return self._unread

    def reset(self) -> None:
        """Leave by a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Leave."""
        self.socket.close()


@contextmanager
def serving(house: House) -> Iterator[Served]:
    with Served(house.app, ours=True) as served:
        house.served = served
        yield served


@pytest.fixture
def house() -> Iterator[House]:
    running = House()
    with serving(running):
        yield running


@pytest.fixture(autouse=True)
def _no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield
    loud = [each for each in caplog.get_records("call") if each.levelno > logging.INFO]
    assert [each.getMessage() for each in loud] == []


@pytest.fixture
def wire(house: House) -> Iterator[Wire]:
    with closing(Wire(house.served.address)) as connected:
        yield connected


def lone_event(name: str) -> bytes:
    return encode(Event(name))


def plain_app() -> bareasgi.Application:
    app = bareasgi.Application()
    app.http_router.add({"GET", "HEAD"}, "/count", counting)
    app.http_router.add({"GET"}, "/alive", alive)
    return app


@pytest.mark.parametrize("app", [plain_app, lambda: House().app], ids=["plain", "ours"])
def test_an_answer_to_head_has_no_body_and_the_connection_stays_usable(
    app: Callable[[], Any],
) -> None:
    # Our router answers HEAD itself; a user's own route may name it.
    with Served(app(), ours=True) as served, closing(Wire(served.address)) as wire:
        wire.ask("/count", method="HEAD")
        assert b"content-type: text/event-stream" in wire.head()
        wire.ask("/alive")
        assert wire.answer() == b"alive"


def test_http_1_0_has_no_chunks_and_ends_with_the_connection(house: House, wire: Wire) -> None:
    head = wire.ask("/follow", version="1.0").head()
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert RETRY.fullmatch(wire.until(b"\n"))
    house.append(lone_event("one"))
    assert wire.until(b"\n\n") == lone_event("one")
    house.append(lone_event("two"), lone_event("three"))
    assert wire.take(len(b"data: two\n\ndata: three\n\n")) == lone_event("two") + lone_event(
        "three"
    )
    house.end_streams()
    assert RETRY.fullmatch(wire.rest())


def test_after_a_stream_its_connection_serves_the_next_ones(house: House, wire: Wire) -> None:
    for number in range(3):
        assert b"transfer-encoding: chunked" in wire.ask("/follow").head()
        assert RETRY.fullmatch(wire.chunk())
        house.append(lone_event(str(number)))
        # Once, though earlier streams of this connection wanted it as well.
        assert wire.chunk() == lone_event(str(number))
        house.end_streams()
        assert all(RETRY.fullmatch(chunk) for chunk in wire.chunks())
        assert wire.ask("/alive").answer() == b"alive"
        house.append(lone_event("nobody's"))
        assert wire.is_silent()
    assert len(house.open_streams) == 0


def test_pipelined_requests_are_answered_in_their_order(wire: Wire) -> None:
    targets = ["/alive", "/count", "/alive", "/count", "/count", "/alive"]
    wire.ask(*targets)
    for target in targets:
        expected = COUNTED if target == "/count" else b"alive"
        assert RETRY.sub(b"", wire.answer()) == expected


def test_a_request_pipelined_behind_a_stream_waits_for_its_end(house: House, wire: Wire) -> None:
    wire.ask("/follow", "/alive").head()
    wire.ask("/follow", "/alive")
    assert RETRY.fullmatch(wire.chunk())
    house.append(lone_event("first"))
    assert wire.chunk() == lone_event("first")
    assert wire.is_silent()
    house.end_streams()
    assert all(RETRY.fullmatch(chunk) for chunk in wire.chunks())
    assert wire.answer() == b"alive"
    wire.head()
    house.append(lone_event("second"))
    assert wire.events(1) == lone_event("second")
    house.end_streams()
    assert all(RETRY.fullmatch(chunk) for chunk in wire.chunks())
    assert wire.answer() == b"alive"


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_a_client_that_leaves_with_a_request_behind_its_stream_is_noticed(
    house: House, wire: Wire, leave: Callable[[Wire], None]
) -> None:
    wire.ask("/follow").head()
    # uvicorn reads no further, so only a write shows it that the client has left.
    wire.ask("/alive")
    wait_for("the second request", lambda: house.open_streams and is_read(house))
    leave(wire)

    def is_gone() -> bool:
        house.append(lone_event("more"))
        return not house.open_streams

    wait_for("the stream's end", is_gone, 5)


def is_read(house: House) -> bool:
    return any(each.pipeline for each in house.served._server.server_state.connections)


def test_a_client_that_leaves_before_its_answer_leaves_no_stream(house: House, wire: Wire) -> None:
    wire.ask("/late")
    wait_for("the request", lambda: house.handling == 1)
    wire.reset()
    wait_for("the answer", lambda: house.handling == 2)
    wait_for("the stream's end", lambda: house.served.is_idle, 5)
    assert house.open_streams == []


def test_no_client_gets_a_byte_meant_for_a_client_that_left(house: House) -> None:
    """Clients leave by RST while events are sent, and later clients get their descriptors."""
    wires: dict[str, Wire] = {}
    got: dict[str, bytes] = {}
    names = (f"n{number}" for number in range(100_000))

    def come() -> None:
        name = next(names)
        wires[name] = Wire(house.served.address).ask(f"/follow?{name}")

    for _ in range(200):
        come()
    for round_number in range(8):
        for name, wire in wires.items():
            if name not in got:
                wire.head()
                got[name] = b""
        # So that every client is open for the following events.
        wait_for("all streams", lambda: len(house.open_streams) == len(wires))

        house.append_each([(name, lone_event(name)) for name in wires])
        leaving = [name for number, name in enumerate(wires) if (number + round_number) % 2]
        for name in leaving:
            wires.pop(name).reset()
            house.append(lone_event(name), topic=name)
            come()
        for name, wire in wires.items():
            if name in got:
                assert wire.events(1) == lone_event(name)
    for wire in wires.values():
        wire.reset()
    wait_for("the end of all", lambda: not house.open_streams)


def test_a_response_whose_client_left_writes_nothing_to_a_later_client(
    house: House, wire: Wire
) -> None:
    wire.ask("/follow").head()
    house.append(lone_event("one"))
    wire.events(1)
    [gone] = house.open_streams
    wire.reset()
    wait_for("the stream's end", lambda: not house.open_streams)
    # One of them has its descriptor, at one of its ends: both are in this process.
    newcomers = [Wire(house.served.address).ask("/alive") for _ in range(5)]
    assert [each.answer() for each in newcomers] == [b"alive"] * 5
    house.on_loop(lambda: gone.writer.write(frame(b"foreign")))
    assert [each.ask("/alive").answer() for each in newcomers] == [b"alive"] * 5
    for each in newcomers:
        each.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_reads_late_gets_each_byte_in_order(house: House, version: str) -> None:
    events = [lone_event(f"{number} " + "x" * (number % 7 * 2000)) for number in range(800)]
    everything = b"".join(events)
    with closing(Wire(house.served.address, receive_bytes=4096)) as wire:
        wire.ask("/follow", version=version).head()
        [stream] = wait_for("the stream", lambda: house.open_streams)
        for first in range(0, len(events), 20):
            house.append(*events[first : first + 20])
        wait_for("backpressure", lambda: stream.paused)
        # The transport holds at most one write beyond its mark, not all that was published.
        assert house.on_loop(lambda: stream.writer.pending_bytes) < 200_000
        if version == "1.0":
            assert RETRY.fullmatch(wire.until(b"\n"))
            assert wire.take(len(everything)) == everything
        else:
            assert wire.events(len(everything)) == everything
        wait_for("the resumption", lambda: not stream.paused)
        # After that the client is live again, and written to directly.
        house.append(lone_event("live"))
        assert (wire.until(b"\n\n") if version == "1.0" else wire.chunk()) == lone_event("live")
        assert stream.sent_events == len(events) + 1


def test_a_client_that_reads_little_by_little_gets_each_byte_in_order(house: House) -> None:
    events = [lone_event(f"{number} " + "y" * 20_000) for number in range(400)]
    with closing(Wire(house.served.address, receive_bytes=4096)) as wire:
        wire.ask("/follow").head()
        [stream] = wait_for("the stream", lambda: house.open_streams)
        house.append(*events[:200])
        wait_for("backpressure", lambda: stream.paused)
        # It resumes and pauses again and again, while more comes.
        body = b""
        for event in events[200:]:
            house.append(event)
            body += wire.events(1)
        body += wire.events(len(b"".join(events)) - len(body))
        assert body == b"".join(events)


def test_a_burst_is_sent_in_fewer_chunks_than_it_has_events(house: House, wire: Wire) -> None:
    wire.ask("/follow").head()
    assert RETRY.fullmatch(wire.chunk())
    events = [lone_event(str(number)) for number in range(100)]
    house.append(*events)
    assert wire.chunk() == b"".join(events)
    # A single event waits for no other one.
    house.append(lone_event("alone"))
    assert wire.chunk() == lone_event("alone")


class SlowWriter:
    """A client to which a write takes as long as to a hundred others, until it is released."""

    paused = False
    pending_bytes = 0
    write_seconds = 0.001

    def __init__(self, written: list[float]) -> None:
        self.on_resume: Callable[[], None] = lambda: None
        self._written = written

    def write(self, _: Frame) -> bool:
        time.sleep(self.write_seconds)
        self._written.append(time.monotonic())
        return True

    def kernel_bytes(self) -> int:
        return 0

    def close(self) -> None: ...

    def abort(self) -> None: ...


def test_requests_are_answered_during_a_broadcast(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    # The broadcast would take 10 s, and each request a few of its slices.
    crowd = 10_000
    streams = [Stream(SlowWriter(written), time.monotonic, {}) for _ in range(crowd)]
    contexts = [house.feed.follow(each, None, EVERYTHING_PUBLIC) for each in streams]
    house.on_loop(lambda: [context.__enter__() for context in contexts])
    house.append(lone_event("slow"))
    for _ in range(10):
        assert wire.ask("/alive").answer() == b"alive"
    # Each takes a few turns of the loop, and each turn a slice of the broadcast.
    assert len(written) < crowd / 2
    monkeypatch.setattr(SlowWriter, "write_seconds", 0)
    wait_for("the broadcast", lambda: len(written) == crowd)
    house.on_loop(lambda: [context.__exit__(None, None, None) for context in contexts])


def test_events_after_the_loss_of_a_client_reach_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    wires = [Wire(house.served.address).ask("/follow") for _ in range(20)]
    for wire in wires:
        wire.head()
    wait_for("all streams", lambda: len(house.open_streams) == 20)
    for wire in wires[::2]:
        wire.reset()
    events = [lone_event(str(number)) for number in range(200)]
    for event in events:
        house.append(event)
    for wire in wires[1::2]:
        assert wire.events(len(b"".join(events))) == b"".join(events)
    wait_for("the ends", lambda: len(house.open_streams) == 10)
    for wire in wires[1::2]:
        wire.close()
    wait_for("all ends", lambda: not house.open_streams)
    ends = [each for each in caplog.records if each.getMessage() == "stream ended"]
    assert [each.__dict__["reason"] for each in ends] == ["client left"] * 20


def test_the_log_of_a_stream_has_the_events_and_bytes_that_its_client_got(
    house: House, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.ask("/follow?a").head()
    body = wire.chunk()
    for name in ("one", "two", "three"):
        house.append(lone_event(name))
        body += wire.chunk()
    house.end_streams()
    body += b"".join(wire.chunks())
    [end] = [each for each in caplog.records if each.getMessage() == "stream ended"]
    assert (end.__dict__["events"], end.__dict__["bytes"]) == (3, len(body))
    accesses = [each.getMessage() for each in caplog.records if each.name == "uvicorn.access"]
    assert [line.partition(" - ")[2] for line in accesses] == ['"GET /follow?a HTTP/1.1" 200']


def test_a_generator_can_read_its_requests_headers() -> None:
    async def named(request: HttpRequest) -> AsyncGenerator[Event]:
        host = header.find(b"host", request.scope["headers"]) or b""
        yield Event(host.decode())

    async def naming(request: HttpRequest) -> HttpResponse:
        return event_stream(request, named(request))

    app = Application()
    app.http_router.add({"GET"}, "/named", naming)
    with Served(app, ours=True) as served, closing(Wire(served.address)) as wire:
        assert RETRY.sub(b"", wire.ask("/named").answer()) == lone_event("x")


def test_a_stream_of_another_origin_is_direct_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    responded: list[StreamResponse] = []
    respond = StreamResponse.respond

    async def noted(self: StreamResponse, send: Any) -> None:
        responded.append(self)
        await respond(self, send)

    monkeypatch.setattr(StreamResponse, "respond", noted)
    app = create_app(Settings(cors_origins="https://example.com"))
    with Served(app, ours=True) as served, closing(Wire(served.address)) as wire:
        wire.socket.sendall(
            f"GET {PATH}?topic=a HTTP/1.1\r\nHost: x\r\nOrigin: https://example.com\r\n\r\n".encode()
        )
        assert b"access-control-allow-origin: https://example.com" in wire.head()
        assert RETRY.fullmatch(wire.chunk())
    assert len(responded) == 1


@pytest.mark.parametrize("loop", ["own", "asyncio"])
@pytest.mark.parametrize("ours", [True, False], ids=["our server", "uvicorn"])
@pytest.mark.parametrize("app", [plain_app, lambda: House().app], ids=["plain app", "our app"])
def test_either_application_streams_on_either_server(
    app: Callable[[], Any], ours: bool, loop: str
) -> None:
    served = Served(app(), ours=ours)
    if loop == "asyncio":
        served._run_loop = asyncio.run
    with served, closing(Wire(served.address)) as wire:
        for _ in range(2):
            assert RETRY.sub(b"", wire.ask("/count").answer()) == COUNTED
        assert wire.ask("/alive").answer() == b"alive"
