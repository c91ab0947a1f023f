"""A tab of a user with a token: it comes back as an EventSource does, until it is refused."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlencode

import jwt

from support.clients.event_source import EventSource
from support.clients.publisher import KEY, PATH


def token_of(name: str, *, issued_at: float | None = None) -> str:
    """Return a user's token of 0.x for all topics, with its name as sub and in the payload."""
    issued = {} if issued_at is None else {"iat": issued_at}
    mercure = {"publish": ["*"], "subscribe": ["*"], "payload": {"name": name}}
    return jwt.encode({"mercure": mercure, "sub": name, **issued}, KEY, "HS256")


class Tab(EventSource):
    """Follows topics as a user, until closed or refused.

    Args:
        address: Where nginx listens.
        name: The user's.
        topics: What it follows.
        token: The user's.
        leaves_politely: Whether it closes its connection, or breaks it.

    Attributes:
        heard: The data of all updates.
        refused_at: When it was refused, of time.monotonic; None if it was not.
    """

    def __init__(
        self,
        address: tuple[str, int],
        name: str,
        topics: Sequence[str],
        token: str,
        *,
        leaves_politely: bool = True,
    ) -> None:
        query = urlencode([*(("topic", topic) for topic in topics), ("authorization", token)])
        super().__init__(address, f"{PATH}?{query}", "")
        self.name = name
        self.topics = topics
        self.heard: set[str] = set()
        self.refused_at: float | None = None
        self._leaves_politely = leaves_politely

    async def run(self) -> None:
        """Follow the topics, and reconnect after each end, until refused."""
        while not self.closed:
            await self._visit(leaves_politely=self._leaves_politely)
            if not self.closed:
                await asyncio.sleep(self._retry_seconds)
        self.refused_at = time.monotonic()

    def _take(self, data: str) -> None:
        self.heard.add(data)
