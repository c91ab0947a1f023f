"""A hub that is asked by HTTP, so that any app can have runs."""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx

from barestream.mercure.reserved import EARLIEST
from barestream.runs.hub import (
    Batch,
    Claim,
    Claimed,
    FencedError,
    HubAwayError,
    LostUpdatesError,
    RefusedError,
)
from barestream.runs.run import Run, Status
from barestream_client.answers import AWAY, is_of_type, problem
from barestream_client.bearer import is_access_token
from barestream_client.event_reader import EventReader, Received
from barestream_client.following import SILENCE_SECONDS
from barestream_client.link import CONNECT_SECONDS, LIMITS
from barestream_client.steps import ANSWER_SECONDS

Token = str | Callable[[], str | Awaitable[str]]

_Value = TypeVar("_Value")

# The refusals of a publish after which nothing more of a run is taken: it has ended (409), is
# unknown or another run has its key (410), or its fence is too old (403 with a header). A 409 with
# a header of its own says which update is missing.
_FENCED = {403, 409, 410}
_NEWER_EPOCH = "producer-epoch"
_EXPECTED_SEQ = "producer-expected-seq"

# The errors of a request that cannot be sent: it has an illegal header, or no URL of HTTP.
_UNSENDABLE = (
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    UnicodeEncodeError,
)


