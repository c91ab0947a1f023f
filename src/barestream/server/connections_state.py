"""What a server and all its connections share."""

import time

from barestream.server.awaited import Awaited
from barestream.server.notices import Notices
from barestream.server.uvicorn_parts import ServerState


class ConnectionsState(ServerState):
    """The state that the server and all its connections share.

    Attributes:
        draining: Whether the server stops.
        most_connections: How many may be open; None for as many as the kernel allows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.draining = False
        self.most_connections: int | None = None
        self.awaited = Awaited()
        self.notices = Notices(time.monotonic)
