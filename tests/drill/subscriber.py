"""A client that connects and leaves, and reconnects as EventSource does."""

import asyncio
import random
import time
from array import array
from dataclasses import dataclass
from urllib.parse import urlencode

from drill.publishing import TOPICS
from support.clients.event_source import EventSource, request
from support.clients.publisher import PATH

AWAY_MEAN_SECONDS = 2
AWAY_MOST_SECONDS = 10


@dataclass(frozen=True)
class Habits:
    """How a subscriber asks.

    Attributes:
        topics: What it follows, as indexes of TOPICS; all of them where empty.
        templates: Whether it names each of them by a URI template.
        heartbeat_events: Whether it asks for heartbeats that move its cursor.
        by_query: Whether it names its last event in the query alone.
        arrives_seconds: When it comes first.
        stays_seconds: For how long it stays, on average.
    """

    topics: tuple[int, ...] = ()
    templates: tuple[bool, ...] = ()
    heartbeat_events: bool = False
    by_query: bool = False
    arrives_seconds: float = 0
    stays_seconds: float = 10

    def selectors(self) -> list[str]:
        """Return what it names in its query."""
        if not self.topics:
            return ["*"]
        return [
            TOPICS[topic].replace("/rooms/", "/{kind}/") if template else TOPICS[topic]
            for topic, template in zip(self.topics, self.templates, strict=True)
        ]


class Subscriber(EventSource):
    """Follows its topics, with stays and absences, until cancelled.

    Args:
        address: Where nginx listens.
        habits: How it asks.
        cursor: The id from which it is owed everything.
        seed: Of its stays and absences.
        finishing: Once set it comes back, and stays.

    Attributes:
        away: Whether it is away because it wants to.
        returns: How often its stream ended without its wanting to.
        heard_at: When each event came, of time.monotonic.
    """

    def __init__(
        self,
        address: tuple[str, int],
        habits: Habits,
        cursor: str,
        seed: str,
        finishing: asyncio.Event,
    ) -> None:
        super().__init__(address, PATH, cursor)
        self.habits = habits
        self.returns = 0
        self.heard_at = array("d")
        self.away = True
        self._rng = random.Random(seed)
        self._finishing = finishing

    async def run(self) -> None:
        """Connect, stay a while, leave, and connect again."""
        await self._stay_away(self.habits.arrives_seconds)
        while True:
            stay_seconds = self._rng.expovariate(1 / self.habits.stays_seconds)
            leaves_politely = self._rng.random() < 0.5
            try:
                async with asyncio.timeout(None if self._finishing.is_set() else stay_seconds):
                    while True:
                        await self._visit(leaves_politely=leaves_politely)
                        self.returns += 1
                        await asyncio.sleep(self._retry_seconds)
            except TimeoutError:
                absence_seconds = self._rng.expovariate(1 / AWAY_MEAN_SECONDS)
                await self._stay_away(min(absence_seconds, AWAY_MOST_SECONDS))

    def longest_silence_seconds(self) -> float:
        """Return the longest time without an event since the last call, absences left out."""
        if self.away:
            # It has not listened since.
            self._heard_at = time.monotonic()
        return super().longest_silence_seconds()

    def _take(self, data: str) -> None:
        super()._take(data)
        self.heard_at.append(time.monotonic())

    async def _stay_away(self, seconds: float) -> None:
        self.away = True
        try:
            async with asyncio.timeout(seconds):
                await self._finishing.wait()
        except TimeoutError:
            pass
        self.away = False
        self._heard_at = time.monotonic()

    def _request(self) -> bytes:
        query = [("topic", selector) for selector in self.habits.selectors()]
        if self.habits.heartbeat_events:
            query.append(("heartbeat", "event"))
        # The page that makes its own EventSource has the id in the URL.
        in_query = self.cursor if self.habits.by_query else self._begin
        query.append(("lastEventID", in_query))
        in_header = "" if self.cursor == in_query else self.cursor
        return request(f"{self._target}?{urlencode(query)}", in_header)
