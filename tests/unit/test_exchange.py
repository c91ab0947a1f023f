import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import InvalidResponse, ResponseError

from barestream.history.valkey.exchange import Exchange


class FakeTransport(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        self.sent += data


def run(scenario: Callable[[Exchange, FakeTransport], Awaitable[None]]) -> None:
    async def main() -> None:
        transport = FakeTransport()
        exchange = Exchange(transport)
        assert transport.protocol is exchange
        await scenario(exchange, transport)

    asyncio.run(main())


def test_answers_that_come_in_pieces_are_put_together() -> None:
    async def scenario(exchange: Exchange, transport: FakeTransport) -> None:
        whole = exchange.ask(b"two commands", 2)
        assert transport.sent == b"two commands"
        for piece in b"*2\r\n$1\r\na\r\n*-1\r\n:7\r\n":
            assert not whole.done()
            exchange.data_received(bytes([piece]))
        assert await whole == [[b"a", None], 7]
        assert exchange.is_quiet

    run(scenario)


def test_an_error_of_the_server_is_an_answer() -> None:
    async def scenario(exchange: Exchange, _transport: FakeTransport) -> None:
        whole = exchange.ask(b"", 2)
        exchange.data_received(b"-WRONGTYPE of a key\r\n+OK\r\n")
        error, answer = await whole
        assert (type(error), str(error), answer) == (ResponseError, "WRONGTYPE of a key", b"OK")
        assert exchange.is_quiet

    run(scenario)


def test_bytes_that_nobody_asked_for_make_a_connection_useless() -> None:
    async def scenario(exchange: Exchange, _transport: FakeTransport) -> None:
        whole = exchange.ask(b"", 1)
        exchange.data_received(b"+OK\r\n+late\r\n")
        assert await whole == [b"OK"]
        assert not exchange.is_quiet
        with pytest.raises(LostError):
            await exchange.ask(b"", 1)

    run(scenario)


LATE = b"$4\r\nlate\r\n"


@pytest.mark.parametrize("size", range(1, len(LATE)))
@pytest.mark.parametrize("asked", [b"", b"+OK\r\n"])
def test_a_part_of_an_answer_that_nobody_asked_for_makes_a_connection_useless(
    asked: bytes, size: int
) -> None:
    async def scenario(exchange: Exchange, transport: FakeTransport) -> None:
        if asked:
            whole = exchange.ask(b"", 1)
            exchange.data_received(asked + LATE[:size])
            assert await whole == [b"OK"]
        else:
            exchange.data_received(LATE[:size])
        assert not exchange.is_quiet
        next_one = exchange.ask(b"next", 1)
        exchange.data_received(LATE[size:])
        with pytest.raises(LostError):
            await next_one
        assert transport.sent == b""

    run(scenario)


def test_bytes_that_are_no_answer_fail_the_question() -> None:
    async def scenario(exchange: Exchange, _transport: FakeTransport) -> None:
        whole = exchange.ask(b"", 1)
        exchange.data_received(b"HTTP/1.1 400 Bad Request\r\n")
        with pytest.raises(InvalidResponse):
            await whole
        assert not exchange.is_quiet

    run(scenario)


@pytest.mark.parametrize("error", [None, OSError("reset")])
def test_a_connection_that_ends_fails_the_question(error: OSError | None) -> None:
    async def scenario(exchange: Exchange, _transport: FakeTransport) -> None:
        whole = exchange.ask(b"", 2)
        exchange.data_received(b"+OK\r\n")
        exchange.connection_lost(error)
        with pytest.raises(LostError, match=str(error or "the connection has ended")):
            await whole
        assert not exchange.is_quiet

    run(scenario)


def test_an_answer_to_a_question_that_was_cancelled_is_given_to_no_other() -> None:
    async def scenario(exchange: Exchange, _transport: FakeTransport) -> None:
        exchange.ask(b"", 1).cancel()
        exchange.data_received(b"+late\r\n")
        assert not exchange.is_quiet

    run(scenario)
