"""A hub that is asked by HTTP, so that any app can have runs."""

import base64
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from barestream.mercure.reserved import EARLIEST
from barestream.runs.event_reader import EventReader, Received
from barestream.runs.hub import Batch, Claim, Claimed, FencedError, HubAwayError, RefusedError
from barestream.runs.run import Run, Status

Token = str | Callable[[], str | Awaitable[str]]

# A hub that is there accepts a connection at once; each call is tried again.
_CONNECT_SECONDS = 5.0

# The hub answers a publish within 5 s, also if Valkey does not answer.
_ANSWER_SECONDS = 10.0

# Four of the hub's heartbeats, as nginx waits for the hub.
_SILENCE_SECONDS = 60.0

# How long a connection without a request is kept. A run that is silent renews its lease every 2 s
# by default, over the same connection. The hub without nginx closes one after 5 s.
_IDLE_SECONDS = 4.0

# The answers after which the same request may succeed: too many requests, and those of a proxy or a
# hub that cannot answer yet.
_AWAY = {429, 500, 502, 503, 504}

# The answers to a publish after which nothing more of a run is taken: it has ended (409), or is
# unknown, or another run has its key (410). One whose fence is too old is 403 with a header.
_FENCED = {409, 410}
_EXPECTED_EPOCH = "producer-epoch"


# The errors of a request that cannot be sent: it has an illegal header, or no URL of HTTP.
_UNSENDABLE = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)


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
        answer = await self._ask("POST", "/runs", json=claim.fields())
        found = _content(answer)
        return Claimed(_run(found), found.get("fence"), found["control"])

    async def run(self, key: str) -> Run | None:
        answer = await self._ask("GET", "/runs", params={"key": key}, also=(404,))
        return None if answer.status_code == 404 else _run(_content(answer))

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("DELETE", key, run_id)

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("PUT", key, run_id)

    async def _tell_runner(self, method: str, key: str, run_id: str) -> Status | None:
        answer = await self._ask(method, "/runs", params={"key": key, "id": run_id}, also=(404,))
        return None if answer.status_code == 404 else Status(_content(answer)["status"])

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
        await self._ask(
            "POST",
            "/publish-stream",
            params={"run": batch.run.key},
            headers=headers,
            content="".join(f"{json.dumps(line)}\n" for line in lines).encode(),
        )

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
        query = {"match" if _is_access_token(token) else "topic": topic}
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
        request = self._http.build_request(
            "GET",
            self._url,
            params=query,
            headers=headers,
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
        )
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise _failed(error) from None
        try:
            if answer.status_code == 204:
                yield None
                return
            if answer.status_code != 200:
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
            limits = httpx.Limits(
                max_connections=None,
                max_keepalive_connections=None,
                keepalive_expiry=_IDLE_SECONDS,
            )
            self._client = httpx.AsyncClient(limits=limits)
        return self._client

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        also: tuple[int, ...] = (),
        **sent: Any,
    ) -> httpx.Response:
        token = await _value(self._publisher_token)
        try:
            answer = await self._http.request(
                method,
                self._url + path,
                headers={"Authorization": f"Bearer {token}", **(headers or {})},
                timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                **sent,
            )
        except httpx.TransportError as error:
            raise _failed(error) from None
        if answer.is_success or answer.status_code in also:
            return answer
        raise _error(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[Received]:
    reader = EventReader()
    try:
        async for piece in answer.aiter_bytes():
            for event in reader.feed(piece):
                yield event
    except httpx.TransportError as error:
        raise _failed(error) from None


def _run(found: dict[str, Any]) -> Run:
    status = Status(found["status"])
    return Run(found["key"], found["id"], found["topic"], status, found["started"])


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except ValueError:
        raise RefusedError(
            f"{answer.request.url} gives no answer of a hub that has runs: expected JSON"
        ) from None
    return found


def _error(answer: httpx.Response) -> Exception:
    status = answer.status_code
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, TypeError, KeyError):
        problem, detail = {}, answer.reason_phrase
    words = f"{answer.request.method} {answer.request.url.path}: {status} {detail}"
    if status in _AWAY:
        return HubAwayError(words)
    if status in _FENCED or (status == 403 and _EXPECTED_EPOCH in answer.headers):
        return FencedError(words)
    return RefusedError(words, problem.get("next"))


def _failed(error: httpx.TransportError) -> HubAwayError | RefusedError:
    words = f"{type(error).__name__}: {error}"
    return RefusedError(words) if isinstance(error, _UNSENDABLE) else HubAwayError(words)


async def _value(token: Token) -> str:
    found = token if isinstance(token, str) else token()
    return await found if inspect.isawaitable(found) else found


def _is_access_token(token: str) -> bool:
    head = token.partition(".")[0]
    try:
        kind = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("typ", "")
    except (ValueError, AttributeError):
        return False
    return str(kind).lower().removeprefix("application/") == "at+jwt"
