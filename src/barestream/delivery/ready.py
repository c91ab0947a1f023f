"""The event that tells a client that its replay is over. Pure."""

import json
from collections.abc import Iterable

from barestream.delivery.cursor import Cursor
from barestream.history.record import Place, Record
from barestream.mercure.reserved import READY_TYPE
from barestream.mercure.sse import Event, Frame, encode, frame


class Ready:
    """What the event says: which topics had nothing.

    Args:
        topics: The exact topics of the client.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        self._empty = dict.fromkeys(topics)

    def saw(self, record: Record) -> None:
        """Note that the client was sent an update."""
        for topic in record.topics:
            self._empty.pop(topic, None)

    def frame(self, place: Place) -> Frame:
        """Return the event.

        Args:
            place: Up to where the client has been sent everything.
        """
        data = json.dumps({"empty": list(self._empty)})
        return frame(encode(Event(data, str(Cursor(place)), READY_TYPE)))
