"""GET /events: the time, as a stream that can be resumed."""

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.clock import Clock
from barestream.web.cursor import last_event_ids
from barestream.web.follow import Following, follow
from barestream.web.form import query
from barestream.web.refusals import Refused
from barestream.web.stream_request import wants_heartbeat_events


class ClockStream:
    """The handler; each client follows the clock's feed from its own place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the ticks after the client's last one, or with the newest, then live ones."""
        try:
            ids, heartbeat_events = last_event_ids(request), wants_heartbeat_events(query(request))
        except Refused as refused:
            return refused.response()
        start = self._clock.resumption(ids)
        return follow(request, Following(self._clock.feed, start, heartbeat_events))
