"""Users of a hub with presence: their tokens, their streams, and who watches them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jwt

from barestream.mercure.authorization_details import DETAIL_TYPE
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE
from support.clients.sse_client import Received, SseClient
from support.servers.served import reading

ROOM = "/rooms/1"

Headers = dict[str, str]


def encoded(text: str) -> str:
    return quote(text, safe="")


PRESENCE_OF_ROOM = f"{PATH}/presence/{encoded(ROOM)}"
OCCUPANCY_OF_ROOM = f"{PATH}/occupancy/{encoded(ROOM)}"


def of_0(sub: str | None = None, *readable: str, payload: Any = None, **claims: Any) -> Headers:
    """Return the headers of a user of Mercure 0.x."""
    mercure = {"subscribe": readable, **({} if payload is None else {"payload": payload})}
    named = {} if sub is None else {"sub": sub}
    return _bearer({"mercure": mercure, **named, **claims}, "JWT")


def of_1(
    sub: str | None = None,
    *readable: str,
    patterns: Iterable[str] = (),
    payload: Any = None,
    **claims: Any,
) -> Headers:
    """Return the headers of a user of Mercure 1.0."""
    topics = [{"match": each} for each in readable]
    topics += [{"match": each, "match_type": "urlpattern"} for each in patterns]
    # A detail has at least one topic.
    detail = {"type": DETAIL_TYPE, "actions": ["subscribe"], "topics": topics or [{"match": "-"}]}
    if payload is not None:
        detail["payload"] = payload
    # Some are made when the tests are collected, and CI takes less than an hour.
    usual = {"iss": ISSUER, "aud": RESOURCE, "exp": time.time() + 3600}
    named = {} if sub is None else {"sub": sub}
    return _bearer({**usual, "authorization_details": [detail], **named, **claims}, "at+jwt")


def _bearer(claims: dict[str, Any], typ: str) -> Headers:
    token = jwt.encode(claims, KEY, "HS256", headers={"typ": typ})
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Watcher:
    """Keeps the members of a topic by the list, and by the events after the list's cursor.

    Attributes:
        url: The hub's.
        address: Where it listens.
        headers: Those of one who may read the presence.
        topic: The topic.
        members: The ids of the members, as far as it knows.
        told: Each event: joined or left, and whose.
    """

    url: str
    address: tuple[str, int]
    headers: Headers
    topic: str = ROOM
    members: set[str] = field(default_factory=set)
    told: list[tuple[str, str]] = field(default_factory=list)
    cursor: str = ""

    @property
    def events(self) -> str:
        """The topic of the events."""
        return f"{PATH}/presence/{encoded(self.topic)}"

    async def read(self) -> dict[str, Any]:
        """Return the list, and know its members."""
        listed = await self.ask()
        self.cursor = listed["cursor"]
        self.members = {member["id"] for member in listed["members"]}
        return listed

    async def ask(self, **query: str) -> dict[str, Any]:
        """Return the list."""
        parameters = urlencode({"topic": self.topic, **query})
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as http:
            answer = await http.get(f"{PATH}/presence?{parameters}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Watcher"]:
        """Read the list, then follow the events after it while the context lasts."""
        await self.read()
        query = urlencode({"topic": self.events, "last_event_id": self.cursor})
        client = SseClient(self.address, f"{PATH}?{query}", self.headers, self._note)
        async with reading(client):
            yield self

    def _note(self, event: Received) -> None:
        assert event.type in {"barestream.joined", "barestream.left"}, event
        data = json.loads(event.data)
        assert data["topic"] == self.topic
        member, kind = data["member"]["id"], event.type.removeprefix("barestream.")
        self.told.append((kind, member))
        if kind == "joined":
            self.members.add(member)
        else:
            self.members.discard(member)


async def until_counts(watcher: Watcher, members: int, subscriptions: int) -> None:
    """Wait until the hub's list has so many."""

    async def is_so() -> bool:
        listed = await watcher.ask(include="counts")
        return (listed["member_count"], listed["subscription_count"]) == (members, subscriptions)

    async with asyncio.timeout(30):
        while not await is_so():
            await asyncio.sleep(0.02)


def stream(
    address: tuple[str, int], headers: Headers, topics: Sequence[str] = (ROOM,), **query: str
) -> SseClient:
    """Return a stream of a user, which has not been asked for yet."""
    pairs = [*(("topic", topic) for topic in topics), *query.items()]
    return SseClient(address, f"{PATH}?{urlencode(pairs)}", headers)


@asynccontextmanager
async def present(address: tuple[str, int], *users: Headers) -> AsyncIterator[list[SseClient]]:
    """Have each of the users have a stream of the room while the context lasts."""
    clients = [stream(address, user) for user in users]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(reading(*clients))
        yield clients
