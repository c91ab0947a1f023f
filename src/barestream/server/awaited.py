"""The connections from which bytes must come, each with a deadline.

One sweep a second checks them, because a timer for each would make a connect slower. No bytes are
awaited from an open stream, so streams are not among them.
"""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class Overdue(Protocol):
    """A connection from which bytes must come."""

    def be_overdue(self) -> None:
        """End the wait: it took too long."""


class Awaited:
    """Counts its sweeps as seconds, so a pause of the whole process makes no connection overdue."""

    def __init__(self) -> None:
        self._sweeps = 0
        self._due: dict[Overdue, int] = {}

    def __contains__(self, connection: Overdue) -> bool:
        """Return whether bytes must come from it."""
        return connection in self._due

    def begin(self, connection: Overdue, seconds: int) -> None:
        """Await bytes from the connection; a wait that is under way continues."""
        if connection not in self._due:
            self.renew(connection, seconds)

    def renew(self, connection: Overdue, seconds: int) -> None:
        """Await bytes from the connection, and drop an earlier wait."""
        # The current second has begun already.
        self._due[connection] = self._sweeps + seconds + 1

    def end(self, connection: Overdue) -> None:
        """Await no bytes from the connection."""
        self._due.pop(connection, None)

    def sweep(self) -> None:
        """Call be_overdue on each connection whose time is over."""
        self._sweeps += 1
        for connection in [each for each, due in self._due.items() if due <= self._sweeps]:
            self.end(connection)
            try:
                connection.be_overdue()
            except Exception:
                logger.exception("closing a connection that had timed out failed")

    async def run(self) -> None:
        """Sweep each second."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
