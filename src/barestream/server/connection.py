"""The begin of a connection."""

import asyncio
import logging
from collections import deque
from typing import Any

import httptools
from uvicorn import Config

from barestream.server.connections_state import ConnectionsState
from barestream.server.uvicorn_parts import FlowControl, HttpToolsProtocol

_logger = logging.getLogger("uvicorn.error")
_access_logger = logging.getLogger("uvicorn.access")


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which begins as it does there, but with fewer questions.

    uvicorn looks up the loggers and their handlers for each connection. It also makes a socket
    object, and asks the kernel, for each address, which uvloop knows. Together that took a tenth
    of a connect.
    """

    __slots__ = ()

    def __init__(
        self,
        config: Config,
        server_state: ConnectionsState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_event_loop()
        self.logger = _logger
        self.access_logger = _access_logger
        self.access_log = server_state.has_access_log
        self.parser = httptools.HttpRequestParser(self)
        # So a request whose client asked for a close before is answered.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.ws_protocol_class = config.ws_protocol_class
        self.root_path = config.root_path
        self.asgi_version = config.asgi_version
        self.limit_concurrency = config.limit_concurrency
        self.app_state = app_state
        self.timeout_keep_alive_task = None
        self.timeout_keep_alive = config.timeout_keep_alive
        self.server_state = server_state
        self.connections = server_state.connections
        self.tasks = server_state.tasks
        self.transport: Any = None
        self.flow: Any = None
        self.server = self.client = self.scheme = None
        self.pipeline = deque()
        self.scope: Any = None
        self.headers: Any = None
        self.expect_100_continue = False
        self.cycle: Any = None

    def connection_made(self, transport: Any) -> None:
        """Note the connection and its addresses."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not isinstance(peer, tuple) or not isinstance(own, tuple):
            # A unix socket, or another event loop's.
            super().connection_made(transport)
            return
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server, self.client = own[:2], peer[:2]
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
