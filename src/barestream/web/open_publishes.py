"""The open streamed publishes of one worker, their pace, and their end when it stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class OpenPublishes:
    """Counts the streamed publishes, and asks them to end.

    Args:
        metrics: Where they are counted.
        pace: Waits a moment if the worker's streams are behind; returns whether they were.

    Attributes:
        pace: The same.
        draining: Whether the worker stops.
    """

    def __init__(self, metrics: Metrics, pace: Callable[[], Awaitable[bool]]) -> None:
        self._metrics = metrics
        self.pace = pace
        self._ends: dict[asyncio.Future[None], TokenId | None] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._ends)

    @contextmanager
    def opened(self, token: TokenId | None = None) -> Iterator[asyncio.Future[None]]:
        """Count one while the context lasts, with a future that is done once it is to end.

        Args:
            token: The token of its request.
        """
        end = asyncio.get_running_loop().create_future()
        if self.draining:
            end.set_result(None)
        self._ends[end] = token
        self._metrics.streamed_publishes.set(len(self))
        try:
            yield end
        finally:
            del self._ends[end]
            self._metrics.streamed_publishes.set(len(self))

    def end(self) -> None:
        """Ask those that are open to end."""
        for end in self._ends:
            _ask(end)

    async def end_revoked(self, is_revoked: Callable[[TokenId], bool]) -> None:
        """Ask those of revoked tokens to end."""
        for end, token in self._ends.items():
            if token is not None and is_revoked(token):
                _ask(end)

    async def drain(self, *, quick: bool = False) -> None:  # noqa: ARG002 (a Drain's)
        """Have each answered at once; the server waits for the answers."""
        if self._ends and not self.draining:
            logger.info("ending the streamed publishes", extra={"publishes": len(self)})
        self.draining = True
        self.end()


def _ask(end: asyncio.Future[None]) -> None:
    if not end.done():
        end.set_result(None)
