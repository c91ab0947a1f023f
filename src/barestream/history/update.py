"""What a publisher says, and where the log has put it. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from barestream.history.gap import GAP_TYPE, gap_data
from barestream.history.record import Place, Record
from barestream.mercure.sse import Event, encode


@dataclass(frozen=True, slots=True)
class Update:
    """An event for the streams that want one of its topics.

    Attributes:
        topics: The first is the canonical one, the others are alternates. None at all is for
            every stream: what publishers could not say, that updates are lost.
        event: What the streams get. Its id is the publisher's own, if it gave one.
        private: Whether only those may read it whose token covers one of the topics.
    """

    topics: tuple[str, ...]
    event: Event
    private: bool = False


class Entry(NamedTuple):
    """An update in the log.

    Attributes:
        place: Where it stands in the one order.
        update: What was published.
    """

    place: Place
    update: Update

    @property
    def id(self) -> str:
        """The id that clients see: the publisher's own, else the place."""
        return self.update.event.id or str(self.place)

    @property
    def record(self) -> Record:
        """The entry as a worker's log keeps it: its event encoded, with the id that clients see."""
        event = self.update.event
        body = encode(Event(event.data, self.id, event.type, event.retry_ms))
        return Record(self.place, body, self.update.topics, self.update.private, event.id)


def lost(upto: Place) -> Update:
    """Return what tells every stream that updates up to a place are gone."""
    return Update((), Event(gap_data(None, upto), type=GAP_TYPE))
