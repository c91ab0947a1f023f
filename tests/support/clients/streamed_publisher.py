"""A publisher whose request goes on, and one that goes on by its numbers after each cut.

The client for Python sends short requests in its place.
"""

import asyncio
import json
import math
import random
from collections.abc import Iterable
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from support.clients.publisher import PATH, token
from support.servers.service import PATIENCE_SECONDS

PUBLISH_STREAM = f"{PATH}/publish-stream"
NDJSON, EVENTS = "application/x-ndjson", "text/event-stream"

Pairs = Iterable[tuple[str, str]]


class Answer(NamedTuple):
    """An answer; its body as JSON, empty where it is none."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def line(data: object, **fields: object) -> bytes:
    """Return a line of NDJSON."""
    return json.dumps({"data": data, **fields}).encode() + b"\n"


def numbered(producer: str, first: int, epoch: int = 0, lease: int | None = None) -> dict[str, str]:
    """Return the headers of a producer."""
    headers = {"Producer-Id": producer, "Producer-Epoch": str(epoch), "Producer-Seq": str(first)}
    return headers | ({} if lease is None else {"Producer-Lease": str(lease)})


class StreamedPublish:
    """One request, whose body is sent in chunks; an asynchronous context.

    Args:
        address: Where the hub is.
        pairs: The query.
        kind: The type of the body.
        headers: Headers beside the usual ones.
    """

    def __init__(
        self,
        address: tuple[str, int],
        pairs: Pairs,
        kind: str = NDJSON,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._address = address
        usual = {
            "Host": f"{address[0]}:{address[1]}",
            "Content-Type": kind,
            "Transfer-Encoding": "chunked",
            "Authorization": f"Bearer {token()}",
        }
        lines = [f"POST {PUBLISH_STREAM}?{urlencode([*pairs])} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (usual | (headers or {})).items()]
        # It goes with the first piece: a server that closes right after an early answer would make
        # the kernel drop the answer if more came then.
        self._unsent = "\r\n".join([*lines, "", ""]).encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        self._answer = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._answer.cancel()
        await asyncio.wait([self._answer])
        self.cut()

    def cut(self) -> None:
        """Close the connection, with what it holds still unsent."""
        self._writer.transport.abort()

    async def send(self, piece: bytes) -> None:
        """Send a part of the body; wait while the hub reads nothing."""
        self._write(_chunk(piece))
        await self._writer.drain()

    def _write(self, piece: bytes) -> None:
        unsent, self._unsent = self._unsent, b""
        self._writer.write(unsent + piece)

    @property
    def is_answered(self) -> bool:
        """Whether the answer has come, or the connection was cut."""
        return self._answer.done()

    async def answer(self) -> Answer:
        """Wait for the answer.

        Raises:
            ConnectionError: The connection was cut.
        """
        if self._unsent:
            self._write(b"")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(self._answer)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError from None

    async def end(self, last: bytes = b"") -> Answer:
        """Send the last part of the body, and its end, and wait for the answer."""
        self._write((_chunk(last) if last else b"") + b"0\r\n\r\n")
        return await self.answer()

    async def _read(self) -> Answer:
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (field.partition(":") for field in fields if field)
        }
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        is_json = "json" in headers.get("content-type", "")
        return Answer(int(status.split()[1]), headers, json.loads(body) if is_json else {})


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def position(address: tuple[str, int], topic: str, producer: str) -> Answer:
    """Ask for a producer's position."""
    query = urlencode({"topic": topic, "producer": producer})
    reader, writer = await asyncio.open_connection(*address)
    try:
        lines = [f"GET {PUBLISH_STREAM}?{query} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"Authorization: Bearer {token()}", "", ""]
        writer.write("\r\n".join(lines).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head:
        raise ConnectionResetError
    is_json = b"json" in head and body
    return Answer(int(head.split()[1]), {}, json.loads(body) if is_json else {})


class Persistent:
    """Publishes numbered lines one after the other, and goes on by its position after each cut.

    Args:
        address: Where the hub is.
        topic: The topic.
        producer: Its name.
        pause_seconds: How long it waits after each line.
        lease_seconds: What it asks for; its last line ends the topic then, before the lease does.

    Attributes:
        requests: How many requests it has made.
        statuses: Those of the answers that came before its body's end.
        next: The number of the line that it sends next.
    """

    def __init__(
        self,
        address: tuple[str, int],
        topic: str,
        producer: str,
        pause_seconds: float,
        lease_seconds: int | None = None,
    ) -> None:
        self._address = address
        self._topic = topic
        self._producer = producer
        self._pause_seconds = pause_seconds
        self._lease_seconds = lease_seconds
        self._count = math.inf
        self.requests = 0
        self.statuses: list[int] = []
        self.next = 0

    async def publish(self, count: float = math.inf, cuts: random.Random | None = None) -> Answer:
        """Publish lines, whose data are their numbers; return the last answer.

        Args:
            count: How many; without an end until ``finish`` is called.
            cuts: Chooses where it cuts its own connection; None for nowhere.
        """
        self._count = count
        while True:
            try:
                answer = await self._publish(cuts)
            except OSError:
                answer = None
            if answer is not None and answer.status == 200:
                return answer
            told = None
            if answer is not None:
                self.statuses.append(answer.status)
                told = answer.body.get("next")
            await asyncio.sleep(0.05)
            self.next = await self._position() if told is None else told

    def finish(self) -> int:
        """Have one line more be its last one, and return how many lines it publishes."""
        self._count = self.next + 1
        return self._count

    async def _publish(self, cuts: random.Random | None) -> Answer:
        self.requests += 1
        async with StreamedPublish(
            self._address,
            [("topic", self._topic)],
            headers=numbered(self._producer, self.next, lease=self._lease_seconds),
        ) as request:
            while self.next < self._count:
                if request.is_answered:
                    return await request.answer()
                if cuts is not None and cuts.random() < 0.02:
                    request.cut()
                    raise ConnectionResetError
                piece = self._line()
                self.next += 1
                await request.send(piece)
                await asyncio.sleep(self._pause_seconds)
            return await request.end()

    def _line(self) -> bytes:
        is_end = self._lease_seconds is not None and self.next + 1 == self._count
        return line(self.next, **({"end": True} if is_end else {}))

    async def _position(self) -> int:
        while True:
            try:
                found = await position(self._address, self._topic, self._producer)
            except OSError:
                found = None
            if found is not None and found.status == 404:
                return 0
            if found is not None and found.status == 200:
                return int(found.body["next"])
            await asyncio.sleep(0.05)
