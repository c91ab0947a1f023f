"""The steps of a smoke test."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

import httpx

from barestream.commands import exits
from barestream.commands.hub_options import ChosenHub
from barestream_client.address import PATH
from barestream_client.answers import (
    TURNED_AWAY,
    Answer,
    error_of,
    is_of_type,
    not_a_hub,
)
from barestream_client.events import Event, Ready
from barestream_client.hub import Hub, Subscription
from barestream_client.link import LIMITS, Link, retries
from barestream_client.steps import Open, Read, Request, asking

_Coming = TypeVar("_Coming")

# A live event arrives within milliseconds; after this time a step fails.
_PATIENCE_SECONDS = 5.0

# The end of a stream that is turned away comes at once, and so does an event that comes twice.
_LINGER_SECONDS = 0.2

MORE_RIGHTS = (
    "Give a token that is signed with the service's key and covers the topic: "
    "barestream token --publish 'barestream/smoke/{run}' --subscribe 'barestream/smoke/{run}'"
)
READ_THE_LOG = "Read the service's log: deploy/logs for a VM, make logs on this machine."
_LOOK_FOR_BUFFERS = "Turn off the buffering of answers in each proxy in front of the hub."
_ONE_SERVICE = "Check that the URL leads to one service, with one Valkey."
_KEEP_THE_CURSOR = "Check that no proxy drops the header Last-Event-ID"


class FailedError(Exception):
    """A step that failed; its message is the cause.

    Attributes:
        remedy: What to do.
        code: The exit code.
    """

    def __init__(self, cause: str, remedy: str, code: int = 1) -> None:
        super().__init__(cause)
        self.remedy = remedy
        self.code = code


class Smoke:
    """A smoke test of one hub; an asynchronous context. Each step is a call.

    Args:
        hub: The hub, with the token that publishes; without a token ``delivers`` fails.
        subscriber_token: The token that reads; None for the same.
        unix: A unix socket to connect to in place of the URL's host; None for none.

    Attributes:
        url: The hub's URL.
    """

    def __init__(self, hub: ChosenHub, subscriber_token: str | None, unix: Path | None) -> None:
        self._has_token = bool(hub.token)
        self._reading_token = subscriber_token or hub.token or None
        transport = httpx.AsyncHTTPTransport(uds=str(unix), limits=LIMITS) if unix else None
        self._client = httpx.AsyncClient(limits=LIMITS, transport=transport)
        options = hub.options()
        self._publisher = Hub(**options, client=self._client)
        # What the service is ready for must work at the first try.
        self._reader = Hub(hub.url, self._reading_token, patience_seconds=0, client=self._client)
        self._retries = retries(options["patience_seconds"], options["on_away"])
        self._topic = f"barestream/smoke/{secrets.token_hex(8)}"
        self._first: Event | None = None
        self.url = self._publisher.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def is_ready(self) -> None:
        """Check that the service says that it is ready.

        Raises:
            HubError: It does not, for as long as the hub may be away.
        """
        await Link(self._client, None).run(asking(self._get("/readyz"), {200}, self._retries))

    async def takes_streams(self) -> None:
        """Check that the stream of the hub's page opens, brings something and stays open.

        Raises:
            FailedError: It brings nothing, or ends.
            HubError: It does not open.
        """
        request = self._get("/events")
        link = Link(self._client, None)
        try:
            answer: Answer = await link.outcome(Open(request.by(self._reading_token)))
            if answer.status != 200:
                raise error_of(answer)
            if not is_of_type(answer.headers, "text/event-stream"):
                raise not_a_hub(answer)
            received = await _soon(
                link.outcome(Read()),
                f"{answer.asked} was answered, but nothing came",
                _LOOK_FOR_BUFFERS,
            )
            try:
                async with asyncio.timeout(_LINGER_SECONDS):
                    while received:
                        received = await link.outcome(Read())
            except TimeoutError:
                return
        finally:
            await link.close()
        why = answer.headers.get(TURNED_AWAY, "the stream ended at once")
        raise FailedError(
            f"{answer.asked} was turned away: {why}",
            "The worker may be full or drain, or this address have too many streams "
            f"(BARESTREAM_STREAMS_PER_WORKER, BARESTREAM_STREAMS_PER_ADDRESS). {READ_THE_LOG}",
            exits.AWAY,
        )

    async def delivers(self) -> None:
        """Check that an update comes on a stream that is open.

        Raises:
            FailedError: It does not, or there is no token.
            HubError: It is refused, or the stream is.
        """
        if not self._has_token:
            raise FailedError("no token was given", MORE_RIGHTS, exits.NO_RIGHT)
        async with self._opened() as events:
            published = await self._published("first")
            self._first = await _next(
                events,
                "an open stream",
                published,
                f"Check that the token may subscribe too. {MORE_RIGHTS}\n"
                "Read what the service's log says about Valkey.",
            )

    async def replays(self) -> None:
        """Check that a stream brings what was published since its cursor, each once.

        Raises:
            FailedError: It does not.
            HubError: The update is refused, or the stream is.
        """
        assert self._first is not None  # noqa: S101 (the step before has it)
        published = await self._published("second")
        async with self._reader.subscribe(self._topic, cursor=self._first.id) as events:
            await _next(
                events,
                "a client that comes back",
                published,
                f"{_KEEP_THE_CURSOR}, and check the settings of the history "
                "(BARESTREAM_HISTORY_EVENTS, _BYTES, _SECONDS).",
            )
            try:
                async with asyncio.timeout(_LINGER_SECONDS):
                    further = await anext(events)
            except TimeoutError:
                return
        raise FailedError(
            f"a client that came back got {_shown(further)} after {published}, the last one",
            "Report it as a bug, with the service's log.",
        )

    def _get(self, path: str) -> Request:
        """Return a request for a path of the hub's site."""
        return Request("GET", f"{self.url.removesuffix(PATH)}{path}")

    async def _published(self, data: str) -> str:
        return await self._publisher.publish(self._topic, data, private=True)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Subscription]:
        """Open a stream, and wait until the hub says that it is open."""
        async with self._reader.subscribe(self._topic, ready=True) as events:
            first = await _soon(
                anext(events),
                f"a stream of {self._topic} did not say that it is open",
                _LOOK_FOR_BUFFERS,
            )
            if not isinstance(first, Ready):
                raise FailedError(f"a new stream began with {_shown(first)}", _ONE_SERVICE)
            yield events


async def _soon(coming: Awaitable[_Coming], cause: str, remedy: str) -> _Coming:
    """Return what comes; fail where it does not."""
    try:
        return await asyncio.wait_for(coming, _PATIENCE_SECONDS)
    except TimeoutError:
        raise FailedError(f"{cause} within {_PATIENCE_SECONDS:g} s", remedy) from None


async def _next(events: Subscription, who: str, published: str, remedy: str) -> Event:
    """Return the next event, which is to be the update that was published."""
    cause = f"the update {published} was published, but {who} did not get it"
    event = await _soon(anext(events), cause, remedy)
    if event.own_id != published:
        raise FailedError(
            f"{who} got {_shown(event)}, not {published}", f"{_KEEP_THE_CURSOR}. {_ONE_SERVICE}"
        )
    return event


def _shown(event: Event) -> str:
    return f"{event.id} ({event.type}: {event.data})"
