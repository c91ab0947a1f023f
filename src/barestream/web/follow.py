"""A stream that follows a feed, for any endpoint that has one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.feed import Feed
from barestream.delivery.resume import Resumption
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.web.event_stream import StreamResponse

# A timer is a 32-bit number of milliseconds in some loops; a stream that has lived for so long
# can come back.
_MOST_TIMER_SECONDS = 24 * 86_400


def follow(request: HttpRequest, following: "Following") -> HttpResponse:
    """Return a response that follows a feed.

    Its Last-Event-ID says where it starts: where that is not what was asked for, the client knows
    that it was not resumed from there.
    """
    headers = []
    if following.start.preceding_id is not None:
        headers.append((b"last-event-id", following.start.preceding_id.encode()))
    return StreamResponse.opened(request, following, headers)


@dataclass(slots=True)
class Following:
    """What a stream follows, and until when: a source.

    Attributes:
        feed: What is followed.
        start: Where the client stands.
        heartbeat_events: Whether heartbeats are events.
        subscription: What of it is sent.
        expires_in_seconds: When the stream ends for good.
    """

    feed: Feed
    start: Resumption
    heartbeat_events: bool
    subscription: Subscription = EVERYTHING_PUBLIC
    expires_in_seconds: float | None = None

    @asynccontextmanager
    async def __call__(self, stream: Stream) -> AsyncIterator[None]:
        if self.start.is_resumed and stream.end_reason is None:
            # Not where it was turned away.
            self.feed.metrics.resumed.inc()
        expiry = None
        if self.expires_in_seconds is not None:
            expiry = asyncio.get_running_loop().call_later(
                min(self.expires_in_seconds, _MOST_TIMER_SECONDS), stream.end, EndReason.EXPIRED
            )
        try:
            with self.feed.follow(
                stream,
                self.start.place,
                self.subscription,
                missed_after=self.start.missed_after,
                heartbeat_events=self.heartbeat_events,
            ):
                yield
        finally:
            if expiry is not None:
                expiry.cancel()
