"""A response that follows a feed; both endpoints of streams use it."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.feed import Feed
from barestream.delivery.heartbeat import heartbeat_event
from barestream.delivery.ready import Ready
from barestream.delivery.resume import Resumption
from barestream.delivery.revoked import Revoked
from barestream.delivery.rewinding import Rewinding
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.history.record import Place
from barestream.mercure.token_id import TokenId
from barestream.web.event_stream import Source, StreamResponse

logger = logging.getLogger(__name__)

# In some event loops a timer is a 32-bit number of milliseconds. A client whose stream ends after
# this time can resume.
_MOST_TIMER_SECONDS = 24 * 86_400


def follow(
    request: HttpRequest,
    following: "Following",
    id_header: bytes = b"last-event-id",
    source: Source | None = None,
) -> HttpResponse:
    """Return a response that follows a feed.

    A header names the event after which it starts. If that is not the id that the client sent, the
    client knows that the stream was not resumed from there.

    Args:
        request: The request.
        following: The source of the stream.
        id_header: The name of that header.
        source: A source that has the stream's in it, if there is more to do while it is open.
    """
    headers = []
    if following.start.preceding_id is not None:
        headers.append((id_header, following.start.preceding_id.encode()))
    return StreamResponse.opened(request, source or following, headers)


@dataclass(slots=True)
class Following:
    """The source of a stream that follows a feed.

    Attributes:
        feed: The feed.
        start: Where the stream starts.
        heartbeat_events: Whether heartbeats are events.
        subscription: Which events of the feed the stream gets.
        lasts_seconds: The time until the stream ends, because its token expires or it has lasted
            long enough; infinite without an end.
        rewinding: Returns what the stream is sent before it follows the feed; None for nothing.
        tells_ready: Whether the client is told when its replay is over.
        token: The token of its request; None without one.
        revoked: Knows whether that is revoked; None where no request has a token.
    """

    feed: Feed
    start: Resumption
    heartbeat_events: bool
    subscription: Subscription = EVERYTHING_PUBLIC
    lasts_seconds: float = math.inf
    rewinding: Callable[[Stream], Rewinding] | None = None
    tells_ready: bool = False
    token: TokenId | None = None
    revoked: Revoked | None = None

    def __call__(self, stream: Stream) -> AbstractAsyncContextManager[None]:
        return _Followed(self, stream) if self.rewinding is None else self._rewound(stream)

    def begin(self, stream: Stream) -> asyncio.TimerHandle | None:
        """Begin a stream; return the timer that ends it, if there is an end."""
        if self.start.is_resumed and stream.end_reason is None:
            # A stream that was turned away does not count.
            self.feed.metrics.resumed.inc()
        if self.tells_ready:
            stream.ready = Ready(self.subscription.topics.exact)
        stream.token = self.token
        revoked = self.revoked
        # It may have been revoked since the request was checked.
        if (
            revoked is not None
            and revoked.may_refuse
            and self.token is not None
            and revoked.revokes(self.token)
        ):
            stream.end(EndReason.REVOKED)
        if self.lasts_seconds == math.inf:
            return None
        return asyncio.get_running_loop().call_later(
            min(self.lasts_seconds, _MOST_TIMER_SECONDS), stream.end, EndReason.EXPIRED
        )

    @asynccontextmanager
    async def _rewound(self, stream: Stream) -> AsyncIterator[None]:
        assert self.rewinding is not None  # noqa: S101 (only then it is called)
        expiry = self.begin(stream)
        try:
            with ExitStack() as stack:
                work = self._rewind(self.rewinding(stream), stack, stream)
                rewinding = asyncio.create_task(work)
                try:
                    yield
                finally:
                    rewinding.cancel()
                    await asyncio.wait([rewinding])
                    stream.forget()
        finally:
            if expiry is not None:
                expiry.cancel()

    def _follow(
        self, stream: Stream, place: Place | None, missed: Missed | None
    ) -> AbstractContextManager[None]:
        return self.feed.follow(
            stream,
            place,
            self.subscription,
            missed=missed,
            heartbeat_events=self.heartbeat_events,
        )

    async def _rewind(self, rewinding: Rewinding, stack: ExitStack, stream: Stream) -> None:
        """Send the stream its rewind, and have it follow the feed until the stack is closed."""
        ring = self.feed.ring
        leaps = self.feed.leaps
        if self.heartbeat_events:
            stream.heartbeat = lambda: heartbeat_event(rewinding.cursor)
        try:
            place = await rewinding.run()
            # The place may be one of the history before.
            missed = Missed(str(place), ring.last) if self.feed.leaps != leaps else None
            following = self._follow(stream, ring.before(1) if missed else place, missed)
            stack.enter_context(following)
        except Exception:
            logger.exception("a rewind failed", extra=dict(stream.labels))
            stream.end(EndReason.ERROR)


class _Followed(AbstractAsyncContextManager[None]):
    """What a stream without a rewind does; as a generator it took 5 % of a connect."""

    __slots__ = ("_expiry", "_following", "_stream", "_subscriber")

    def __init__(self, following: Following, stream: Stream) -> None:
        self._following = following
        self._stream = stream

    async def __aenter__(self) -> None:
        following = self._following
        self._expiry = following.begin(self._stream)
        try:
            self._subscriber = following.feed.join(
                self._stream,
                following.start.place,
                following.subscription,
                missed=following.start.missed,
                heartbeat_events=following.heartbeat_events,
            )
        except BaseException:
            self._cancel_expiry()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._cancel_expiry()
        self._following.feed.leave(self._subscriber)

    def _cancel_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
