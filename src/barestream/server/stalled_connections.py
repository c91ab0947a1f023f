"""Cuts connections whose client does not read the bytes that wait for it.

Streams does this for open streams. This module does it for the others: plain answers, streams that
have ended but still have bytes to send, and connections that are closing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from barestream.delivery.stall import Stall
from barestream.server.kernel_queue import untaken_bytes

logger = logging.getLogger(__name__)

# How often the connections are checked. It takes 1 ms for 8,000 of them.
SWEEP_SECONDS = 5.0


class StalledConnections:
    """Checks a server's connections.

    Args:
        connections: uvicorn's set of open connections, each a Protocol of this project.
        slow_seconds: A connection whose client reads nothing for this long is cut.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self, connections: Collection[Any], slow_seconds: float, now: Callable[[], float]
    ) -> None:
        self._connections = connections
        self._slow_seconds = slow_seconds
        self._now = now
        # For each connection how often its transport had drained when the check began, and its
        # Stall. Between two checks a long answer may refill the transport, so that as many bytes
        # wait although the client reads.
        self._stalls: dict[Any, tuple[int, Stall]] = {}

    def sweep(self) -> None:
        """Cut the connections whose client has read nothing for too long."""
        stalls: dict[Any, tuple[int, Stall]] = {}
        now = self._now()
        for connection in tuple(self._connections):
            transport = connection.transport
            pending_bytes = transport.get_write_buffer_size()
            if not pending_bytes or not connection.awaits_client:
                continue
            kernel_bytes = untaken_bytes(transport.get_extra_info("socket").fileno())
            drained, stall = self._stalls.get(connection, (None, None))
            if stall is None or drained != connection.drained:
                stall = Stall(now, pending_bytes, kernel_bytes)
            if stall.seconds(now, pending_bytes, kernel_bytes) < self._slow_seconds:
                stalls[connection] = (connection.drained, stall)
                continue
            logger.info(
                "connection cut: its client reads nothing",
                extra={
                    "client": connection.client[0] if connection.client else "",
                    "pending_bytes": pending_bytes,
                },
            )
            transport.abort()
        self._stalls = stalls

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled."""
        while True:
            await sleep(SWEEP_SECONDS)
            self.sweep()
