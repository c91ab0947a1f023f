"""GET /events: the time, as a stream that can be resumed."""

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.clock import Clock
from barestream.web.follow import Following, follow
from barestream.web.refusals import Refused
from barestream.web.stream_request import StreamRequest


class ClockStream:
    """The handler; each client follows the clock's feed from its own place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the ticks after the client's last one, or with the newest, then live ones."""
        try:
            asked = StreamRequest.read(request)
        except Refused as refused:
            return refused.response()
        start = self._clock.resumption(asked.last_event_ids)
        return follow(request, Following(self._clock.feed, start, asked.heartbeat_events))
