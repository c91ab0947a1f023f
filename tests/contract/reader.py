"""A worker's tail and a stream of it, on a broker of the test."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from barestream.delivery.feed import Feed
from barestream.delivery.resume import resumption
from barestream.delivery.stream import Stream
from barestream.delivery.subscription import EVERYTHING_PUBLIC
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import (
    MOST_PAGE_BYTES,
    Broker,
    BrokerAwayError,
    HistoryBounds,
    Page,
)
from barestream.history.record import BEGIN, Place
from barestream.history.ring import Ring
from barestream.history.topic_state import Reader as TopicReader
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.telemetry.metrics import Metrics
from barestream.web.buffered_writer import BufferedWriter
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS

T = TypeVar("T")


class LateBroker(ValkeyBroker):
    """A worker's broker whose reads get no answer while it is held, an error while it is deaf."""

    def __init__(
        self, where: str | Replicated, bounds: HistoryBounds, password: str | None
    ) -> None:
        super().__init__(where, bounds, password)
        self.is_held = False
        self.is_deaf = False

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: TopicReader | None = None,
    ) -> Page:
        page = await super().read(after, most_events, most_bytes, reader)
        self._hear()
        return page

    def _hear(self) -> None:
        if self.is_deaf:
            raise BrokerAwayError("the connection broke")

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        while True:
            page = await super().wait(after, most_events, most_bytes)
            self._hear()
            if not self.is_held:
                return page
            await until(lambda: not self.is_held)


@asynccontextmanager
async def closing(broker: Broker) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await broker.close()


async def at_last(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask as a publisher does that tries again while Valkey is away; return the answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await ask()
            except BrokerAwayError:
                await asyncio.sleep(0.02)


class Reader:
    """A worker's tail and one live stream of it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.feed = Feed(Ring(1000, BEGIN), Metrics(), lambda: 0.0)
        self.tail = Tail(broker, self.feed, 1000, 10_000_000, Slices(time.monotonic))
        self._writer = BufferedWriter()

    @asynccontextmanager
    async def following(self) -> Any:
        running = asyncio.create_task(self.tail.run())
        flushing = asyncio.create_task(self._flush())
        try:
            await until(lambda: self.tail.filled)
            with self.feed.follow(Stream(self._writer, lambda: 0.0, {}), None):
                yield
        finally:
            for task in (running, flushing):
                task.cancel()
            await asyncio.wait([running, flushing])

    async def _flush(self) -> None:
        while True:
            for _ in self.feed.flush():
                pass
            await asyncio.sleep(0.01)

    def text(self) -> str:
        """Return the whole text that the stream was sent."""
        return b"".join(self._writer._pending).decode()

    def events(self) -> list[str]:
        """Return the data of each event that the stream was sent; a gap is given as its name."""
        blocks = self.text().split("\n\n")[:-1]
        return [
            "gap"
            if "event: barestream.gap" in block
            else block.partition("data: ")[2].splitlines()[0]
            for block in blocks
        ]

    async def gets_from(self, last_event_id: str) -> list[str]:
        """Return the events that a resuming client gets, up to the end of the worker's ring."""
        start = await resumption(self.tail, EVERYTHING_PUBLIC, [last_event_id])
        self._writer = BufferedWriter()
        stream = Stream(self._writer, lambda: 0.0, {})
        with self.feed.follow(stream, start.place, missed=start.missed):
            return self.events()

    async def resumes(self, last_event_id: str) -> tuple[Place | None, bool]:
        """Return the place from which a client resumes, and whether it is sent a gap at once."""
        found = await resumption(self.tail, EVERYTHING_PUBLIC, [last_event_id])
        return found.place, found.missed is not None
