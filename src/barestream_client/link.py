"""Takes the steps of the client's logic, with a loop."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import httpx

from barestream_client.address import HubError
from barestream_client.answers import Answer, is_of_type
from barestream_client.bearer import Token, token_of
from barestream_client.failures import meaning
from barestream_client.retries import OnAway, Retries
from barestream_client.sources import Ahead
from barestream_client.steps import Ask, Bearer, Close, Open, Read, Request, Steps, Take, Wait

_Returned = TypeVar("_Returned")

# A hub that is there accepts a connection at once; each call is tried again.
CONNECT_SECONDS = 5.0

# How long a connection without a request is kept. A run that is silent renews its lease every 2 s
# by default, over the same connection. The hub without nginx closes one that is idle for 5 s.
_IDLE_SECONDS = 4.0

# Each subscription has a connection of its own.
LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE_SECONDS
)


def retries(patience_seconds: float | None, on_away: OnAway | None) -> Retries:
    """Return the waits of a call, by this machine's clock."""
    uniform: Callable[[float, float], float] = random.uniform
    return Retries(patience_seconds, time.monotonic, uniform, on_away)


def timeout(request: Request) -> httpx.Timeout:
    """Return the timeouts of a request."""
    return httpx.Timeout(request.silence_seconds, connect=CONNECT_SECONDS)


def built(client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return a request as a client sends it.

    Raises:
        AddressError: It cannot be sent.
    """
    with meaning(request):
        return client.build_request(
            request.method,
            request.url,
            params=request.params or None,
            headers=[(name.encode(), text.encode()) for name, text in request.headers.items()],
            content=request.body,
            timeout=timeout(request),
        )


def answer_to(request: Request, response: httpx.Response, body: bytes) -> Answer:
    """Return an answer without what is httpx's."""
    asked = f"{request.method} {response.url.path}"
    return Answer(asked, response.status_code, dict(response.headers), body)


def is_stream(response: httpx.Response) -> bool:
    """Return whether a response is an event stream."""
    return response.status_code == 200 and is_of_type(response.headers, "text/event-stream")


class Link:
    """The connection of one call.

    Args:
        client: Sends the requests.
        token: The token, or what returns it.
        source: What ``Take`` takes from.
    """

    def __init__(
        self, client: httpx.AsyncClient, token: Token, source: Ahead | None = None
    ) -> None:
        self._client = client
        self._token = token
        self._source = source
        self._response: httpx.Response | None = None
        self._request = Request("GET", "")
        self._pieces: AsyncIterator[bytes] | None = None

    async def run(self, steps: Steps[_Returned]) -> _Returned:
        """Take all steps of a call, and return what it returns."""
        outcome, error = None, None
        while True:
            try:
                step = steps.throw(error) if error else steps.send(outcome)
            except StopIteration as stop:
                returned: _Returned = stop.value
                return returned
            outcome, error = await self.take(step)

    async def take(self, step: object) -> tuple[Any, HubError | None]:
        """Take a step; return its outcome, or its error."""
        try:
            return await self.outcome(step), None
        except HubError as error:
            return None, error

    async def outcome(self, step: object) -> Any:
        """Take a step, and return its outcome.

        Raises:
            HubError: The step fails.
        """
        match step:
            case Bearer():
                return await token_of(self._token)
            case Ask(request):
                with meaning(request):
                    response = await self._client.send(built(self._client, request))
                return answer_to(request, response, response.content)
            case Open(request):
                return await self._open(request)
            case Read():
                return await self._read()
            case Close():
                await self.close()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Take(most):
                assert self._source is not None  # noqa: S101
                return await self._source.take(most)
        return None

    async def _open(self, request: Request) -> Answer:
        await self.close()
        with meaning(request):
            response = await self._client.send(built(self._client, request), stream=True)
            self._request, self._response = request, response
            body = b"" if is_stream(response) else await response.aread()
        self._pieces = response.aiter_bytes() if is_stream(response) else None
        return answer_to(request, response, body)

    async def _read(self) -> bytes:
        if self._pieces is None:
            return b""
        with meaning(self._request):
            return await anext(self._pieces, b"")

    async def close(self) -> None:
        """Close the stream that is open."""
        response, self._response, self._pieces = self._response, None, None
        if response is not None:
            await response.aclose()
