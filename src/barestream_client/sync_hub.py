"""A hub, for programs without a loop: the same calls, by the same logic."""

import ssl
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from barestream_client.address import HubError, hub_url
from barestream_client.answers import Answer
from barestream_client.bearer import Token, token_at_once
from barestream_client.calls import (
    Explanation,
    Position,
    Presence,
    Question,
    asking_for_cursor,
    asking_for_figures,
    asking_for_position,
    asking_who_is_there,
    asking_why,
    publishing,
    publishing_together,
)
from barestream_client.events import Event
from barestream_client.failures import meaning
from barestream_client.following import SILENCE_SECONDS, Progress, Topics, following
from barestream_client.hub import PATIENCE_SECONDS
from barestream_client.link import LIMITS, answer_to, built, is_stream, retries
from barestream_client.retries import OnAway, Retries
from barestream_client.sources import ThreadAhead
from barestream_client.steps import Ask, Bearer, Close, Open, Read, Request, Steps, Take, Wait
from barestream_client.streaming import MOST_OF_A_PART, Stream, Streamed, streaming
from barestream_client.updates import Update, batches

_Returned = TypeVar("_Returned")


class SyncHub:
    """A hub that is asked by HTTP; a context. Its calls and errors are those of Hub.

    Args:
        url: As for Hub, and so are the other arguments; a function that returns the token is not
            asynchronous.
    """

    def __init__(  # noqa: PLR0913 (all but two are for special cases)
        self,
        url: str,
        token: Token = None,
        *,
        patience_seconds: float | None = PATIENCE_SECONDS,
        on_away: OnAway | None = None,
        verify: ssl.SSLContext | bool = True,
        client: httpx.Client | None = None,
    ) -> None:
        self.url = hub_url(url)
        self._token = token
        self._patience_seconds = patience_seconds
        self._on_away = on_away
        self._has_own_client = client is None
        self._client = client or httpx.Client(limits=LIMITS, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._has_own_client:
            self._client.close()

    def publish(  # noqa: PLR0913 (an update has so many fields)
        self,
        topic: str | Sequence[str],
        data: Any = "",
        *,
        type: str | None = None,  # noqa: A002 (as the hub calls it)
        id: str | None = None,  # noqa: A002
        private: bool = False,
        retry_ms: int | None = None,
        keep: float | Literal["forever"] | None = None,
        end: bool | float = False,
    ) -> str:
        """Publish an update, and return its id."""
        update = Update(
            topic=topic, data=data, type=type, id=id, private=private, retry_ms=retry_ms,
            keep=keep, end=end,
        )  # fmt: skip
        return self._run(publishing(self.url, update, self._retries()))

    def publish_all(self, updates: Iterable[Update]) -> list[str]:
        """Publish updates in their order, a hundred at a time, and return their ids."""
        ids: list[str] = []
        for batch in batches(updates):
            ids += self._run(publishing_together(self.url, batch, self._retries()))
        return ids

    def publish_stream(  # noqa: PLR0913 (a streamed publish has so many parameters)
        self,
        topic: str,
        updates: Iterable[Any],
        *,
        producer: str | None = None,
        epoch: int = 0,
        first: int = 0,
        type: str | None = None,  # noqa: A002
        private: bool = False,
        end: bool | float = False,
    ) -> Streamed:
        """Publish what a source gives while it gives it; a thread reads the source."""
        stream = Stream(topic, producer or str(uuid.uuid4()), epoch, first, type, private, end)
        with ThreadAhead(updates, MOST_OF_A_PART) as source:
            link = _Link(self._client, self._token, source)
            return link.run(streaming(self.url, stream, self._retries()))

    def position(self, topic: str, producer: str) -> Position | None:
        """Return how far a producer has come with a topic; None if the hub does not know it."""
        return self._run(asking_for_position(self.url, topic, producer, self._retries()))

    def cursor(self, *topics: str) -> str:
        """Return the newest cursor of the history, from which a subscription goes on."""
        return self._run(asking_for_cursor(self.url, topics or ("*",), self._retries()))

    def presence(self, topic: str, *, counts_only: bool = False) -> Presence:
        """Return who is there at a topic."""
        return self._run(
            asking_who_is_there(self.url, topic, self._retries(), counts_only=counts_only)
        )

    def figures(self) -> dict[str, Any]:
        """Return what each worker of the hub does."""
        return self._run(asking_for_figures(self.url, self._retries()))

    def why(
        self,
        event: str,
        *,
        as_token: str | None = None,
        topics: Iterable[str] = (),
        patterns: Iterable[str] = (),
    ) -> Explanation:
        """Return why somebody gets an update, or does not."""
        question = Question(event, as_token, tuple(topics), tuple(patterns))
        return self._run(asking_why(self.url, question, self._retries()))

    def subscribe(
        self,
        *topics: str,
        patterns: Iterable[str] = (),
        cursor: str | None = None,
        rewind: str | int | None = None,
        ready: bool = False,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> "SyncSubscription":
        """Subscribe to topics; the events come without end, over each cut."""
        wanted = Topics(
            topics, tuple(patterns), None if rewind is None else str(rewind), ready, silence_seconds
        )
        progress = Progress(cursor)
        steps = following(self.url, wanted, progress, self._retries())
        return SyncSubscription(_Link(self._client, self._token), steps, progress)

    def _retries(self) -> Retries:
        return retries(self._patience_seconds, self._on_away)

    def _run(self, steps: Steps[_Returned]) -> _Returned:
        return _Link(self._client, self._token).run(steps)


class SyncSubscription:
    """The events of a subscription; an iterator, and a context. Otherwise as Subscription."""

    def __init__(self, link: "_Link", steps: Steps[None], progress: Progress) -> None:
        self._progress = progress
        self._events = link.follow(steps)

    @property
    def cursor(self) -> str | None:
        """How far it has come: the cursor from which another subscription goes on."""
        return self._progress.cursor

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connection."""
        self._events.close()


class _Link:
    """Takes the steps of the client's logic, as Link does."""

    def __init__(
        self, client: httpx.Client, token: Token, source: ThreadAhead | None = None
    ) -> None:
        self._client = client
        self._token = token
        self._source = source
        self._response: httpx.Response | None = None
        self._request = Request("GET", "")
        self._pieces: Iterator[bytes] = iter(())

    def run(self, steps: Steps[_Returned]) -> _Returned:
        outcome, error = None, None
        while True:
            try:
                step = steps.throw(error) if error else steps.send(outcome)
            except StopIteration as stop:
                returned: _Returned = stop.value
                return returned
            outcome, error = self._taken(step)

    def follow(self, steps: Steps[None]) -> Generator[Event, None, None]:
        outcome, error = None, None
        try:
            while True:
                try:
                    step = steps.throw(error) if error else steps.send(outcome)
                except StopIteration:
                    return
                if isinstance(step, Event):
                    outcome, error = None, None
                    yield step
                else:
                    outcome, error = self._taken(step)
        finally:
            self._close()

    def _taken(self, step: object) -> tuple[Any, HubError | None]:
        try:
            return self._take(step), None
        except HubError as error:
            return None, error

    def _take(self, step: object) -> Any:
        match step:
            case Bearer():
                return token_at_once(self._token)
            case Ask(request):
                with meaning(request):
                    response = self._client.send(built(self._client, request))
                return answer_to(request, response, response.content)
            case Open(request):
                return self._open(request)
            case Read():
                with meaning(self._request):
                    return next(self._pieces, b"")
            case Close():
                self._close()
            case Wait(seconds):
                time.sleep(seconds)
            case Take(most):
                assert self._source is not None  # noqa: S101
                return self._source.take(most)
        return None

    def _open(self, request: Request) -> Answer:
        self._close()
        with meaning(request):
            response = self._client.send(built(self._client, request), stream=True)
            self._request, self._response = request, response
            body = b"" if is_stream(response) else response.read()
        self._pieces = response.iter_bytes() if is_stream(response) else iter(())
        return answer_to(request, response, body)

    def _close(self) -> None:
        response, self._response, self._pieces = self._response, None, iter(())
        if response is not None:
            response.close()
