"""An application on a real uvicorn in this process, with our protocol or without it."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn
import uvloop

from barestream.server.protocol import Protocol
from barestream.server.server import DrainingServer
from support.clients.publisher import PATH
from support.clients.sse_client import SseClient
from support.servers.service import PATIENCE_SECONDS, wait_for


class Served:
    """A server in a thread of its own.

    Args:
        app: The ASGI application.
        ours: Whether it runs on our server, protocol and loop, or on uvicorn's own.
        slow_seconds: After how long our server cuts a client that takes nothing of an answer.
    """

    def __init__(self, app: Any, *, ours: bool, slow_seconds: float = 30) -> None:
        self.is_ours = ours
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        http: Any = Protocol if ours else "httptools"
        config = uvicorn.Config(
            app, http=http, ws="none", log_config=None, timeout_graceful_shutdown=5
        )
        self._server = DrainingServer(config, slow_seconds) if ours else uvicorn.Server(config)
        # The loop of our workers: it differs in what a closed transport does.
        self._run_loop = uvloop.run if ours else asyncio.run
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()
        return (host, port)

    @property
    def url(self) -> str:
        """The same, for a client of HTTP."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def is_idle(self) -> bool:
        """Whether it has no connection, and answers no request."""
        state = self._server.server_state
        return not state.connections and not state.tasks

    @property
    def is_answering(self) -> bool:
        """Whether it has a request that it has not answered whole."""
        return bool(self._server.server_state.tasks)

    def _run(self) -> None:
        self._run_loop(self._server.serve([self._socket]))

    def __enter__(self) -> "Served":
        self._thread.start()
        wait_for("the server", lambda: self._server.started or not self._thread.is_alive())
        assert self._thread.is_alive()
        return self

    def end(self) -> None:
        """Ask it to stop, as a signal does; it drains first."""
        self._server.should_exit = True

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join(PATIENCE_SECONDS)
        self._socket.close()
        assert not self._thread.is_alive()


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so; fail where it is not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def reading(*clients: SseClient) -> AsyncIterator[None]:
    """Have clients read while the context lasts, which begins when each has its answer's head."""
    running = [asyncio.create_task(client.run()) for client in clients]
    try:
        for client, task in zip(clients, running, strict=True):
            await until(lambda client=client, task=task: client.opened.is_set() or task.done())
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


@asynccontextmanager
async def following(
    target: tuple[str, int] | Path,
    *topics: str,
    headers: dict[str, str] | None = None,
    **query: str,
) -> AsyncIterator[SseClient]:
    """Follow topics of the hub: the context begins with the answer's head, and closes it.

    Args:
        target: As of SseClient.
        topics: Topic selectors.
        headers: Those of the request, beside the usual ones.
        query: What the query has beside the topics.
    """
    parameters = [*(("topic", topic) for topic in topics), *query.items()]
    client = SseClient(target, f"{PATH}?{urlencode(parameters)}", headers or {})
    async with reading(client):
        yield client
