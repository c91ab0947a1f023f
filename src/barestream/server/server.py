"""uvicorn's server, which drains when it stops, so that no accepted request is lost."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

from uvicorn import Config

from barestream.asgi.contract import ON_DRAIN, SLOT, Drain
from barestream.delivery.writer import nothing
from barestream.server.connections_state import ConnectionsState
from barestream.server.protocol import Protocol
from barestream.server.stalled_connections import StalledConnections
from barestream.server.uvicorn_parts import Server

logger = logging.getLogger(__name__)

# How long a stopping worker waits for the request of an accepted connection: a proxy sends its
# request right after it has connected.
ACCEPTED_GRACE_SECONDS = 0.5

# How long the requests that are still being answered may then take.
REQUEST_GRACE_SECONDS = 3

# How soon a drain notices a QUIT. Gunicorn kills its workers two seconds after a QUIT.
HURRY_POLL_SECONDS = 0.1

# A TCP client that has vanished acknowledges nothing; by default the kernel tries for 16 minutes.
# After the heartbeat, by default 15 s, this makes two minutes at most. The kernel also applies it
# to a live client that reads nothing, so it is never below slow_seconds.
VANISHED_SECONDS = 100.0

# How soon a silent connection is probed, and again: the same as in this project's nginx, together
# with the limit above.
PROBE_SECONDS = 20

# The arbiter looks once a second.
BEAT_SECONDS = 1.0


class DrainingServer(Server):
    """Drains on TERM, and ends at once on INT and QUIT.

    An application takes part in the drain with a coroutine function that it appends to the list
    "barestream.on_drain" in its lifespan state.

    Args:
        config: uvicorn's configuration.
        slow_seconds: A client that reads nothing of an answer for this long is cut.
        beat: Called each second from the start to the end, by the event loop's clock, so that a
            supervisor sees that the server is alive.
        on_leave: Called when the server begins to stop.

    Attributes:
        slot: The number of the worker's slot, for the application.
    """

    def __init__(
        self,
        config: Config,
        slow_seconds: float,
        beat: Callable[[], None] = nothing,
        on_leave: Callable[[], None] = nothing,
    ) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = REQUEST_GRACE_SECONDS
        self.server_state: ConnectionsState = ConnectionsState()
        self._beat = beat
        self._on_leave = on_leave
        self.slot = 0
        self._slow_seconds = slow_seconds
        self._stalled = StalledConnections(
            self.server_state.connections, slow_seconds, time.monotonic
        )
        self._sweeping: list[asyncio.Task[None]] = []
        self._drains: list[Drain] = []
        self._quick = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Run from the start to the end, and beat."""
        beating = asyncio.create_task(self._keep_beating())
        try:
            await super().serve(sockets)
        finally:
            beating.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, with the list of drains and the slot in its lifespan state."""
        self.lifespan.state[ON_DRAIN] = self._drains
        self.lifespan.state[SLOT] = self.slot
        vanished_seconds = max(VANISHED_SECONDS, self._slow_seconds)
        for listener in sockets or ():
            if listener.family != socket.AF_UNIX:
                # Accepted connections inherit it from the listener.
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(vanished_seconds * 1000)
                )
                # Nothing is sent to a publisher while its body comes, so only probes notice that it
                # has vanished.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_SECONDS)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
        await super().startup(sockets)
        self._sweeping = [
            asyncio.create_task(self._stalled.run()),
            asyncio.create_task(self.server_state.awaited.run()),
        ]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's)
        """Begin to stop. The signal is not raised again at the end: the exit code is 0."""
        self.should_exit = True
        self._quick = self._quick or sig != signal.SIGTERM

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Accept no more, serve what was accepted, end the streams, then close the rest."""
        self.server_state.draining = True
        for server in self.servers:
            server.close()
        self._on_leave()
        await self._drain()
        if not self._quick:
            await self._await_accepted()
        await super().shutdown()
        for task in self._sweeping:
            task.cancel()

    async def _drain(self) -> None:
        paced = asyncio.gather(*(drain(quick=False) for drain in self._drains))
        while not paced.done() and not self._quick:
            await asyncio.wait([paced], timeout=HURRY_POLL_SECONDS)
        if not paced.done():
            # INT or QUIT came, perhaps during the drain.
            paced.cancel()
            await asyncio.gather(*(drain(quick=True) for drain in self._drains))
        with contextlib.suppress(asyncio.CancelledError):
            await paced

    async def _await_accepted(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ACCEPTED_GRACE_SECONDS
        while loop.time() < deadline and self._is_one_awaited():
            await asyncio.sleep(0.01)

    def _is_one_awaited(self) -> bool:
        return any(
            isinstance(connection, Protocol) and connection.is_awaited
            for connection in self.server_state.connections
        )

    async def _keep_beating(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_SECONDS)
