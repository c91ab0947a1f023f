"""Keeps who is there, by the lists of the hub and by the events after their cursors."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from drill.tab import token_of
from support.clients.event_parser import ParsedEvent
from support.clients.event_source import EventSource
from support.clients.publisher import PATH

# A topic, and the name of a user who follows it.
Seat = tuple[str, str]

_PRESENCE = "barestream."


class Hub:
    """The lists of a hub, for one who may read them all.

    Args:
        url: Where nginx listens.
    """

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {token_of('the watcher')}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)

    async def __aenter__(self) -> "Hub":
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def presence(self, topic: str, **query: str) -> dict[str, Any] | None:
        """Return the members of a topic, or None while the hub cannot tell."""
        return await self._get(f"{PATH}/presence?{urlencode({'topic': topic, **query})}")

    async def subscriptions(self) -> dict[str, Any] | None:
        """Return all subscriptions, or None while the hub cannot tell."""
        return await self._get(f"{PATH}/subscriptions")

    async def subscriptions_of(self, topic: str) -> dict[str, Any] | None:
        """Return the subscriptions to a topic, or None while the hub cannot tell."""
        return await self._get(f"{PATH}/subscriptions/{quote(topic, safe='')}")

    async def _get(self, target: str) -> dict[str, Any] | None:
        try:
            answer = await self._http.get(target)
        except httpx.TransportError:
            return None
        if answer.status_code in {502, 503, 504}:
            return None
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


class _Watcher(EventSource):
    """Follows events from the cursor of a list on."""

    def __init__(self, address: tuple[str, int], topic: str, cursor: str) -> None:
        query = {"topic": topic, "authorization": token_of("the watcher"), "lastEventID": cursor}
        super().__init__(address, f"{PATH}?{urlencode(query)}", cursor)


class MemberWatcher(_Watcher):
    """Keeps the members of topics.

    Args:
        address: Where nginx listens.
        cursor: Of a list without members.
        there: Who follows which topic by their own will at the moment.

    Attributes:
        seats: The members of all topics, as far as it was told.
        told: How often it was told what (joined, left) of each topic.
        left: Who was told as left, and rightly.
        left_though_there: Who was told as left, and was there.
    """

    def __init__(self, address: tuple[str, int], cursor: str, there: set[Seat]) -> None:
        super().__init__(address, f"{PATH}/presence/{{topic}}", cursor)
        self.seats: set[Seat] = set()
        self.told: Counter[tuple[str, str]] = Counter()
        self.left: list[Seat] = []
        self.left_though_there: list[Seat] = []
        self._there = there

    def members(self, topic: str) -> set[str]:
        """Return the members of a topic."""
        return {name for of, name in self.seats if of == topic}

    def _dispatch(self, event: ParsedEvent) -> None:
        kind = event.type.removeprefix(_PRESENCE)
        if kind not in {"joined", "left"}:
            super()._dispatch(event)
            return
        data = json.loads(event.data)
        seat = data["topic"], data["member"]["id"]
        self.told[kind, seat[0]] += 1
        if kind == "joined":
            self.seats.add(seat)
            return
        self.seats.discard(seat)
        (self.left_though_there if seat in self._there else self.left).append(seat)


class SubscriptionWatcher(_Watcher):
    """Keeps the subscriptions by the events of the subscription API of 0.x.

    Args:
        address: Where nginx listens.
        cursor: Of a list without subscriptions of the drill.
        there: Who follows which topic by their own will at the moment.

    Attributes:
        ids_by_seat: The ids of the subscriptions of each seat.
        told: How often it was told what (began, ended) of each topic.
        blinks: Who had no subscription for a while, and was there.
    """

    def __init__(self, address: tuple[str, int], cursor: str, there: set[Seat]) -> None:
        super().__init__(address, f"{PATH}/subscriptions/{{topic}}/{{subscriber}}", cursor)
        self.ids_by_seat: defaultdict[Seat, set[str]] = defaultdict(set)
        self.told: Counter[tuple[str, str]] = Counter()
        self.blinks: list[Seat] = []
        self._there = there

    def ids(self, topic: str) -> set[str]:
        """Return the ids of the subscriptions to a topic."""
        return set().union(*(ids for seat, ids in self.ids_by_seat.items() if seat[0] == topic))

    def _take(self, data: str) -> None:
        told = json.loads(data)
        seat = seat_of(told)
        if seat is None:
            return
        ids, is_active = self.ids_by_seat[seat], told["active"]
        self.told["began" if is_active else "ended", seat[0]] += 1
        if is_active:
            ids.add(told["id"])
            return
        was_there = bool(ids)
        ids.discard(told["id"])
        if was_there and not ids and seat in self._there:
            self.blinks.append(seat)


def seat_of(subscription: dict[str, Any]) -> Seat | None:
    """Return whose a subscription of 0.x is; None for those of the watchers themselves."""
    topic = subscription["topic"]
    return None if topic.startswith(PATH) else (topic, subscription["payload"]["name"])


def ids_of(listed: dict[str, Any], topics: Iterable[str]) -> set[str]:
    """Return the ids of the subscriptions to some topics in a list of 0.x."""
    wanted = set(topics)
    return {each["id"] for each in listed["subscriptions"] if each["topic"] in wanted}
