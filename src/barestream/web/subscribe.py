"""GET and QUERY /.well-known/mercure: a stream of the updates of some topics.

Sources: https://mercure.rocks/spec#subscription; for 0.x the tag v0.24.2 of dunglas/mercure
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.resume import LIVE, Resumption
from barestream.delivery.rewinding import Rewinding
from barestream.delivery.shared_choices import SharedChoices
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import Streams
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.broker import BrokerAwayError
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.version import Version
from barestream.web.answers import no_content
from barestream.web.attending import Attending
from barestream.web.authorization import Authorization
from barestream.web.beginnings import Beginnings
from barestream.web.cursor import is_moved_on
from barestream.web.event_stream import STREAMS, StreamResponse, turned_away
from barestream.web.follow import Following, follow
from barestream.web.form import query
from barestream.web.reads import ReadBounds, ended, newest, read, unready, wants_page
from barestream.web.refusals import Refused, bad_request
from barestream.web.stream_request import PARAMETERS, StreamRequest, switched_off


class Subscribe:
    """The handler.

    Args:
        tail: Fills the feed that the streams follow.
        authorization: Determines what a client may read.
        beginnings: Finds out how a stream begins.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        attending: Has streams be known to those who may see who subscribes; None if nobody may.
    """

    def __init__(
        self,
        tail: Tail,
        authorization: Authorization,
        beginnings: Beginnings,
        now: Callable[[], float],
        attending: Attending | None = None,
    ) -> None:
        self._tail = tail
        self._authorization = authorization
        self._beginnings = beginnings
        self._now = now
        self._attending = attending
        self._choose = SharedChoices()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the updates after the client's last one, then live ones.

        A client that cannot be served yet gets a stream that ends at once, after which an
        EventSource comes back. One that asks for JSON, or for the headers alone, gets an error.
        """
        try:
            return await self._answer(request)
        except Refused as refused:
            return refused.response()
        except (BrokerAwayError, TooManyPatternsError):
            if request.scope["method"] != "HEAD" and not wants_page(request):
                return self._come_back(request)
            return unready("The history does not answer, or the worker is full.").response()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        asked = await StreamRequest.read(request)
        version = self._version(asked)
        bearer = await self._authorization.subscriber(request, version)
        bounds = ReadBounds(query(request)) if wants_page(request) else None
        subscription = await self._beginnings.subscription(
            asked, bearer.subscribe, names_topics=bounds is not None
        )
        feed = self._tail.feed
        if not self._tail.filled:
            raise BrokerAwayError("the history was not read yet")
        id_header = b"last-event-id" if version is Version.ZERO else b"mercure-last-event-id"
        if request.scope["method"] == "HEAD":
            return newest(id_header, str(feed.ring.last))
        if bounds is not None or asked.last_event_ids:
            # A question to the history needs a task; a request that has none becomes one when it
            # waits.
            await asyncio.sleep(0)
        if bounds is not None:
            await self._tail.catch_up()
        start, plan = LIVE, None
        if asked.last_event_ids or asked.state.rewind is not None:
            start, plan = await self._beginnings.beginning(
                asked,
                subscription,
                is_moved_on=asked.state.rewind is not None and is_moved_on(request),
            )
        following = Following(
            feed,
            start,
            asked.heartbeat_events,
            subscription,
            self._authorization.lasts_seconds(bearer, self._now()),
            None if plan is None else partial(Rewinding, self._tail, plan, choose=self._choose),
            bounds is not None or "ready" in asked.state.includes,
            bearer.token,
            self._authorization.revoked,
        )
        if plan is None and feed.ends and self._is_over(start, subscription):
            if bounds is not None:
                return ended(str(start.place or feed.ring.last))
            return no_content()
        if bounds is not None:
            page = await read(request, following, bounds)
            self._authorization.check_not_revoked(request, bearer)
            return page
        if self._attending is None:
            return follow(request, following, id_header)
        source = self._attending.source(following, asked, bearer)
        return follow(request, following, id_header, source)

    def _is_over(self, start: Resumption, subscription: Subscription) -> bool:
        """Return whether the client has got all of its topics' last updates."""
        feed = self._tail.feed
        is_told = start.missed is not None and start.missed.after is not None
        place = feed.ring.last if start.place is None else start.place
        return not is_told and feed.ends.are_over(subscription, place)

    def _version(self, asked: StreamRequest) -> Version:
        version = asked.version
        if version is None:
            names = [PARAMETERS[each] for each in Version if self._authorization.speaks(each)]
            raise bad_request(f"Expected at least one parameter {' or '.join(names)}.")
        if not self._authorization.speaks(version):
            raise switched_off(version)
        return version

    def _come_back(self, request: HttpRequest) -> HttpResponse:
        streams: Streams = request.info[STREAMS]

        @asynccontextmanager
        async def turn_away(stream: Stream) -> AsyncIterator[None]:
            streams.turn_away(stream, EndReason.UNREADY)
            yield

        return StreamResponse.opened(request, turn_away, turned_away(EndReason.UNREADY))
