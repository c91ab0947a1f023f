"""A hub, for programs with a loop."""

import ssl
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from barestream_client.address import hub_url
from barestream_client.bearer import Token
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
from barestream_client.following import SILENCE_SECONDS, Progress, Topics, following
from barestream_client.link import LIMITS, Link, retries
from barestream_client.retries import OnAway, Retries
from barestream_client.sources import Ahead
from barestream_client.steps import Steps
from barestream_client.streaming import MOST_OF_A_PART, Stream, Streamed, streaming
from barestream_client.updates import Update, batches

_Returned = TypeVar("_Returned")

# A rollout, a restart and a failover take less.
PATIENCE_SECONDS = 30.0


class Hub:
    """A hub that is asked by HTTP; an asynchronous context.

    Args:
        url: The hub's URL, or that of its site: ``http://127.0.0.1:9009``.
        token: A token, or a function (also an asynchronous one) that returns one, which is called
            for each request; None for no token.
        patience_seconds: How long a call goes on trying while the hub is away; None for ever.
        on_away: Is told of each failure after which a request is tried again, and of the wait.
        verify: The TLS context; True for the usual one.
        client: Sends the requests, and is for the caller to close; None for one of the hub's own.

    Raises:
        AddressError: The URL is none of HTTP.
    """

    def __init__(  # noqa: PLR0913 (all but two are for special cases)
        self,
        url: str,
        token: Token = None,
        *,
        patience_seconds: float | None = PATIENCE_SECONDS,
        on_away: OnAway | None = None,
        verify: ssl.SSLContext | bool = True,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = hub_url(url)
        self._token = token
        self._patience_seconds = patience_seconds
        self._on_away = on_away
        self._has_own_client = client is None
        self._client = client or httpx.AsyncClient(limits=LIMITS, verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._has_own_client:
            await self._client.aclose()

    async def publish(  # noqa: PLR0913 (an update has so many fields)
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
        """Publish an update, and return its id; the arguments are those of Update.

        It has an id in any case, so that it is not published twice where it is sent again.

        Raises:
            HubError: The hub refuses it, or was away for too long: then it may have been taken.
        """
        update = Update(
            topic=topic, data=data, type=type, id=id, private=private, retry_ms=retry_ms,
            keep=keep, end=end,
        )  # fmt: skip
        return await self._run(publishing(self.url, update, self._retries()))

    async def publish_all(self, updates: Iterable[Update]) -> list[str]:
        """Publish updates in their order, a hundred at a time, and return their ids.

        A hundred, or 64 KB, are accepted together or not at all.

        Raises:
            HubError: As for publish; those before are published.
        """
        ids: list[str] = []
        for batch in batches(updates):
            ids += await self._run(publishing_together(self.url, batch, self._retries()))
        return ids

    async def publish_stream(  # noqa: PLR0913 (a streamed publish has so many parameters)
        self,
        topic: str,
        updates: Iterable[Any] | AsyncIterable[Any],
        *,
        producer: str | None = None,
        epoch: int = 0,
        first: int = 0,
        type: str | None = None,  # noqa: A002
        private: bool = False,
        end: bool | float = False,
    ) -> Streamed:
        """Publish what a source gives while it gives it, each once, and return how far it came.

        Args:
            topic: The topic of all.
            updates: Gives them: an Update without a topic, or the data of one. Where it waits for
                the next one, it must be asynchronous.
            producer: The producer's name; None for one that nobody else has.
            epoch: Counts the producer's starts.
            first: The number of the first that ``updates`` gives: see ``position``.
            type: The type of those that have none.
            private: Whether they are private.
            end: Whether the topic ends after the last one; or for how many seconds it stays ended.

        Raises:
            HubError: As for publish; those before are published.
        """
        stream = Stream(topic, producer or str(uuid.uuid4()), epoch, first, type, private, end)
        async with Ahead(updates, MOST_OF_A_PART) as source:
            link = Link(self._client, self._token, source)
            return await link.run(streaming(self.url, stream, self._retries()))

    async def position(self, topic: str, producer: str) -> Position | None:
        """Return how far a producer has come with a topic; None if the hub does not know it."""
        return await self._run(asking_for_position(self.url, topic, producer, self._retries()))

    async def cursor(self, *topics: str) -> str:
        """Return the newest cursor of the history, from which a subscription goes on."""
        return await self._run(asking_for_cursor(self.url, topics or ("*",), self._retries()))

    async def presence(self, topic: str, *, counts_only: bool = False) -> Presence:
        """Return who is there at a topic."""
        return await self._run(
            asking_who_is_there(self.url, topic, self._retries(), counts_only=counts_only)
        )

    async def figures(self) -> dict[str, Any]:
        """Return what each worker of the hub does, as the hub's HTTP interface describes it.

        The token needs the right to operate.
        """
        return await self._run(asking_for_figures(self.url, self._retries()))

    async def why(
        self,
        event: str,
        *,
        as_token: str | None = None,
        topics: Iterable[str] = (),
        patterns: Iterable[str] = (),
    ) -> Explanation:
        """Return why somebody gets an update, or does not; the hub's own token must operate.

        Args:
            event: The id of the update: the hub's, or its publisher's.
            as_token: The token of the one who it is about; None for somebody without one. It gives
                this client no right.
            topics: The topics of the stream; without them and ``patterns`` the hub judges by the
                streams that it knows of the token's user, or by the token alone.
            patterns: The URL Patterns of the stream.
        """
        question = Question(event, as_token, tuple(topics), tuple(patterns))
        return await self._run(asking_why(self.url, question, self._retries()))

    def subscribe(
        self,
        *topics: str,
        patterns: Iterable[str] = (),
        cursor: str | None = None,
        rewind: str | int | None = None,
        ready: bool = False,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> "Subscription":
        """Subscribe to topics; the events come without end, over each cut.

        Args:
            topics: Topics, and templates with a token of 0.x or none; ``*`` stands for all.
            patterns: URL Patterns, which need Mercure 1.0.
            cursor: The id of the last event that was seen, or ``earliest``; None for what comes
                from here on.
            rewind: What comes first: the newest ``10`` of each topic, those of the last ``30s``, or
                the ``kept`` value.
            ready: Whether a Ready comes once all that was there at the start has come.
            silence_seconds: After how long a silence the connection counts as dead. The hub sends a
                heartbeat every 15 s by default.
        """
        wanted = Topics(
            topics, tuple(patterns), None if rewind is None else str(rewind), ready, silence_seconds
        )
        progress = Progress(cursor)
        steps = following(self.url, wanted, progress, self._retries())
        return Subscription(Link(self._client, self._token), steps, progress)

    def _retries(self) -> Retries:
        return retries(self._patience_seconds, self._on_away)

    async def _run(self, steps: Steps[_Returned]) -> _Returned:
        return await Link(self._client, self._token).run(steps)


class Subscription:
    """The events of a subscription; an asynchronous iterator, and an asynchronous context.

    It ends when all topics have ended. An iteration raises a HubError where the hub refuses the
    subscription, or was away for too long.
    """

    def __init__(self, link: Link, steps: Steps[None], progress: Progress) -> None:
        self._link = link
        self._progress = progress
        self._events = self._follow(steps)

    @property
    def cursor(self) -> str | None:
        """How far it has come: the cursor from which another subscription goes on."""
        return self._progress.cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connection."""
        await self._events.aclose()

    async def _follow(self, steps: Steps[None]) -> AsyncGenerator[Event, None]:
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
                    outcome, error = await self._link.take(step)
        finally:
            await self._link.close()
