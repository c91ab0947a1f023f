"""What a direct response writes to its socket, and what it leaves to the transport."""

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
    def __init__(self, http_version: str) -> None:
        self.scope = {"http_version": http_version}
        self.chunked_encoding: bool | None = None
        self.disconnected = False


class Transport:
    """One that holds what it is given until the test lets it go."""

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
    """A connection as the server has it: the protocol's part that a response needs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.flow = Flow()
        self.ours, self.client = socket.socketpair()
        self.ours.setblocking(False)
        self.client.setblocking(False)
        self.transport = Transport(self.ours)
        self.direct_response: DirectResponse | None = None
        self.is_half_closed = False

    def response(self, http_version: str = "1.1", *, has_left: bool = False) -> DirectResponse:
        cycle: Any = Cycle(http_version)
        cycle.disconnected = has_left
        protocol: Any = self
        return Protocol.open_response(protocol, cycle)

    def arrived(self) -> bytes:
        """Return what the client has by now, and has not read."""
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


def test_a_frame_is_at_the_client_at_once(connection: Connection) -> None:
    response = connection.response()
    response.write(ONE)
    assert connection.arrived() == ONE.chunk
    assert response.pending_bytes == 0


def test_http_1_0_gets_bare_bodies(connection: Connection) -> None:
    connection.response("1.0").write(ONE)
    assert connection.arrived() == b"one"


def test_nothing_overtakes_a_head_that_waits_in_the_transport(connection: Connection) -> None:
    response = connection.response()
    connection.transport.write(b"head ")
    response.write(ONE)
    assert connection.arrived() == b""
    connection.transport.let_go()
    response.write(TWO)
    assert connection.arrived() == b"head " + ONE.chunk + TWO.chunk


def test_what_the_kernel_does_not_take_goes_in_order_and_is_not_copied(
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


def test_where_the_kernel_takes_nothing_all_of_it_waits(connection: Connection) -> None:
    response = connection.response()
    filled_bytes = connection.fill()
    response.write(ONE)
    assert len(connection.arrived()) == filled_bytes
    connection.transport.let_go()
    response.write(TWO)
    assert connection.arrived() == ONE.chunk + TWO.chunk


def test_over_tls_all_goes_by_the_transport(connection: Connection) -> None:
    connection.transport = Transport(connection.ours, tls=object())
    response = connection.response()
    for each in (ONE, TWO):
        response.write(each)
    assert connection.arrived() == b""
    assert connection.transport.held == [ONE.chunk, TWO.chunk]


@pytest.mark.parametrize("written", [0, 1])
def test_a_lost_connections_descriptor_is_written_to_by_nobody(
    connection: Connection, written: int
) -> None:
    response = connection.response()
    for _ in range(written):
        response.write(ONE)
    descriptor = connection.ours.fileno()
    # As uvloop does it: closing, then the protocol is told, then the descriptor is free.
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


def test_a_response_that_begins_on_a_full_transport_is_paused(connection: Connection) -> None:
    connection.flow.write_paused = True
    assert connection.response().paused


def test_a_pipeline_gives_back_what_came_first() -> None:
    pipeline = _Pipeline()
    for number in range(5):
        pipeline.appendleft(number)
    assert [pipeline.pop() for _ in range(5)] == list(range(5))
    assert not pipeline
