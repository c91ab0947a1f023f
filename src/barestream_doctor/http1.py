"""Requests of HTTP/1.1 over a socket of their own, with the time of each read."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping

from barestream_client.tls import of_tls
from barestream_doctor.exchange import Ending, Exchange
from barestream_doctor.response_reader import ResponseReader, UnreadableError
from barestream_doctor.target import Target

# A connection takes longer only where nothing answers.
_CONNECT_SECONDS = 10

# The header is what browsers send, but for the kinds that Python cannot undo.
_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "gzip, deflate",
    "Cache-Control": "no-cache",
    "User-Agent": "barestream-doctor",
}


def reason(error: Exception) -> str:
    """Return why a connection failed, in the same words for all failures of a kind."""
    if isinstance(error, ssl.SSLError):
        return of_tls(error)
    if isinstance(error, TimeoutError):
        return f"no connection within {_CONNECT_SECONDS} s"
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        # asyncio has words of its own, which name each address.
        return os.strerror(error.errno).lower()
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


class Connection(asyncio.Protocol):
    """A connection that gives each read to a function, with its time on the loop's clock."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        # What comes before somebody listens, such as the settings of HTTP/2.
        self._early: list[tuple[bytes, float]] = []
        self._end: tuple[float, bool] | None = None
        self._on_data: Callable[[bytes, float], None] | None = None
        self._on_end: Callable[[float, bool], None] | None = None

    def listen(
        self, on_data: Callable[[bytes, float], None], on_end: Callable[[float, bool], None]
    ) -> None:
        """Give what has come, and what comes, to these functions.

        Args:
            on_data: Called with each read and its time.
            on_end: Called with the time of the end, and whether the connection was reset.
        """
        self._on_data, self._on_end = on_data, on_end
        for data, at in self._early:
            on_data(data, at)
        self._early.clear()
        if self._end is not None:
            on_end(*self._end)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (loop.create_connection)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass a read on."""
        if self._on_data is None:
            self._early.append((data, self.loop.time()))
        else:
            self._on_data(data, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on."""
        self._end = self.loop.time(), exc is not None
        if self._on_end is not None:
            self._on_end(*self._end)


async def connect(
    target: Target, tls: ssl.SSLContext | None, exchange: Exchange
) -> Connection | None:
    """Return a connection; None where there is none, and then the exchange says why."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            # By itself, so that TLS does not count as a part of the connection.
            transport, connection = await loop.create_connection(
                Connection, target.name, target.port
            )
            exchange.connect_seconds = loop.time() - began_at
            if tls is not None:
                upgraded = await loop.start_tls(
                    transport, connection, tls, server_hostname=target.name
                )
                assert upgraded is not None  # noqa: S101 (only a lost connection has None)
                connection.connection_made(upgraded)
                found = upgraded.get_extra_info("ssl_object")
                exchange.alpn = found.selected_alpn_protocol() or "none"
    except (OSError, TimeoutError) as error:
        exchange.error = reason(error)
        return None
    return connection


async def ask(  # noqa: PLR0913 (what a request has)
    target: Target,
    path: str,
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None,
    seconds: float,
    method: str = "GET",
    until: Callable[[Exchange], bool] = lambda _: False,
) -> Exchange:
    """Send a request, and read its answer until it ends, or for so many seconds, or long enough.

    Args:
        target: Where.
        path: The path and query.
        headers: Beside the usual ones, or in their place.
        tls: The context; None without TLS.
        seconds: The longest time after the request was sent.
        method: The method.
        until: Whether enough has come.
    """
    fields = {"Host": target.host, **_HEADERS, "Connection": "keep-alive", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return await exchange_bytes(
        target, "\r\n".join([*lines, "", ""]).encode(), tls=tls, seconds=seconds, until=until
    )


async def exchange_bytes(  # noqa: PLR0913 (what an exchange has)
    target: Target,
    request: bytes,
    *,
    tls: ssl.SSLContext | None,
    seconds: float,
    until: Callable[[Exchange], bool] = lambda _: False,
    later: tuple[float, bytes, Callable[[float], None]] | None = None,
) -> Exchange:
    """Do the same with a request that is bytes already.

    Args:
        target: As of ask.
        request: The request.
        tls: As of ask.
        seconds: As of ask.
        until: As of ask.
        later: After how many seconds what else is sent, and what is called with that moment.
    """
    exchange = Exchange()
    connection = await connect(target, tls, exchange)
    if connection is None:
        return exchange
    loop = connection.loop
    done: asyncio.Future[None] = loop.create_future()
    reader = ResponseReader(exchange)
    exchange.sent_at, began_at = time.time(), loop.time()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def received(data: bytes, at: float) -> None:
        if done.done():
            return
        try:
            reader.feed(data, at - began_at)
        except UnreadableError as error:
            exchange.error = f"the answer cannot be read: {error}"
            finish()
        if reader.is_over or until(exchange):
            finish()

    def ended(at: float, is_reset: bool) -> None:
        if not done.done():
            reader.end(at - began_at, is_reset=is_reset)
            finish()

    connection.transport.write(request)
    if later is not None:
        after, rest, note = later

        def send_rest() -> None:
            note(loop.time())
            connection.transport.write(rest)

        loop.call_later(after, send_rest)
    connection.listen(received, ended)
    try:
        async with asyncio.timeout(seconds):
            await done
    except TimeoutError:
        finish()
    finally:
        connection.transport.abort()
    if not exchange.ended_at:
        exchange.ended_at = loop.time() - began_at
    if not exchange.status and not exchange.error:
        exchange.error = (
            f"no headers came within {seconds:.0f} s"
            if exchange.ending is Ending.OPEN
            else "the connection was closed before any header came"
        )
    return exchange
