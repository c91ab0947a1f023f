"""The command ``barestream smoke``."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click
import httpx

from barestream.commands.exits import code_of
from barestream.commands.hub_options import ChosenHub, chosen, hub_options
from barestream_client.address import HubError
from barestream_client.answers import Answer, error_of
from barestream_client.events import Event, Ready
from barestream_client.failures import meaning
from barestream_client.hub import Hub, Subscription
from barestream_client.steps import Request

# A live event arrives within milliseconds; after this time a step fails.
_PATIENCE_SECONDS = 5.0

# An event that comes twice comes at once.
_LINGER_SECONDS = 0.2

_MORE_RIGHTS = (
    "Give a token that covers the topic: "
    "barestream token --publish 'barestream/smoke/{run}' --subscribe 'barestream/smoke/{run}'"
)
_LOOK_FOR_BUFFERS = "Turn off the buffering of answers in each proxy in front of the hub."
_ONE_SERVICE = "Check that the URL leads to one service, with one Valkey."


class _FailedError(Exception):
    """A step that failed; its message is the cause.

    Attributes:
        remedy: What to do.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


@click.command()
@click.option("--require-publish", is_flag=True, help="Fail if there is no token.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@hub_options
def smoke(require_publish: bool, as_json: bool, **hub: Any) -> None:
    """Check that a hub is ready, holds streams, delivers what is published, and replays it.

    \b
    barestream smoke
    barestream smoke --require-publish --json

    What it publishes is private, on a topic of its own: no viewer sees it. Without a token it
    publishes nothing.
    """
    smoking = _Smoking(chosen(**hub), require_publish)
    code = asyncio.run(smoking.run(is_shown=not as_json))
    if as_json:
        click.echo(json.dumps(smoking.result, indent=2))
    sys.exit(code)


class _Smoking:
    """The steps of one smoke test.

    Attributes:
        result: What was found, for programs.
    """

    def __init__(self, hub: ChosenHub, require_publish: bool) -> None:
        self._chosen = hub
        self._require_publish = require_publish
        self._topic = f"barestream/smoke/{secrets.token_hex(8)}"
        self._first: Event | None = None
        self.result: dict[str, Any] = {"steps": []}

    async def run(self, *, is_shown: bool) -> int:
        """Take all steps, and return the exit code."""
        steps = [("the service is ready", self._is_ready), ("streams open", self._takes_streams)]
        if self._chosen.token or self._require_publish:
            steps += [
                ("a published update arrives", self._delivers),
                ("a client that comes back gets what it missed", self._replays),
            ]
        async with Hub(**self._chosen.options()) as hub:
            self.result |= {"url": hub.url, "published": len(steps) > 2}
            for name, step in steps:
                began_at = time.monotonic()
                try:
                    await step(hub)
                except (_FailedError, HubError) as error:
                    remedy = getattr(error, "remedy", _remedy_of(error))
                    self.result |= {"failed": name, "cause": str(error), "remedy": remedy}
                    if is_shown:
                        told = f"smoke failed at: {name}\n  cause:      {error}"
                        click.echo(f"{told}\n  what to do: {remedy}", err=True)
                    return code_of(error) or 1
                seconds = time.monotonic() - began_at
                self.result["steps"].append({"name": name, "seconds": round(seconds, 3)})
                if is_shown:
                    click.echo(f"{seconds:6.2f} s  {name}")
            if is_shown:
                left_out = "" if len(steps) > 2 else "; without a token nothing was published"
                click.echo(f"all is well at {hub.url}{left_out}")
        return 0

    async def _is_ready(self, hub: Hub) -> None:
        url = httpx.URL(hub.url).copy_with(path="/readyz")
        request = Request("GET", str(url))
        async with httpx.AsyncClient(timeout=_PATIENCE_SECONDS) as client:
            with meaning(request):
                response = await client.get(url)
        if response.status_code != 200:
            asked = "GET /readyz"
            headers = dict(response.headers)
            raise error_of(Answer(asked, response.status_code, headers, response.content))

    async def _takes_streams(self, hub: Hub) -> None:
        async with self._opened(hub):
            pass

    async def _delivers(self, hub: Hub) -> None:
        async with self._opened(hub) as events:
            published = await hub.publish(self._topic, "first", private=True)
            self._first = await _next(events, "an open stream", published)

    async def _replays(self, hub: Hub) -> None:
        assert self._first is not None  # noqa: S101 (the step before has it)
        published = await hub.publish(self._topic, "second", private=True)
        async with hub.subscribe(self._topic, cursor=self._first.id) as events:
            await _next(events, "a client that comes back", published)
            try:
                async with asyncio.timeout(_LINGER_SECONDS):
                    further = await anext(events)
            except TimeoutError:
                return
        raise _FailedError(
            f"a client that came back got {further.id} after {published}, the last one",
            "Report it as a bug, with the service's log.",
        )

    @asynccontextmanager
    async def _opened(self, hub: Hub) -> AsyncIterator[Subscription]:
        """Open a stream, and wait until the hub says that it is open."""
        async with hub.subscribe(self._topic, ready=True) as events:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    first = await anext(events)
            except TimeoutError:
                raise _FailedError(
                    f"a stream was opened, but nothing came for {_PATIENCE_SECONDS:g} s",
                    _LOOK_FOR_BUFFERS,
                ) from None
            if not isinstance(first, Ready):
                raise _FailedError(f"a new stream began with {first.type}", _ONE_SERVICE)
            yield events


async def _next(events: Subscription, who: str, published: str) -> Event:
    """Return the next event, which is to be the update that was published."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            event = await anext(events)
    except TimeoutError:
        raise _FailedError(
            f"the update {published} was published, but {who} did not get it within "
            f"{_PATIENCE_SECONDS:g} s",
            f"Check that the token may subscribe too. {_MORE_RIGHTS}",
        ) from None
    if event.own_id != published:
        raise _FailedError(f"{who} got {event.id} ({event.type}), not {published}", _ONE_SERVICE)
    return event


def _remedy_of(error: Exception) -> str:
    """Return what to do about an answer of the hub."""
    remedies = {
        3: "Check the URL.",
        4: "Check that the service runs, and read its log.",
        5: _MORE_RIGHTS,
    }
    return remedies.get(code_of(error) or 0, "Read the service's log.")