class HttpHub:
    """The adapter for HTTP.

    Args:
        url: The hub's URL, such as ``http://127.0.0.1/.well-known/mercure``.
        publisher_token: A token that may publish to the topics of runs; or a function that returns
            one, called for each request.
        subscriber_token: One that may read them; None for the same.
        client: Sends the requests, and is for the caller to close; None for one of the adapter's
            own.
    """

    def __init__(
        self,
        url: str,
        publisher_token: Token,
        subscriber_token: Token | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._publisher_token = publisher_token
        self._subscriber_token = subscriber_token or publisher_token
        self._client = client
        self._has_own_client = client is None
        self._is_closed = False

    async def claim(self, claim: Claim) -> Claimed:
        answer = await self._ask("POST", "/runs", {200, 201}, json=claim.fields())
        with _reading(answer) as found:
            fence = _field(found, "fence", int) if answer.status_code == 201 else None
            return Claimed(_run(found), fence, _field(found, "control", str))

    async def run(self, key: str) -> Run | None:
        answer = await self._ask("GET", "/runs", {200, 404}, params={"key": key})
        if answer.status_code == 404:
            return None
        with _reading(answer) as found:
            return _run(found)

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("DELETE", key, run_id)

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("PUT", key, run_id)

    async def _tell_runner(self, method: str, key: str, run_id: str) -> Status | None:
        params = {"key": key, "id": run_id}
        answer = await self._ask(method, "/runs", {202, 404}, params=params)
        if answer.status_code == 404:
            return None
        with _reading(answer) as found:
            return Status(found["status"])

    async def publish(self, batch: Batch) -> None:
        # One short request for each batch, and not one whose body goes on: its answer says what
        # became of the batch, so that after an error exactly this batch is sent again. The client
        # keeps the connection.
        lines = [update.fields() for update in batch.updates]
        if batch.end is not None:
            lines.append(batch.end_fields(batch.end))
        headers = {
            "Content-Type": "application/x-ndjson",
            "Producer-Id": batch.run.id,
            "Producer-Epoch": str(batch.fence),
            "Producer-Seq": str(batch.first),
        }
        answer = await self._ask(
            "POST",
            "/publish-stream",
            {200, *_FENCED},
            params={"run": batch.run.key},
            headers=headers,
            content="".join(f"{json.dumps(line)}\n" for line in lines).encode(),
        )
        if answer.status_code != 200:
            raise _publish_error(answer)
        with _reading(answer) as found:
            if found["next"] != batch.first + len(lines):
                raise ValueError

    @asynccontextmanager
    async def follow(
        self,
        topic: str,
        cursor: str | None,
        *,
        from_kept: bool = False,
        client: str | None = None,
    ) -> AsyncIterator[AsyncIterator[Received] | None]:
        token = await _value(self._subscriber_token)
        # An access token of Mercure 1.0 goes with the parameter of 1.0.
        query = {"match" if is_access_token(token) else "topic": topic}
        if from_kept:
            query |= {"rewind": "kept", "include": "ready"}
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
        if client is not None:
            # A hub that trusts the app as a proxy counts the streams of each client apart.
            headers["X-Forwarded-For"] = client
        if cursor == EARLIEST:
            query["last_event_id"] = EARLIEST
        elif cursor is not None:
            headers["Last-Event-ID"] = cursor
        with _sending():
            request = self._http.build_request(
                "GET",
                self._url,
                params=query,
                headers=headers,
                timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            )
            answer = await self._http.send(request, stream=True)
        try:
            if answer.status_code == 204:
                yield None
                return
            if answer.status_code != 200 or not is_of_type(answer.headers, "text/event-stream"):
                with _sending():
                    await answer.aread()
                raise _error(answer)
            yield _events(answer)
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        self._is_closed = self._has_own_client
        if self._client is not None and self._has_own_client:
            await self._client.aclose()

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._is_closed:
            raise HubAwayError("the connections to the hub are closed: this process stops")
        if self._client is None:
            # Each follower has a connection of its own, and so has each publish that is under way.
            self._client = httpx.AsyncClient(limits=LIMITS)
        return self._client

    async def _ask(
        self,
        method: str,
        path: str,
        statuses: set[int],
        *,
        headers: dict[str, str] | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """Return an answer of the hub with one of the statuses."""
        token = await _value(self._publisher_token)
        with _sending():
            answer = await self._http.request(
                method,
                self._url + path,
                headers={"Authorization": f"Bearer {token}", **(headers or {})},
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                **sent,
            )
        is_known = answer.status_code in statuses
        if is_known and (answer.is_success or problem(answer.headers, answer.content) is not None):
            return answer
        raise _error(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[Received]:
    reader = EventReader()
    with _sending():
        async for piece in answer.aiter_bytes():
            for event in reader.feed(piece):
                yield event


@contextmanager
def _sending() -> Iterator[None]:
    """Raise the errors of a hub in place of those of a request."""
    try:
        yield
    except _UNSENDABLE as error:
        raise RefusedError(f"{type(error).__name__}: {error}") from None
    except httpx.RequestError as error:
        raise HubAwayError(f"{type(error).__name__}: {error}") from None


@contextmanager
def _reading(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the content of an answer; one whose content is none of the hub's counts as none."""
    try:
        yield answer.json()
    except (ValueError, TypeError, KeyError, RecursionError):
        raise HubAwayError(_words(answer, "is no answer of a hub that has runs")) from None


def _run(found: dict[str, Any]) -> Run:
    return Run(
        _field(found, "key", str),
        _field(found, "id", str),
        _field(found, "topic", str),
        Status(found["status"]),
        _field(found, "started", int),
    )


def _field(found: dict[str, Any], name: str, kind: type[_Value]) -> _Value:
    value = found[name]
    if not isinstance(value, kind):
        raise TypeError(name)
    return value


def _publish_error(answer: httpx.Response) -> Exception:
    """Return what a refusal with one of the statuses _FENCED means."""
    expected = answer.headers.get(_EXPECTED_SEQ, "")
    if answer.status_code == 409 and expected.isdecimal():
        return LostUpdatesError(str(_error(answer)), int(expected))
    if answer.status_code == 403 and _NEWER_EPOCH not in answer.headers:
        return _error(answer)
    return FencedError(str(_error(answer)))


def _error(answer: httpx.Response) -> HubAwayError | RefusedError:
    told = problem(answer.headers, answer.content)
    if told is None:
        return HubAwayError(_words(answer, "is no answer of a hub"))
    words = _words(answer, str(told.get("detail")))
    if answer.status_code in AWAY:
        return HubAwayError(words)
    number = told.get("next")
    return RefusedError(words, number if isinstance(number, int) else None)


def _words(answer: httpx.Response, what: str) -> str:
    request = answer.request
    return f"{request.method} {request.url.path}: {answer.status_code} {what}"


async def _value(token: Token) -> str:
    """Return the token.

    Raises:
        HubAwayError: The function that returns it fails: it may succeed a moment later.
    """
    try:
        found = token if isinstance(token, str) else token()
        value = await found if inspect.isawaitable(found) else found
    except Exception as error:
        words = f"the function that returns the token failed: {type(error).__name__}: {error}"
        raise HubAwayError(words) from error
    if not isinstance(value, str):
        raise HubAwayError(f"the function that returns the token returned {value!r}")
    return value
