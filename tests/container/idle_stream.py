"""A stream that lives on heartbeats, and how long the wire was silent."""

import time
from dataclasses import dataclass, field

from support.clients.sse_client import SseClient

IDLE_SECONDS = 300


@dataclass
class IdleStream(SseClient):
    """A client that keeps the moment of each arrival."""

    arrivals: list[float] = field(default_factory=list)

    async def watch(self) -> "IdleStream":
        """Read for five minutes; ``clean`` is None afterwards where the stream is still open."""
        await self.run(IDLE_SECONDS)
        self.arrivals.append(time.monotonic())
        return self

    def _feed(self, body: bytes) -> None:
        self.arrivals.append(time.monotonic())
        super()._feed(body)
