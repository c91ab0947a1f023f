"""The connections from which something must come, and until when.

One sweep a second looks through them, because a timer for each would make a connect dearer. Nothing
is awaited from an open stream, so streams are not among them.
"""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class Overdue(Protocol):
    """A connection from which something must come."""

    def be_overdue(self) -> None:
        """End the wait: it took too long."""


class Awaited:
    """Counts seconds by its sweeps: after a pause of the whole process no connection is overdue."""

    def __init__(self) -> None:
        self._sweeps = 0
        self._due: dict[Overdue, int] = {}

    def __contains__(self, connection: Overdue) -> bool:
        """Return whether something must come from it."""
        return connection in self._due

    def begin(self, connection: Overdue, seconds: int) -> None:
        """Await something from the connection; a wait that is under way goes on."""
        if connection not in self._due:
            self.renew(connection, seconds)

    def renew(self, connection: Overdue, seconds: int) -> None:
        """Await something from the connection, and forget an earlier wait."""
        # The current second has begun already.
        self._due[connection] = self._sweeps + seconds + 1

    def end(self, connection: Overdue) -> None:
        """Await nothing from the connection."""
        self._due.pop(connection, None)

    def sweep(self) -> None:
        """Tell the connections whose time is over."""
        self._sweeps += 1
        for connection in [each for each, due in self._due.items() if due <= self._sweeps]:
            self.end(connection)
            try:
                connection.be_overdue()
            except Exception:
                logger.exception("ending an overdue connection failed")

    async def run(self) -> None:
        """Sweep each second."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
