"""The parameters of a request for a stream."""

from typing import NamedTuple

from bareasgi import HttpRequest

from barestream.web.cursor import last_event_ids
from barestream.web.form import query


class StreamRequest(NamedTuple):
    """A request for a stream, read once.

    Attributes:
        topics: The topic selectors that it names.
        last_event_ids: The ids of the last event that its client saw, from each place where the
            request names one.
        heartbeat_events: Whether heartbeats are to be events (heartbeat=event).
    """

    topics: list[str]
    last_event_ids: list[str]
    heartbeat_events: bool

    @classmethod
    def read(cls, request: HttpRequest) -> "StreamRequest":
        """Read a request.

        Raises:
            Refused: The query is not a valid form.
        """
        form = query(request)
        return cls(
            form.get("topic", []), last_event_ids(request), form.get("heartbeat") == ["event"]
        )
