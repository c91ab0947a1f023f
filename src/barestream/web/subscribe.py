"""GET /.well-known/mercure: a stream of the updates of some topics.

Source: https://mercure.rocks/spec#subscription, as of version 0.24 of the reference hub.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.resume import resumption
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import Streams
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.broker import BrokerAwayError
from barestream.mercure.selectors import InvalidSelectorError, Selectors
from barestream.web.authorization import Authorization
from barestream.web.event_stream import StreamResponse, turned_away
from barestream.web.follow import Following, follow
from barestream.web.refusals import Refused, bad_request
from barestream.web.stream_request import StreamRequest

# The most URI templates of one stream: each is tried for each update.
MOST_TEMPLATES = 10

# The most steps of all templates of a stream together: ten templates of three variables each, or
# one with a variable that keeps its first 50 characters. The templates of each anonymous stream
# take memory, and time at each update.
MOST_TEMPLATE_STEPS = 1000


@dataclass(frozen=True, slots=True)
class SubscribeLimits:
    """Limits of a subscription.

    Attributes:
        topics: The most topic selectors.
        templates: The most URI templates among them.
    """

    topics: int
    templates: int


class Subscribe:
    """The handler.

    Args:
        tail: Fills the feed that the streams follow.
        streams: Turns streams away that cannot be served yet.
        authorization: Determines what a client may read.
        limits: Limits of a subscription.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        tail: Tail,
        streams: Streams,
        authorization: Authorization,
        limits: SubscribeLimits,
        now: Callable[[], float],
    ) -> None:
        self._tail = tail
        self._streams = streams
        self._authorization = authorization
        self._limits = limits
        self._now = now

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the updates after the client's last one, then live ones.

        A client that cannot be served yet gets a stream that ends at once, after which an
        EventSource comes back.
        """
        try:
            bearer = self._authorization.subscriber(request)
            asked = StreamRequest.read(request)
            subscription = Subscription(self._selectors(asked.topics), bearer.subscribe)
            if not self._tail.filled:
                return self._come_back(request)
            start = await resumption(self._tail, subscription, asked.last_event_ids)
        except Refused as refused:
            return refused.response()
        except BrokerAwayError:
            return self._come_back(request)
        expires_in_seconds = None
        if bearer.expires_at is not None:
            expires_in_seconds = max(0.0, bearer.expires_at - self._now())
        feed, heartbeat_events = self._tail.feed, asked.heartbeat_events
        return follow(
            request, Following(feed, start, heartbeat_events, subscription, expires_in_seconds)
        )

    def _selectors(self, topics: list[str]) -> Selectors:
        if not topics:
            raise bad_request("Expected at least one topic in the query.")
        if len(topics) > self._limits.topics:
            raise bad_request(
                f"The query has {len(topics)} topics; at most {self._limits.topics} are allowed."
            )
        # The number is checked first, because parsing templates takes time too.
        templates = sum("{" in topic for topic in topics)
        if templates > self._limits.templates:
            raise bad_request(
                f"The query has {templates} URI templates; at most {self._limits.templates} are "
                "allowed."
            )
        try:
            return Selectors(topics, MOST_TEMPLATE_STEPS)
        except InvalidSelectorError as error:
            raise bad_request(str(error)) from None

    def _come_back(self, request: HttpRequest) -> HttpResponse:
        @asynccontextmanager
        async def turn_away(stream: Stream) -> AsyncIterator[None]:
            self._streams.turn_away(stream, EndReason.UNREADY)
            yield

        return StreamResponse.opened(request, turn_away, turned_away(EndReason.UNREADY))
