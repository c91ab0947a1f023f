"""A client of Server-Sent Events that sees what a browser hides: chunks, ends, arrival times."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.clients.event_parser import EventParser
from support.servers.service import PATIENCE_SECONDS


@dataclass
class Received:
    """One dispatched event, and when its last byte arrived (wall clock, seconds)."""

    id: str | None
    type: str
    data: str
    at: float


@dataclass
class SseClient:
    """One stream; ``run`` reads it to its end.

    Attributes:
        target: host and port, or the path of a unix socket.
        form: The body of its request, percent-encoded; empty for none.
        clean: Whether the response ended as HTTP says it must; None while it is open.
    """

    target: tuple[str, int] | Path
    path: str = "/events"
    headers: dict[str, str] = field(default_factory=dict)
    on_event: Callable[[Received], None] = lambda _: None
    method: str = "GET"
    form: str = ""
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    events: list[Received] = field(default_factory=list)
    wire_bytes: int = 0
    clean: bool | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    _parser: EventParser = field(default_factory=EventParser)

    async def run(self, seconds: float | None = None) -> "SseClient":
        """Read to the end of the response, or for so many seconds."""
        await _at_most(self._run(), seconds)
        return self

    async def read_until(self, is_enough: Callable[["SseClient"], Any]) -> "SseClient":
        """Read until something is so of this client, and leave; fail where it never is."""
        await _until(self._run(), lambda: is_enough(self))
        return self

    async def _run(self) -> None:
        if isinstance(self.target, Path):
            reader, writer = await asyncio.open_unix_connection(self.target)
        else:
            reader, writer = await asyncio.open_connection(*self.target)
        try:
            lines = [f"{self.method} {self.path} HTTP/1.1", "Host: test"]
            lines += ["Accept: text/event-stream"]
            if self.form:
                lines += ["Content-Type: application/x-www-form-urlencoded"]
                lines += [f"Content-Length: {len(self.form)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            writer.write("\r\n".join([*lines, "", self.form]).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *fields = head.strip().split("\r\n")
            self.status = int(status.split()[1])
            self.response_headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in fields)
            }
            self.opened.set()
            self.clean = await self._read_body(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.clean = False
        finally:
            writer.close()

    async def _read_body(self, reader: asyncio.StreamReader) -> bool:
        if "content-length" in self.response_headers:
            self._feed(await reader.readexactly(int(self.response_headers["content-length"])))
            return True
        while size := int(await reader.readuntil(b"\r\n"), 16):
            self._feed((await reader.readexactly(size + 2))[:-2])
        return await reader.readexactly(2) == b"\r\n"

    def _feed(self, body: bytes) -> None:
        at = time.time()
        self.wire_bytes += len(body)
        for parsed in self._parser.feed(body):
            event = Received(parsed.own_id, parsed.type, parsed.data, at)
            self.events.append(event)
            self.on_event(event)

    @property
    def heartbeats(self) -> int:
        """How many bare comment lines came."""
        return self._parser.comments

    @property
    def retries_ms(self) -> list[int]:
        """Each delay that the service has asked for."""
        return self._parser.retries_ms


@dataclass
class ReconnectingClient:
    """Comes back as EventSource does: after the last retry, with the last id."""

    target: tuple[str, int]
    path: str = "/events"
    events: list[Received] = field(default_factory=list)
    connects: int = 0
    live_at: float = 0.0
    _retry_ms: int = 3000

    async def run(self, seconds: float | None) -> "ReconnectingClient":
        """Follow the stream for so many seconds, or without an end, over every interruption."""
        await _at_most(self._run(), seconds)
        return self

    async def run_until(
        self, is_enough: Callable[["ReconnectingClient"], Any]
    ) -> "ReconnectingClient":
        """Follow the stream until something is so of this client; fail where it never is."""
        await _until(self._run(), lambda: is_enough(self))
        return self

    async def _run(self) -> None:
        while True:
            await self._connect_once()
            await asyncio.sleep(self._retry_ms / 1000)

    async def _connect_once(self) -> None:
        headers = {}
        if self.events and self.events[-1].id:
            headers["Last-Event-ID"] = self.events[-1].id
        client = SseClient(self.target, self.path, headers, self._received)
        self.connects += 1
        try:
            await client.run()
        except OSError:
            return
        finally:
            if client.retries_ms:
                self._retry_ms = client.retries_ms[-1]

    def _received(self, event: Received) -> None:
        self.events.append(event)
        self.live_at = event.at


async def _at_most(reading: Coroutine[Any, Any, None], seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await reading
    except TimeoutError:
        pass


async def _until(reading: Coroutine[Any, Any, None], is_enough: Callable[[], Any]) -> None:
    running = asyncio.create_task(reading)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_enough():
                assert not running.done(), "the stream is over"
                await asyncio.sleep(0.005)
    finally:
        running.cancel()
        await asyncio.wait([running])


def stamp_seconds(event: Received) -> float:
    """Return the second that a tick of the clock stands for."""
    assert event.id is not None
    return int(event.id.removeprefix("#").partition("-")[0]) / 1000
