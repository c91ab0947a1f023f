"""The connections that something is awaited of, and until when.

Once a second one sweep looks through them. A timer for each cost a connect more, and an open
stream, of which nothing is awaited, is not among them.
"""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class Overdue(Protocol):
    """A connection that something is awaited of."""

    def be_overdue(self) -> None:
        """End the wait: it took too long."""


class Awaited:
    """A second here is a sweep: a process that was stopped for a minute ends nobody's wait."""

    def __init__(self) -> None:
        self._sweeps = 0
        self._due: dict[Overdue, int] = {}

    def __contains__(self, connection: Overdue) -> bool:
        """Return whether something is awaited of it."""
        return connection in self._due

    def begin(self, connection: Overdue, seconds: int) -> None:
        """Await something from now on; a wait under way goes on."""
        if connection not in self._due:
            self.renew(connection, seconds)

    def renew(self, connection: Overdue, seconds: int) -> None:
        """Await something from now on, whatever was awaited before."""
        # The second that runs has begun already.
        self._due[connection] = self._sweeps + seconds + 1

    def end(self, connection: Overdue) -> None:
        """Await nothing of it any more."""
        self._due.pop(connection, None)

    def sweep(self) -> None:
        """Tell those of which something is overdue."""
        self._sweeps += 1
        for connection in [each for each, due in self._due.items() if due <= self._sweeps]:
            self.end(connection)
            try:
                connection.be_overdue()
            except Exception:
                logger.exception("a connection could not be ended")

    async def run(self) -> None:
        """Sweep each second."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
