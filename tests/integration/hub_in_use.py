"""A hub with the state of topics, its publisher, and clients that ask for that state."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import httpx

from barestream.app import create_app
from barestream.history.record import BEGIN, Place
from barestream.settings.settings import Settings
from support.clients.publisher import (
    ISSUER,
    KEY,
    PATH,
    RESOURCE,
    access_token,
    token,
)
from support.clients.sse_client import Received, SseClient
from support.servers.served import Served, reading, until
from support.servers.service import PATIENCE_SECONDS, wait_for
from support.servers.valkey_server import ValkeyServer

READY, GAP, HEARTBEAT = "barestream.ready", "barestream.gap", "barestream.heartbeat"
JSON = {"Accept": "application/json"}

Pairs = Sequence[tuple[str, str]]
Result = TypeVar("Result")


def bearing(*readable: str) -> dict[str, str]:
    """Return the headers of a client whose token covers some topics."""
    return {"Authorization": f"Bearer {token(subscribe=readable)}"}


def bearing_1(*readable: str) -> dict[str, str]:
    """Return the same for a client of Mercure 1.0."""
    return {"Authorization": f"Bearer {access_token(*readable)}"}


class Hub:
    """A served hub, and a publisher's connection to it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.url = served.url
        self.http = httpx.Client(base_url=served.url, timeout=PATIENCE_SECONDS)
        self._last = BEGIN
        self.publishing = {"Authorization": f"Bearer {token()}"}

    def __enter__(self) -> Self:
        wait_for("the hub", lambda: self.http.get("/readyz").status_code == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def publish(self, data: str, *topics: str, **fields: str) -> str:
        """Publish an update, without a topic to the first letter of its data; return its id."""
        form = {"topic": list(topics or data[:1]), "data": data, **fields}
        answer = self.http.post(PATH, data=form, headers=self.publishing)
        assert answer.status_code == 200, answer.text
        self.note(answer.text)
        return answer.text

    def publish_all(self, *updates: dict[str, Any]) -> list[str]:
        """Publish updates in one step; return their ids."""
        answer = self.http.post(PATH, json=updates, headers=self.publishing)
        assert answer.status_code == 200, answer.text
        ids: list[str] = answer.json()["ids"]
        self.note(ids[-1])
        return ids

    def note(self, event_id: str) -> None:
        """Have later reads wait until the worker has read an update."""
        if event_id.startswith("#"):
            self._last = Place.parse(event_id)

    def settle(self) -> None:
        """Wait until the worker has read what was published; it does so a moment later."""
        wait_for("the worker", lambda: Place.parse(self.cursor) >= self._last)

    def ask(self, pairs: Pairs, method: str = "GET", **headers: str) -> httpx.Response:
        """Return the answer to a request for topics, which must end."""
        self.settle()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, f"{PATH}?{urlencode(pairs)}", headers=sent)

    def read(self, pairs: Pairs, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the answer of a read that ends."""
        self.settle()
        answer = self.http.get(f"{PATH}?{urlencode(pairs)}", headers={**JSON, **(headers or {})})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    @property
    def cursor(self) -> str:
        """The newest cursor that the worker knows."""
        return self.http.head(f"{PATH}?topic=any", headers=self.publishing).headers["last-event-id"]

    def client(
        self, pairs: Pairs, seen: str | None = None, headers: dict[str, str] | None = None
    ) -> SseClient:
        """Return a client of a stream, which has not asked for it yet.

        Args:
            pairs: The request's parameters.
            seen: The id that it comes back with, as an EventSource does.
            headers: Those of the request beside the usual ones.
        """
        self.settle()
        sent = {**(headers or {}), **({} if seen is None else {"Last-Event-ID": seen})}
        return SseClient(self.served.address, f"{PATH}?{urlencode(pairs)}", sent)


@dataclass
class Visit:
    """What a stream was sent until its replay was over, or until it ended.

    Attributes:
        events: The events but for the one that says so.
        empty: The topics that had nothing; None if it did not say so.
        status: The status of the answer.
    """

    events: list[Received]
    empty: list[str] | None
    status: int

    @property
    def sent(self) -> list[str]:
        """The data of each event; a gap as its bounds."""
        return told(self.events)

    @property
    def ids(self) -> list[str]:
        """The id of each event."""
        return [event.id or "" for event in self.events]


def told(events: Sequence[Received]) -> list[str]:
    """Return the data of events; a gap as its bounds."""
    return [_told(event) for event in events]


def _told(event: Received) -> str:
    if event.type != GAP:
        return event.data
    gap = json.loads(event.data)
    return f"gap {gap['from']} {gap['to']}"


def visit(
    hub: Hub,
    pairs: Pairs,
    seen: str | None = None,
    headers: dict[str, str] | None = None,
    *,
    ends: bool = False,
) -> Visit:
    """Open a stream, and leave once its replay is over; or wait for the stream's own end."""
    return asyncio.run(visiting(hub, pairs, seen, headers, ends=ends))


async def visiting(
    hub: Hub,
    pairs: Pairs,
    seen: str | None = None,
    headers: dict[str, str] | None = None,
    *,
    ends: bool = False,
) -> Visit:
    """Do the same beside other work."""
    client = hub.client([*pairs, ("include", "ready")], seen, headers)
    async with reading(client):
        # An answer of 204 has no body that could end.
        await until(
            lambda: (
                client.status != 200
                or client.clean is not None
                or (not ends and _ready(client.events))
            )
        )
    assert client.clean is not False
    ready = _ready(client.events)
    events = [event for event in client.events if event.type != READY]
    return Visit(events, json.loads(ready.data)["empty"] if ready else None, client.status)


def _ready(events: Sequence[Received]) -> Received | None:
    return next((event for event in events if event.type == READY), None)


def live(
    hub: Hub,
    pairs: Pairs,
    act: Callable[[SseClient], Coroutine[Any, Any, Result]],
    seen: str | None = None,
    headers: dict[str, str] | None = None,
) -> Result:
    """Do something while a client reads a stream whose replay is over."""

    async def main() -> Result:
        client = hub.client([*pairs, ("include", "ready")], seen, headers)
        async with reading(client):
            await until(lambda: _ready(client.events))
            return await act(client)

    return asyncio.run(main())


# Serves a hub with an empty history; settings as keyword arguments.
Serving = Callable[..., AbstractContextManager[Hub]]


@contextmanager
def serve(kind: str, valkey: ValkeyServer | None, **settings: Any) -> Iterator[Hub]:
    """Serve a hub that speaks both versions, with an empty history.

    Args:
        kind: Whether our server answers (direct), or another one (asgi).
        valkey: Keeps the history; None for the worker's memory.
        settings: Further settings.
    """
    if valkey is not None:
        valkey.ask("FLUSHALL")
        settings |= {"broker_url": valkey.url, "broker_password": valkey.password}
    settings = {"issuer": ISSUER, "resource_identifier": RESOURCE, "drain_seconds": 0} | settings
    with (
        Served(create_app(Settings(token_key=KEY, **settings)), ours=kind != "asgi") as served,
        Hub(served) as hub,
    ):
        yield hub
