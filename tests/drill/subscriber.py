"""A client that comes and goes, and comes back as EventSource does; light enough for thousands."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlencode

import httptools

from barestream.feed import GAP_TYPE, HEARTBEAT_TYPE
from drill.publishing import TOPICS
from publisher import PATH

AWAY_MEAN_SECONDS = 2
AWAY_MOST_SECONDS = 10

# EventSource's own, until it is told another one.
RETRY_SECONDS = 3.0

# What makes close() send RST, as the kernel does for a program that was killed.
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Habits:
    """How a subscriber asks.

    Attributes:
        topics: What it follows, as indexes of TOPICS; all of them where empty.
        templates: Whether it names each of them by a URI template.
        heartbeat_events: Whether it asks for heartbeats that move its cursor.
        by_query: Whether it names its last event in the query alone.
        arrives_seconds: When it comes first.
        stays_seconds: For how long it stays, on average.
    """

    topics: tuple[int, ...] = ()
    templates: tuple[bool, ...] = ()
    heartbeat_events: bool = False
    by_query: bool = False
    arrives_seconds: float = 0
    stays_seconds: float = 10

    def selectors(self) -> list[str]:
        """Return what it names in its query."""
        if not self.topics:
            return ["*"]
        return [
            TOPICS[topic].replace("/rooms/", "/{kind}/") if template else TOPICS[topic]
            for topic, template in zip(self.topics, self.templates, strict=True)
        ]


class Visit(NamedTuple):
    """One connection, for the account of a failure; times are of time.monotonic."""

    cursor: str
    began_at: float
    ended_at: float
    status: int
    end: str
    first: int
    """The index in ``numbers`` of the first event that it brought."""


class Subscriber:
    """Follows its topics until cancelled.

    Args:
        address: Where nginx listens.
        habits: How it asks.
        cursor: The id from which it is owed everything.
        seed: Of its stays and absences.
        finishing: Once set it comes back, and stays.

    Attributes:
        numbers: The events that were dispatched to it, in their order.
        newest_at: When the newest of them was made, of time.monotonic.
        away: Whether it is away because it wants to.
        closed: The answers after which an EventSource would never come back.
        gaps: The gaps that it was told of.
    """

    def __init__(
        self,
        address: tuple[str, int],
        habits: Habits,
        cursor: str,
        seed: str,
        finishing: asyncio.Event,
    ) -> None:
        self.habits = habits
        self.cursor = self._begin = cursor
        self.numbers: list[int] = []
        self.visits: list[Visit] = []
        self.closed: list[str] = []
        self.gaps: list[str] = []
        self.heartbeats = 0
        self.returns = 0
        self.newest_at = 0.0
        self.away = True
        self._address = address
        self._rng = random.Random(seed)
        self._finishing = finishing
        self._retry_seconds = RETRY_SECONDS
        self._heard_at = 0.0
        self._longest_silence_seconds = 0.0
        self._rest = b""

    async def run(self) -> None:
        """Come, stay a while, leave, and come again."""
        await self._stay_away(self.habits.arrives_seconds)
        while True:
            stay_seconds = self._rng.expovariate(1 / self.habits.stays_seconds)
            leaves_politely = self._rng.random() < 0.5
            try:
                async with asyncio.timeout(None if self._finishing.is_set() else stay_seconds):
                    while True:
                        await self._visit(leaves_politely)
                        self.returns += 1
                        await asyncio.sleep(self._retry_seconds)
            except TimeoutError:
                absence_seconds = self._rng.expovariate(1 / AWAY_MEAN_SECONDS)
                await self._stay_away(min(absence_seconds, AWAY_MOST_SECONDS))

    def longest_silence_seconds(self) -> float:
        """Return the longest time without an event since the last call, absences left out."""
        longest = self._longest_silence_seconds
        self._longest_silence_seconds = 0
        return longest if self.away else max(longest, time.monotonic() - self._heard_at)

    async def _stay_away(self, seconds: float) -> None:
        self.away = True
        try:
            async with asyncio.timeout(seconds):
                await self._finishing.wait()
        except TimeoutError:
            pass
        self.away = False
        self._heard_at = time.monotonic()

    async def _visit(self, leaves_politely: bool) -> None:
        self._rest = b""
        connection = _Connection(self._request(), self._read)
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
        query = [("topic", selector) for selector in self.habits.selectors()]
        if self.habits.heartbeat_events:
            query.append(("heartbeat", "event"))
        # The page that makes its own EventSource has the id in the URL. A browser requests the
        # same URL again, and sends the header as soon as it has an id to send.
        in_query = self.cursor if self.habits.by_query else self._begin
        query.append(("lastEventID", in_query))
        lines = [
            f"GET {PATH}?{urlencode(query)} HTTP/1.1",
            "Host: drill.example",
            "Accept: text/event-stream",
        ]
        if self.cursor != in_query:
            lines.append(f"Last-Event-ID: {self.cursor}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _read(self, body: bytes) -> None:
        *blocks, self._rest = (self._rest + body).split(b"\n\n")
        for block in blocks:
            self._dispatch(block)

    def _dispatch(self, block: bytes) -> None:
        # Each field once, and the data one line: that is what the drill publishes.
        event_id = kind = data = None
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"data":
                data = value
            elif name == b"id":
                event_id = value
            elif name == b"event":
                kind = value.decode()
            elif name == b"retry":
                self._retry_seconds = int(value) / 1000
        if data is None:
            return
        if event_id is not None:
            self.cursor = event_id.decode()
        if kind is None:
            self._take(data)
        elif kind == HEARTBEAT_TYPE:
            self.heartbeats += 1
        elif kind == GAP_TYPE:
            self.gaps.append(data.decode())

    def _take(self, data: bytes) -> None:
        _, number, made_at, _ = data.split(b" ", 3)
        self.numbers.append(int(number))
        self.newest_at = max(self.newest_at, float(made_at))
        now = time.monotonic()
        silence_seconds = now - self._heard_at
        self._longest_silence_seconds = max(self._longest_silence_seconds, silence_seconds)
        self._heard_at = now


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
