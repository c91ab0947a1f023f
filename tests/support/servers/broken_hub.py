"""A hub with faults that a test chooses: a program that checks a real hub must find them."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from barestream.mercure.sse import Event, encode, frame
from support.servers.service import Answering

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"connection: keep-alive\r\n\r\n"
)

# The events so far, by their places, to the places that a stream is given now.
Treatment = Callable[[int], Sequence[int]]


class BrokenHub(Answering):
    """Takes updates, and gives its first stream others than it took; a context.

    Args:
        treatment: Which events the first stream is given when the nth is taken, from 0 on; the
            other streams are given that one.
        ends_after: The streams are ended after so many events.
        is_clean: Whether they are ended as HTTP says.
    """

    def __init__(
        self,
        treatment: Treatment = lambda nth: [nth],
        ends_after: int | None = None,
        *,
        is_clean: bool = True,
    ) -> None:
        super().__init__()
        self._treatment = treatment
        self._ends_after = ends_after
        self._is_clean = is_clean
        self._events: list[bytes] = []
        self._streams: list[asyncio.StreamWriter] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._ready = threading.Event()

    def __enter__(self) -> "BrokenHub":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def streams(self) -> int:
        """How many streams have come."""
        return len(self._streams)

    def publish(self, data: str) -> None:
        """Take an update from within."""
        self._loop.call_soon_threadsafe(self._publish, data)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, *self.address)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for writer in self._streams:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            if head.startswith("GET"):
                self._streams.append(writer)
                writer.write(HEAD)
                continue
            size = int(head.lower().partition("content-length: ")[2].split()[0])
            self._publish(parse_qs((await reader.readexactly(size)).decode())["data"][0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nid")
        writer.close()

    def _publish(self, data: str) -> None:
        nth = len(self._events)
        self._events.append(frame(encode(Event(data, id=str(nth)))).chunk)
        for writer in self._streams:
            places = self._treatment(nth) if writer is self._streams[0] else [nth]
            writer.write(b"".join(self._events[place] for place in places))
        if nth + 1 == self._ends_after:
            for writer in self._streams:
                writer.write(b"0\r\n\r\n" if self._is_clean else b"")
                writer.close()
