"""The open streams of one worker: heartbeats, the cut of stalled clients, the drain."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass

from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.time_slices import Slices
from barestream.mercure.sse import Frame, retry
from barestream.mercure.time_budget import Budget
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

# How long the last bytes of a drained stream may take before it is cut. A client that reads needs
# one round trip; one that does not read would keep the worker from ending until it is killed.
FLUSH_SECONDS = 1.0

# How often the streams are checked for silence and stalls: a heartbeat may be late by this much.
SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits and times of streams.

    Attributes:
        heartbeat_seconds: A stream that was silent for this long is sent a heartbeat.
        slow_seconds: A client that reads nothing for this long is cut.
        drain_seconds: The time over which a drain ends all streams, evenly.
        retry_ms: The mean of the reconnection delays that are sent to clients.
        most_streams: How many may be open; further ones are turned away.
    """

    heartbeat_seconds: float = 15
    slow_seconds: float = 30
    drain_seconds: float = 1
    retry_ms: int = 2000
    most_streams: int = 8000


class Streams:
    """All open streams of a worker, of every source.

    Args:
        limits: Limits and times of the streams.
        now: A monotonic clock, in seconds.
        metrics: Where the streams are counted.
        slices: The slices of long work.
        uniform: Returns a random number between two others.

    Attributes:
        slices: The slices of long work for many streams.
    """

    def __init__(
        self,
        limits: StreamLimits,
        now: Callable[[], float],
        metrics: Metrics,
        slices: Slices,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.now = now
        self.draining = False
        self._limits = limits
        self._metrics = metrics
        metrics.worker.most_streams.set(limits.most_streams)
        # Prometheus sees no increase in the first value of a figure, so each of them begins at 0.
        for reason in EndReason:
            metrics.ended.labels(reason)
        self.slices = slices
        self._uniform = uniform
        # A dict keeps the order of insertion, so a drain ends the oldest stream first.
        self._streams: dict[Stream, None] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, stream: Stream) -> None:
        """Add a stream; if it is one too many, or during a drain, turn it away at once."""
        self._streams[stream] = None
        self._metrics.streams.set(len(self))
        if self.draining:
            self.turn_away(stream, EndReason.DRAINED)
        elif len(self) > self._limits.most_streams:
            self.turn_away(stream, EndReason.FULL)
        else:
            stream.write(self.retry())

    @property
    def refusal(self) -> EndReason | None:
        """Why another stream would be turned away; None if it would not."""
        if self.draining:
            return EndReason.DRAINED
        return EndReason.FULL if len(self) >= self._limits.most_streams else None

    def turn_away(self, stream: Stream, reason: EndReason, least_ms: int = 0) -> None:
        """End a stream so that its client comes back, a little later.

        Args:
            stream: The stream.
            reason: Why it ends.
            least_ms: Added to the reconnection delay that its client is sent.
        """
        stream.end(reason, self.retry(least_ms))

    def close(self, stream: Stream) -> None:
        """Remove a stream that is over, and log it."""
        del self._streams[stream]
        reason = stream.end_reason or EndReason.CLIENT_LEFT
        self._metrics.streams.set(len(self))
        self._metrics.ended.labels(reason).inc()
        logger.info(
            "stream ended",
            extra={
                **stream.labels,
                "seconds": round(self.now() - stream.opened_at, 3),
                "events": stream.sent_events,
                "bytes": stream.sent_bytes,
                "reason": reason,
            },
        )

    def retry(self, least_ms: int = 0) -> Frame:
        """Return a random reconnection delay, so that clients do not return all at once."""
        mean_ms = self._limits.retry_ms
        return retry(least_ms + round(self._uniform(0.5 * mean_ms, 1.5 * mean_ms)))

    def sweep(self, budget: Budget) -> Generator[None, None, None]:
        """Send heartbeats to silent streams, and cut the clients that read nothing, in slices."""
        silent_since = self.now() - self._limits.heartbeat_seconds
        paused = 0
        for stream in tuple(self._streams):
            if budget.is_over():
                yield
            paused += stream.paused
            if stream.stalled_seconds() >= self._limits.slow_seconds:
                stream.abort(EndReason.TOO_SLOW)
            elif stream.written_at <= silent_since and not stream.has_waiting_bytes:
                # While bytes wait for the client, a heartbeat would not reach it sooner.
                stream.write(stream.heartbeat())
        self._metrics.paused.set(paused)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled."""
        while True:
            await sleep(SWEEP_SECONDS)
            await self.slices.work(self.sweep(self.slices))

    async def drain(
        self, *, quick: bool = False, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """End every stream, evenly over the drain's seconds, and wait until they are gone.

        Args:
            quick: End them all at once.
            sleep: Waits for so many seconds.
        """
        self.draining = True
        self._metrics.draining.set(1)
        logger.info("the worker stops: ending its streams", extra={"streams": len(self)})
        async for stream in self._in_turn(0 if quick else self._limits.drain_seconds, sleep):
            self.turn_away(stream, EndReason.DRAINED)
        cut_at = self.now() + FLUSH_SECONDS
        while self._streams and self.now() < cut_at:
            await sleep(0.01)
        for stream in tuple(self._streams):
            stream.abort(EndReason.DRAINED)
            await self.slices.step()

    async def end_streams(
        self,
        seconds: float,
        least_ms: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """End the open streams, evenly over so many seconds; new ones are accepted meanwhile.

        If a drain begins meanwhile, it ends the remaining streams over its own time.

        Args:
            seconds: The time.
            least_ms: The shortest time until a client is to come back.
            sleep: Waits for so many seconds.
        """
        logger.info("nginx stops: ending its streams", extra={"streams": len(self)})
        async for stream in self._in_turn(seconds, sleep):
            if self.draining:
                return
            self.turn_away(stream, EndReason.NGINX_STOPPED, least_ms)

    async def end_revoked(self, is_revoked: Callable[[TokenId], bool]) -> None:
        """End the streams of revoked tokens; their clients come back, and are refused."""
        for stream in tuple(self._streams):
            if stream.token is not None and is_revoked(stream.token):
                # A client that reads slowly, or not at all, would put off a clean end.
                (stream.abort if stream.paused else stream.end)(EndReason.REVOKED)
            await self.slices.step()

    async def _in_turn(
        self, seconds: float, sleep: Callable[[float], Awaitable[None]]
    ) -> AsyncIterator[Stream]:
        """Yield each stream that is open now when its turn comes, evenly over the seconds."""
        streams = tuple(self._streams)
        started_at = self.now()
        for nth, stream in enumerate(streams):
            early_seconds = started_at + nth * seconds / len(streams) - self.now()
            if early_seconds > 0:
                await sleep(early_seconds)
            await self.slices.step()
            yield stream
