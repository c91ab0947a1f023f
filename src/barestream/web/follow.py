"""A response that follows a feed; both endpoints of streams use it."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.feed import Feed
from barestream.delivery.resume import Resumption
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.web.event_stream import StreamResponse

# In some event loops a timer is a 32-bit number of milliseconds. A client whose stream ends after
# this time can resume.
_MOST_TIMER_SECONDS = 24 * 86_400


def follow(
    request: HttpRequest, following: "Following", id_header: bytes = b"last-event-id"
) -> HttpResponse:
    """Return a response that follows a feed.

    A header names the event after which it starts. If that is not the id that the client sent, the
    client knows that the stream was not resumed from there.

    Args:
        request: The request.
        following: The source of the stream.
        id_header: The name of that header.
    """
    headers = []
    if following.start.preceding_id is not None:
        headers.append((id_header, following.start.preceding_id.encode()))
    return StreamResponse.opened(request, following, headers)


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
    """

    feed: Feed
    start: Resumption
    heartbeat_events: bool
    subscription: Subscription = EVERYTHING_PUBLIC
    lasts_seconds: float = math.inf

    @asynccontextmanager
    async def __call__(self, stream: Stream) -> AsyncIterator[None]:
        if self.start.is_resumed and stream.end_reason is None:
            # A stream that was turned away does not count.
            self.feed.metrics.resumed.inc()
        expiry = None
        if self.lasts_seconds < math.inf:
            expiry = asyncio.get_running_loop().call_later(
                min(self.lasts_seconds, _MOST_TIMER_SECONDS), stream.end, EndReason.EXPIRED
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
