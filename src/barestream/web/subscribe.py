"""GET and QUERY /.well-known/mercure: a stream of the updates of some topics.

Sources: https://mercure.rocks/spec#subscription; for 0.x the tag v0.24.2 of dunglas/mercure
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.resume import resumption
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import Streams
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.broker import BrokerAwayError
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.version import Version
from barestream.web.authorization import Authorization
from barestream.web.event_stream import StreamResponse, turned_away
from barestream.web.follow import Following, follow
from barestream.web.refusals import Refused, bad_request
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import StreamRequest

# The parameter of each version.
_PARAMETERS = {Version.ZERO: "topic", Version.ONE: "match"}


class Subscribe:
    """The handler.

    Args:
        tail: Fills the feed that the streams follow.
        streams: Turns streams away that cannot be served yet.
        authorization: Determines what a client may read.
        reader: Reads what a request subscribes to.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        tail: Tail,
        streams: Streams,
        authorization: Authorization,
        reader: SelectorReader,
        now: Callable[[], float],
    ) -> None:
        self._tail = tail
        self._streams = streams
        self._authorization = authorization
        self._reader = reader
        self._now = now

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the updates after the client's last one, then live ones.

        A client that cannot be served yet gets a stream that ends at once, after which an
        EventSource comes back.
        """
        try:
            asked = await StreamRequest.read(request)
            version = self._version(asked)
            bearer = await self._authorization.subscriber(request, version)
            subscription = Subscription(await self._reader.read(asked), bearer.subscribe)
            if not self._tail.filled:
                return self._come_back(request)
            start = await resumption(self._tail, subscription, asked.last_event_ids)
        except Refused as refused:
            return refused.response()
        except (BrokerAwayError, TooManyPatternsError):
            return self._come_back(request)
        lasts_seconds = self._authorization.lasts_seconds(bearer, self._now())
        feed, heartbeat_events = self._tail.feed, asked.heartbeat_events
        following = Following(feed, start, heartbeat_events, subscription, lasts_seconds)
        is_zero = version is Version.ZERO
        return follow(request, following, b"last-event-id" if is_zero else b"mercure-last-event-id")

    def _version(self, asked: StreamRequest) -> Version:
        version = asked.version
        if version is None:
            names = [_PARAMETERS[each] for each in Version if self._authorization.speaks(each)]
            raise bad_request(f"Expected at least one parameter {' or '.join(names)}.")
        if not self._authorization.speaks(version):
            raise bad_request(
                f"{_PARAMETERS[version]} is a parameter of Mercure {version.value}, which is off: "
                "see BARESTREAM_PROTOCOLS."
            )
        return version

    def _come_back(self, request: HttpRequest) -> HttpResponse:
        @asynccontextmanager
        async def turn_away(stream: Stream) -> AsyncIterator[None]:
            self._streams.turn_away(stream, EndReason.UNREADY)
            yield

        return StreamResponse.opened(request, turn_away, turned_away(EndReason.UNREADY))
