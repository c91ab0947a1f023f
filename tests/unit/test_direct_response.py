"""A direct response writes to its socket and leaves the rest to the transport."""

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from barestream.mercure.sse import frame
from barestream.server.protocol import DirectResponse, Protocol, _Pipeline

ONE, TWO, THREE = (frame(body) for body in (b"one", b"two", b"three"))


class Flow:
    write_paused = False


class Cycle:
    def __init__(self, http_version: str, transport: Any) -> None:
        self.scope = {"http_version": http_version}
        self.transport = transport
        self.chunked_encoding: bool | None = None
        self.disconnected = False


class Transport:
    """A transport that holds the bytes that it is given until the test releases them."""

    def __init__(self, connection: socket.socket, tls: object = None) -> None:
        self._socket = connection
        self._info = {"socket": connection, "sslcontext": tls}
        self.held: list[Any] = []
        self.closing = False

    def get_extra_info(self, name: str) -> Any:
        return self._info[name]

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.held))

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        self.held.append(data)

    def abort(self) -> None:
        self.closing = True

    def let_go(self) -> None:
        for data in self.held:
            os.write(self._socket.fileno(), data)
        self.held.clear()


class Connection:
    """The part of a server's connection that a response needs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.flow = Flow()
        self.ours, self.client = socket.socketpair()
        self.ours.setblocking(False)
        self.client.setblocking(False)
        self.transport = Transport(self.ours)
        self.direct_response: DirectResponse | None = None
        # What uvicorn writes the head to.
        self.cycle: Any = None
        self.is_half_closed = False

    def response(self, http_version: str = "1.1", *, has_left: bool = False) -> DirectResponse:
        self.cycle = Cycle(http_version, self.transport)
        self.cycle.disconnected = has_left
        protocol: Any = self
        return Protocol.open_response(protocol, self.cycle)

    def arrived(self) -> bytes:
        """Return the bytes that have reached the client and that it has not read."""
        got = b""
        try:
            while more := self.client.recv(1 << 20):
                got += more
        except BlockingIOError:
            pass
        return got

    def fill(self) -> int:
        """Send until the kernel takes no more, and return how much that was."""
        size_bytes = 0
        try:
            while True:
                size_bytes += self.ours.send(b"-")
        except BlockingIOError:
            return size_bytes


@pytest.fixture
def connection() -> Iterator[Connection]:
    loop = asyncio.new_event_loop()
    made = Connection(loop)
    yield made
    made.ours.close()
    made.client.close()
    loop.close()


def test_a_frame_reaches_the_client_at_once(connection: Connection) -> None:
    response = connection.response()
    response.write(ONE)
    assert connection.arrived() == ONE.chunk
    assert response.pending_bytes == 0


def test_the_head_goes_with_the_first_frame_by_one_write(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data) or len(data))
    response = connection.response()
    connection.cycle.transport.write(b"head ")
    for each in (ONE, TWO):
        response.write(each)
    connection.cycle.transport.write(b"end")
    assert written == [b"head " + ONE.chunk, TWO.chunk]
    assert connection.transport.held == [b"end"]


def test_the_head_of_a_response_without_a_frame_is_written_before_its_end(
    connection: Connection,
) -> None:
    response = connection.response()
    connection.cycle.transport.write(b"head ")
    response.close()
    connection.loop.call_later(0, connection.transport.let_go)
    connection.loop.run_until_complete(response.over())
    assert connection.arrived() == b"head "


def test_http_1_0_gets_bare_bodies(connection: Connection) -> None:
    connection.response("1.0").write(ONE)
    assert connection.arrived() == b"one"


def test_no_frame_overtakes_a_head_that_waits_in_the_transport(connection: Connection) -> None:
    response = connection.response()
    connection.transport.write(b"head ")
    response.write(ONE)
    assert connection.arrived() == b""
    connection.transport.let_go()
    response.write(TWO)
    assert connection.arrived() == b"head " + ONE.chunk + TWO.chunk


def test_bytes_that_the_kernel_does_not_take_are_sent_in_order_without_a_copy(
    connection: Connection,
) -> None:
    response = connection.response()
    large = frame(b"x" * 4_000_000)
    response.write(large)
    [rest] = connection.transport.held
    assert rest.obj is large.chunk
    assert response.pending_bytes == len(rest)
    response.write(ONE)
    got = connection.arrived()
    assert got + b"".join(connection.transport.held) == large.chunk + ONE.chunk


def test_when_the_kernel_takes_nothing_the_whole_frame_waits(connection: Connection) -> None:
    response = connection.response()
    filled_bytes = connection.fill()
    response.write(ONE)
    assert len(connection.arrived()) == filled_bytes
    connection.transport.let_go()
    response.write(TWO)
    assert connection.arrived() == ONE.chunk + TWO.chunk


def test_over_tls_every_frame_goes_through_the_transport(connection: Connection) -> None:
    connection.transport = Transport(connection.ours, tls=object())
    response = connection.response()
    for each in (ONE, TWO):
        response.write(each)
    assert connection.arrived() == b""
    assert connection.transport.held == [ONE.chunk, TWO.chunk]


@pytest.mark.parametrize("written", [0, 1])
def test_the_descriptor_of_a_lost_connection_is_never_written_to(
    connection: Connection, written: int
) -> None:
    response = connection.response()
    for _ in range(written):
        response.write(ONE)
    descriptor = connection.ours.fileno()
    # uvloop's order: the transport closes, the protocol is called, the descriptor is free.
    connection.transport.closing = True
    response.lose()
    ours, client = socket.socketpair()
    with ours, client:
        os.dup2(ours.fileno(), descriptor)
        client.setblocking(False)
        response.write(TWO)
        with pytest.raises(BlockingIOError):
            client.recv(100)
    assert connection.transport.held == []


def test_a_write_to_a_client_that_left_cuts_the_connection(connection: Connection) -> None:
    response = connection.response()
    connection.client.close()
    response.write(ONE)
    assert connection.transport.closing
    response.write(TWO)


def test_a_response_that_begins_after_its_client_left_is_over(connection: Connection) -> None:
    connection.transport.closing = True
    response = connection.response(has_left=True)
    response.write(ONE)
    assert connection.arrived() == b""
    connection.loop.run_until_complete(asyncio.wait_for(response.over(), 5))


def test_a_response_without_a_client_writes_nothing_to_a_connection_that_is_open(
    connection: Connection,
) -> None:
    # As where the server has refused the request's body, and waits for the end of the input.
    response = connection.response(has_left=True)
    assert not response.write(ONE)
    assert connection.transport.held == []
    assert connection.arrived() == b""


def test_a_response_that_begins_on_a_full_transport_is_paused(connection: Connection) -> None:
    connection.flow.write_paused = True
    assert connection.response().paused


def test_a_pipeline_returns_its_items_in_the_order_in_which_they_arrived() -> None:
    pipeline = _Pipeline()
    for number in range(5):
        pipeline.appendleft(number)
    assert [pipeline.pop() for _ in range(5)] == list(range(5))
    assert not pipeline
