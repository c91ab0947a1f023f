"""Requests of HTTP/2 over a connection of their own, with the time of each frame."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from barestream_doctor.exchange import Ending, Exchange, Read
from barestream_doctor.http1 import connect
from barestream_doctor.response_reader import BodyDecoder
from barestream_doctor.target import Target

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions

    IS_INSTALLED = True
except ImportError:  # the extra "doctor" has it
    IS_INSTALLED = False


_SETTINGS_SECONDS = 5


class Http2:
    """A connection that holds several requests.

    Args:
        target: Where it goes.
        connection: The connection, whose TLS has agreed on h2.
    """

    def __init__(self, target: Target, connection: Any) -> None:
        self._target = target
        self._connection = connection
        self._loop = connection.loop
        self._state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._open: dict[int, tuple[Exchange, BodyDecoder, float, Callable[[], None]]] = {}
        self._settled = asyncio.Event()
        self._state.initiate_connection()
        self._flush()
        connection.listen(self._received, self._ended)

    @property
    def most_streams(self) -> int:
        """How many streams the server allows at once, once its settings have come."""
        return int(self._state.remote_settings.max_concurrent_streams)

    async def settings(self) -> None:
        """Wait until the server's settings have come."""
        async with asyncio.timeout(_SETTINGS_SECONDS):
            await self._settled.wait()

    async def ask(self, path: str, headers: Mapping[str, str], seconds: float) -> Exchange:
        """Send a request, and read its answer until it ends, or for so many seconds."""
        exchange = Exchange(sent_at=time.time(), http_version="2", alpn="h2")
        exchange.connect_seconds = 0
        done: asyncio.Future[None] = self._loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        number = self._state.get_next_available_stream_id()
        fields = {
            ":method": "GET",
            ":scheme": "https",
            ":authority": self._target.host,
            ":path": path,
            "accept": "text/event-stream",
            "accept-encoding": "gzip, deflate",
            "cache-control": "no-cache",
            "user-agent": "barestream-doctor",
            **{name.lower(): value for name, value in headers.items()},
        }
        self._open[number] = exchange, BodyDecoder(""), self._loop.time(), finish
        try:
            self._state.send_headers(number, list(fields.items()), end_stream=True)
            self._flush()
            async with asyncio.timeout(seconds):
                await done
        except TimeoutError:
            pass
        except h2.exceptions.ProtocolError as error:
            exchange.error = f"HTTP/2 failed: {error}"
        exchange.ended_at = exchange.ended_at or self._loop.time() - self._open[number][2]
        del self._open[number]
        if not exchange.status and not exchange.error:
            exchange.error = "no headers came over HTTP/2"
        return exchange

    def close(self) -> None:
        """End the connection."""
        self._connection.transport.abort()

    def _flush(self) -> None:
        data = self._state.data_to_send()
        if data:
            self._connection.transport.write(data)

    def _received(self, data: bytes, at: float) -> None:
        try:
            happened = self._state.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.close()
            return
        for event in happened:
            self._handle(event, at)
        self._flush()

    def _handle(self, event: Any, at: float) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._settled.set()
        if isinstance(event, h2.events.DataReceived):
            self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        found = self._open.get(getattr(event, "stream_id", None) or 0)
        if found is None:
            return
        exchange, decoder, began_at, finish = found
        since = at - began_at
        if isinstance(event, h2.events.ResponseReceived):
            fields = [(str(name), str(value)) for name, value in event.headers]
            exchange.status = int(dict(fields)[":status"])
            exchange.headers = [each for each in fields if not each[0].startswith(":")]
            exchange.head_at = since
            decoder = BodyDecoder(exchange.header("content-encoding"))
            self._open[event.stream_id] = exchange, decoder, began_at, finish
        elif isinstance(event, h2.events.DataReceived):
            exchange.wire_bytes += len(event.data)
            if piece := decoder.decode(event.data):
                exchange.reads.append(Read(since, piece))
        elif isinstance(event, h2.events.StreamEnded):
            exchange.ending, exchange.ended_at = Ending.CLEAN, since
            finish()
        elif isinstance(event, h2.events.StreamReset):
            exchange.ending, exchange.ended_at = Ending.RESET, since
            finish()

    def _ended(self, at: float, is_reset: bool) -> None:
        for exchange, _, began_at, finish in list(self._open.values()):
            exchange.ending = Ending.RESET if is_reset else Ending.CUT
            exchange.ended_at = at - began_at
            finish()


async def open_http2(target: Target, tls: ssl.SSLContext, exchange: Exchange) -> Http2 | None:
    """Return a connection; None if there is none, or the server did not agree on HTTP/2."""
    connection = await connect(target, tls, exchange)
    if connection is None:
        return None
    if exchange.alpn != "h2":
        connection.transport.abort()
        return None
    return Http2(target, connection)


async def ask(
    target: Target, path: str, *, headers: Mapping[str, str], tls: ssl.SSLContext, seconds: float
) -> Exchange:
    """Send one request over a connection of its own.

    Returns:
        What came; its version is 2 only if the server has agreed on HTTP/2.
    """
    first = Exchange()
    opened = await open_http2(target, tls, first)
    if opened is None:
        return first
    try:
        found = await opened.ask(path, headers, seconds)
    finally:
        opened.close()
    found.connect_seconds = first.connect_seconds
    return found
