"""GET /events: the time, as a stream that can be resumed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from bareasgi import HttpRequest, HttpResponse
from bareutils import header

from barestream.event_log import Place
from barestream.feed import Feed
from barestream.stream import Stream
from barestream.web.event_stream import open_stream


class ClockStream:
    """The handler; each client follows the clock's feed from its own place."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the ticks after the client's last one, or with the newest, then live ones.

        The response's Last-Event-ID names the event before the first one sent: where it is not
        the one asked for, the client knows that it was not resumed from there.
        """
        place = self._feed.resume(last_event_id(request))

        @asynccontextmanager
        async def follow(stream: Stream) -> AsyncIterator[None]:
            with self._feed.follow(stream, place):
                yield

        before: Place = max(place, self._feed.log.floor)
        return open_stream(request, follow, [(b"last-event-id", str(before).encode())])


def last_event_id(request: HttpRequest) -> str | None:
    """Return the id that the client saw last: from the header, else from the query."""
    sent = header.find(b"last-event-id", request.scope["headers"])
    if sent:
        return sent.decode(errors="replace")
    query = parse_qs(request.scope["query_string"].decode("latin-1"))
    return query.get("lastEventID", [None])[0]
