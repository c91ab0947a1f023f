"""A client that comes back as a browser's EventSource does; light enough for thousands.

It keeps account of each connection; the client for Python hides them.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from barestream.delivery.heartbeat import HEARTBEAT_TYPE
from barestream.history.gap import GAP_TYPE
from support.clients.event_parser import EventParser, ParsedEvent
from support.judges.verdict import GapMark

# EventSource's own delay, until the server sends another one.
RETRY_SECONDS = 3.0

# What makes close() send RST, as the kernel does for a program that was killed.
_LINGER_NOT = struct.pack("ii", 1, 0)


class Visit(NamedTuple):
    """One connection, for the account of a failure; times are of time.monotonic."""

    cursor: str
    began_at: float
    ended_at: float
    status: int
    end: str
    first: int
    """The index in ``numbers`` of the first event that it brought."""


class EventSource:
    """Follows a URL until cancelled, and keeps account of the posts that it is given.

    Args:
        address: Where nginx listens.
        target: Path and query.
        cursor: The id from which it is owed everything.

    Attributes:
        cursor: Its last event's id.
        numbers: The posts that were dispatched to it, in their order.
        newest_at: When the newest of them was made, of time.monotonic.
        closed: The answers after which an EventSource would never come back.
        gaps: The gaps that it was told of.
        gap_marks: Where each of them stands among the numbers.
    """

    def __init__(self, address: tuple[str, int], target: str, cursor: str) -> None:
        self.cursor = self._begin = cursor
        self.numbers: list[int] = []
        self.visits: list[Visit] = []
        self.closed: list[str] = []
        self.gaps: list[str] = []
        self.gap_marks: list[GapMark] = []
        self.heartbeats = 0
        self.newest_at = 0.0
        self._address = address
        self._target = target
        self._retry_seconds = RETRY_SECONDS
        self._heard_at = time.monotonic()
        self._longest_silence_seconds = 0.0
        self._parser = EventParser()
        self._connection: _Connection | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether its stream is open at the moment."""
        found = self._connection
        return found is not None and found.status == 200 and not found.ended.done()

    def open(self) -> None:
        """Begin to follow the URL in a task."""
        self._running = asyncio.create_task(self.run())

    async def close(self) -> None:
        """End that task."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def run(self) -> None:
        """Follow the URL, and reconnect after each end."""
        while True:
            await self._visit(leaves_politely=True)
            await asyncio.sleep(self._retry_seconds)

    def longest_silence_seconds(self) -> float:
        """Return the longest time without an event since the last call."""
        longest = self._longest_silence_seconds
        self._longest_silence_seconds = 0
        return max(longest, time.monotonic() - self._heard_at)

    async def _visit(self, *, leaves_politely: bool) -> None:
        self._parser = EventParser(self.cursor)
        self._connection = connection = _Connection(self._request(), self._read)
        cursor, began_at, first = self.cursor, time.monotonic(), len(self.numbers)
        end = "left"
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: connection, *self._address)
            await connection.ended
            end = "ended" if connection.is_whole else "cut"
        except OSError as error:
            end = str(error)
        finally:
            connection.leave(politely=leaves_politely)
            now = time.monotonic()
            self.visits.append(Visit(cursor, began_at, now, connection.status, end, first))
        if connection.refusal:
            self.closed.append(connection.refusal)

    def _request(self) -> bytes:
        # A browser requests the same URL again, and sends the header as soon as it has an id to
        # send.
        return request(self._target, "" if self.cursor == self._begin else self.cursor)

    def _read(self, body: bytes) -> None:
        for event in self._parser.feed(body):
            self.cursor = event.id or self.cursor
            self._dispatch(event)
        if self._parser.retries_ms:
            self._retry_seconds = self._parser.retries_ms[-1] / 1000

    def _dispatch(self, event: ParsedEvent) -> None:
        if event.type == "message":
            self._take(event.data)
        elif event.type == HEARTBEAT_TYPE:
            self.heartbeats += 1
        elif event.type == GAP_TYPE:
            self.gaps.append(event.data)
            self.gap_marks.append(GapMark(len(self.numbers), time.monotonic()))

    def _take(self, data: str) -> None:
        _, number, made_at, _ = data.split(" ", 3)
        self.numbers.append(int(number))
        self.newest_at = max(self.newest_at, float(made_at))
        now = time.monotonic()
        silence_seconds = now - self._heard_at
        self._longest_silence_seconds = max(self._longest_silence_seconds, silence_seconds)
        self._heard_at = now


def request(target: str, last_event_id: str) -> bytes:
    """Return the request for a stream, with an id where there is one."""
    lines = [f"GET {target} HTTP/1.1", "Host: drill.example", "Accept: text/event-stream"]
    if last_event_id:
        lines.append(f"Last-Event-ID: {last_event_id}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Connection(asyncio.Protocol):
    """One request and its response, whose body is handed on as it comes.

    Attributes:
        ended: Done when the connection is.
        status: Of the response; 0 without one.
        is_whole: Whether the response ended as HTTP says it must.
        refusal: What made of the response one that closes an EventSource for ever.
    """

    def __init__(self, request: bytes, read: Callable[[bytes], None]) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.status = 0
        self.is_whole = False
        self.refusal: str | None = None
        self._request = request
        self._read = read
        self._parser = httptools.HttpResponseParser(self)
        self._content_type = b""
        self._transport: asyncio.Transport | None = None

    def leave(self, *, politely: bool) -> None:
        """Close the connection, or break it."""
        if self._transport is None or self._transport.is_closing():
            return
        if politely:
            self._transport.close()
        else:
            # None while uvloop still connects.
            connected: socket.socket | None = self._transport.get_extra_info("socket")
            if connected is not None:
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        if not self.ended.done():
            self.ended.set_result(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._content_type = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status != 200 or not self._content_type.startswith(b"text/event-stream"):
            self.refusal = f"{self.status} {self._content_type.decode()}"

    def on_body(self, body: bytes) -> None:
        if self.refusal is None:
            self._read(body)

    def on_message_complete(self) -> None:
        self.is_whole = True
        self.leave(politely=True)
