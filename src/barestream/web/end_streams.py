"""POST /_end-streams: an nginx that stops asks each worker to end its streams properly."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse
from bareutils import header

from barestream.delivery.streams import Streams
from barestream.web.answers import no_content
from barestream.web.open_publishes import OpenPublishes
from barestream.web.refusals import problem

# The path of the request; nginx answers 404 to clients that ask for it.
END_STREAMS = "/_end-streams"

# When app and nginx are stopped together, the app gets its own signal a few milliseconds before or
# after nginx's request. The streams are left open for this time, so that the drain can end all of
# them over its own time.
SIGNAL_GRACE_SECONDS = 0.3

# The streams then end evenly over this time. nginx accepts no request meanwhile, and its container
# needs about another second until it is back.
END_SECONDS = 0.7

# How long nginx is away after the first stream has ended. A client that reconnects sooner fails,
# and has to wait once more.
AWAY_MS = 1500


class EndStreams:
    """The handler. The worker continues to run, and accepts new streams meanwhile.

    Args:
        streams: The streams that it ends.
        publishes: The streamed publishes that it ends.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        streams: Streams,
        publishes: OpenPublishes,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._streams = streams
        self._publishes = publishes
        self._sleep = sleep

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 204 once each stream and streamed publish was ended; 503 if the worker drains.

        A worker that drains ends its streams itself, over BARESTREAM_DRAIN_SECONDS.
        """
        # nginx sets this header on each client's request, but not on its own request.
        if header.find(b"x-forwarded-for", request.scope["headers"]) is not None:
            return problem(HTTPStatus.NOT_FOUND, f"There is nothing at {END_STREAMS}.")
        await self._sleep(SIGNAL_GRACE_SECONDS)
        if not self._streams.draining:
            self._publishes.end()
            await self._streams.end_streams(END_SECONDS, AWAY_MS, self._sleep)
        if self._streams.draining:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "This worker is draining.")
        return no_content()
