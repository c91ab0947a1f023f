"""The state that a server and all its connections share."""

import logging
import time

from barestream.server.awaited import Awaited
from barestream.server.notices import Notices
from barestream.server.uvicorn_parts import ServerState


class ConnectionsState(ServerState):
    """uvicorn's shared state, with limits on connections.

    Attributes:
        draining: Whether the server is stopping.
        most_connections: How many may be open; None for as many as the kernel allows.
        has_access_log: Whether somebody reads the log of requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self.draining = False
        self.most_connections: int | None = None
        self.has_access_log = logging.getLogger("uvicorn.access").hasHandlers()
        self.awaited = Awaited()
        self.notices = Notices(time.monotonic)
