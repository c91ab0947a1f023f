"""An application on a real uvicorn in this process, with our protocol or without it."""

import asyncio
import socket
import threading
from typing import Any

import uvicorn

from barestream.server.protocol import Protocol
from barestream.server.server import DrainingServer


class Served:
    """A server in a thread of its own.

    Args:
        app: The ASGI application.
        ours: Whether it runs on our server and protocol, or on uvicorn's own.
    """

    def __init__(self, app: Any, *, ours: bool) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        http: Any = Protocol if ours else "httptools"
        config = uvicorn.Config(
            app, http=http, ws="none", log_config=None, timeout_graceful_shutdown=5
        )
        self._server = DrainingServer(config, lambda: None) if ours else uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()
        return (host, port)

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    def __enter__(self) -> "Served":
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
        assert not self._thread.is_alive()
