"""A hub that is asked by HTTP, so that any app can have runs."""

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
from barestream_client.address import HubError
from barestream_client.answers import (
    AWAY,
    Answer,
    UnauthorizedError,
    is_of_type,
    problem,
)
from barestream_client.bearer import is_access_token, token_of
from barestream_client.event_reader import EventReader, Received
from barestream_client.failures import UnsendableError
from barestream_client.following import SILENCE_SECONDS
from barestream_client.link import LIMITS, Link
from barestream_client.steps import Ask, Open, Read, Request, Step

Token = str | Callable[[], str | Awaitable[str]]

_Value = TypeVar("_Value")

# The refusals of a publish after which nothing more of a run is taken: it has ended (409), is
# unknown or another run has its key (410), or its fence is too old (403 with a header). A 409 with
# a header of its own says which update is missing.
_FENCED = {403, 409, 410}
_NEWER_EPOCH = "producer-epoch"
_EXPECTED_SEQ = "producer-expected-seq"


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
        headers = {"Content-Type": "application/json"}
        request = Request("POST", f"{self._url}/runs", (), headers, _json(claim.fields()))
        answer = await self._ask(request, {200, 201})
        with _reading(answer) as found:
            fence = _field(found, "fence", int) if answer.status == 201 else None
            return Claimed(_run(found), fence, _field(found, "control", str))

    async def run(self, key: str) -> Run | None:
        request = Request("GET", f"{self._url}/runs", (("key", key),))
        answer = await self._ask(request, {200, 404})
        if answer.status == 404:
            return None
        with _reading(answer) as found:
            return _run(found)

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("DELETE", key, run_id)

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        return await self._tell_runner("PUT", key, run_id)

    async def _tell_runner(self, method: str, key: str, run_id: str) -> Status | None:
        request = Request(method, f"{self._url}/runs", (("key", key), ("id", run_id)))
        answer = await self._ask(request, {202, 404})
        if answer.status == 404:
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
        url, params = f"{self._url}/publish-stream", (("run", batch.run.key),)
        body = b"".join(_json(line) + b"\n" for line in lines)
        answer = await self._ask(Request("POST", url, params, headers, body), {200, *_FENCED})
        if answer.status != 200:
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
        token = await _token(self._subscriber_token)
        # An access token of Mercure 1.0 goes with the parameter of 1.0.
        params = [("match" if is_access_token(token) else "topic", topic)]
        if from_kept:
            params += [("rewind", "kept"), ("include", "ready")]
        headers = {"Accept": "text/event-stream"}
        if client is not None:
            # A hub that trusts the app as a proxy counts the streams of each client apart.
            headers["X-Forwarded-For"] = client
        if cursor == EARLIEST:
            params += [("last_event_id", EARLIEST)]
        elif cursor is not None:
            headers["Last-Event-ID"] = cursor
        request = Request("GET", self._url, tuple(params), headers, None, SILENCE_SECONDS)
        link = Link(self._http, None)
        try:
            answer: Answer = await _taken(link, Open(request.by(token)))
            if answer.status == 204:
                yield None
                return
            if answer.status != 200 or not is_of_type(answer.headers, "text/event-stream"):
                raise _error(answer)
            yield _events(link)
        finally:
            await link.close()

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

    async def _ask(self, request: Request, statuses: set[int]) -> Answer:
        """Return an answer of the hub with one of the statuses."""
        token = await _token(self._publisher_token)
        answer: Answer = await _taken(Link(self._http, None), Ask(request.by(token)))
        is_known = answer.status in statuses
        is_success = 200 <= answer.status < 300
        if is_known and (is_success or problem(answer.headers, answer.body) is not None):
            return answer
        raise _error(answer)


async def _events(link: Link) -> AsyncIterator[Received]:
    reader = EventReader()
    while piece := await _taken(link, Read()):
        for event in reader.feed(piece):
            yield event


async def _taken(link: Link, step: Step) -> Any:
    """Take a step, and return its outcome; raise the errors of runs in place of the client's."""
    try:
        return await link.outcome(step)
    except HubError as error:
        raise _meant(error) from error


def _meant(error: HubError) -> HubAwayError | RefusedError:
    # A host that is not found, or a certificate that is not trusted, may be so for a moment alone,
    # and a run outlasts that.
    kind = RefusedError if isinstance(error, UnsendableError | UnauthorizedError) else HubAwayError
    return kind(str(error))


async def _token(given: Token) -> str:
    try:
        found = await token_of(given)
    except HubError as error:
        raise _meant(error) from error
    if found is None:
        raise HubAwayError("the function that returns the token returned None")
    return found


def _json(fields: dict[str, object]) -> bytes:
    return json.dumps(fields).encode()


@contextmanager
def _reading(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the content of an answer; one whose content is none of the hub's counts as none."""
    try:
        yield json.loads(answer.body)
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


def _publish_error(answer: Answer) -> Exception:
    """Return what a refusal with one of the statuses _FENCED means."""
    expected = answer.headers.get(_EXPECTED_SEQ, "")
    if answer.status == 409 and expected.isdecimal():
        return LostUpdatesError(str(_error(answer)), int(expected))
    if answer.status == 403 and _NEWER_EPOCH not in answer.headers:
        return _error(answer)
    return FencedError(str(_error(answer)))


def _error(answer: Answer) -> HubAwayError | RefusedError:
    told = problem(answer.headers, answer.body)
    if told is None:
        return HubAwayError(_words(answer, "is no answer of a hub"))
    words = _words(answer, str(told.get("detail")))
    if answer.status in AWAY:
        return HubAwayError(words)
    number = told.get("next")
    return RefusedError(words, number if isinstance(number, int) else None)


def _words(answer: Answer, what: str) -> str:
    return f"{answer.asked}: {answer.status} {what}"
