"""POST /_end-streams: an nginx that stops asks for a proper end of the streams that it carries."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse
from bareutils import header

from barestream.hub import Hub
from barestream.web.problems import problem

# The path of the request, which nginx passes on to nobody.
END_STREAMS = "/_end-streams"

# Where app and nginx are stopped together, the app's own signal comes a few milliseconds after
# nginx's request, or before it. Streams are left alone for so long, or the drain would be shorter
# by those that have ended already.
SIGNAL_GRACE_SECONDS = 0.3

# Then they end evenly over this time. All of it is time in which nginx takes no new request, and
# its container needs about a second more to be there again.
END_SECONDS = 0.7

# nginx is away for so long after the first of them has ended: a client that comes sooner finds
# nobody, and waits once more.
AWAY_MS = 1500


class EndStreams:
    """The handler. The worker goes on, and takes new streams all the while.

    Args:
        hub: Whose streams are ended.
        sleep: Waits for so many seconds.
    """

    def __init__(self, hub: Hub, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._hub = hub
        self._sleep = sleep

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 204 once each stream was ended; 503 where the worker drains.

        A worker that drains ends its streams itself, over BARESTREAM_DRAIN_SECONDS.
        """
        # nginx sets it on all that it passes on, so this did not come from outside.
        if header.find(b"x-forwarded-for", request.scope["headers"]) is not None:
            return problem(HTTPStatus.NOT_FOUND, f"There is nothing at {END_STREAMS}.")
        await self._sleep(SIGNAL_GRACE_SECONDS)
        if not self._hub.draining:
            await self._hub.end_streams(END_SECONDS, AWAY_MS, self._sleep)
        if self._hub.draining:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "This worker is draining.")
        return HttpResponse(HTTPStatus.NO_CONTENT, [(b"cache-control", b"no-store")])
