"""GET /events: the time, as a stream that can be resumed."""

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.clock import Clock
from barestream.delivery.resume import Resumption
from barestream.web.cursor import last_event_ids
from barestream.web.follow import follow
from barestream.web.form import MalformedFormError
from barestream.web.problems import bad_request


class ClockStream:
    """The handler; each client follows the clock's feed from its own place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the ticks after the client's last one, or with the newest, then live ones."""
        feed = self._clock.feed
        try:
            named = last_event_ids(request)
            last_id = self._clock.newest(named)
            place = self._clock.resume(last_id)
            missed_after = last_id if self._clock.is_ahead(last_id) else None
            preceding = max(place, feed.ring.floor)
            start = Resumption(place, str(preceding), missed_after, is_resumed=bool(named))
            return follow(request, feed, start)
        except MalformedFormError as error:
            return bad_request(f"The query cannot be read. {error}").response()
