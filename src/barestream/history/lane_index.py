"""Which updates of a history each topic has, and which it has no longer. Pure."""

from collections.abc import Iterable, Iterator
from heapq import merge

from barestream.history.record import BEGIN, Place, Record
from barestream.history.sorted_list import SortedList
from barestream.history.topic_state import Reader


class Lane(SortedList[Place]):
    """The places of the public, or of the private, updates of a topic that are in the history.

    Args:
        floor: See the attribute.

    Attributes:
        floor: The newest place of an update of the lane that has left it, or of one of any lane
            if this lane's own updates before it are not known.
    """

    __slots__ = ("floor",)

    def __init__(self, floor: Place) -> None:
        super().__init__()
        self.floor = floor


class LaneIndex:
    """The lanes of a history.

    Args:
        begin: The place after which no update has left the history.

    Attributes:
        places: How many places all lanes have together.
        gone_several: The newest place of a private update with several topics that has left the
            history or a lane.
    """

    def __init__(self, begin: Place) -> None:
        # Each of these pairs has the public kind, then the private one.
        self._lanes: tuple[dict[str, Lane], dict[str, Lane]] = ({}, {})
        self._shared_floors = [begin, begin]
        self._gone = [begin, begin]
        # The lanes without places: their floor, kind and topic.
        self._emptied: SortedList[tuple[Place, bool, str]] = SortedList()
        self.places = 0
        self._count = 0
        self.gone_several = begin

    def __len__(self) -> int:
        """Return how many lanes there are."""
        return self._count

    @property
    def gone(self) -> Place:
        """The newest place of an update that has left the history."""
        return max(self._gone)

    @property
    def emptied_count(self) -> int:
        """How many lanes have no places."""
        return len(self._emptied)

    def lane(self, topic: str, *, private: bool) -> Lane | None:
        """Return the lane of a topic and a kind; None if it is not in the index."""
        return self._lanes[private].get(topic)

    def floor_of(self, topic: str, *, private: bool) -> Place:
        """Return the newest place of an update that has left a lane."""
        lane = self._lanes[private].get(topic)
        return self._shared_floors[private] if lane is None else lane.floor

    def floor(self, reader: Reader | None) -> Place:
        """Return the newest place of an update that has left, as far as a reader may know of it.

        Args:
            reader: The reader; None for one that may know of every update.
        """
        if reader is None:
            return self.gone
        if reader.topics is None:
            return self.gone if reader.has_rights else self._gone[False]
        floors = [self.floor_of(topic, private=False) for topic in reader.topics]
        for topic in reader.topics:
            if topic in reader.covered:
                floors.append(self.floor_of(topic, private=True))
            elif reader.has_rights:
                floors.append(self.gone_several)
        return max(floors, default=BEGIN)

    def after(self, place: Place, reader: Reader) -> Iterator[Place]:
        """Yield the places of the updates after a place that have one of the reader's topics.

        Args:
            place: The place.
            reader: A reader; it names its topics.
        """
        lanes = []
        for topic in dict.fromkeys(reader.topics or ()):
            lanes.append(self._lanes[False].get(topic))
            if reader.has_rights or topic in reader.covered:
                lanes.append(self._lanes[True].get(topic))
        last = place
        for each in merge(*(lane.after(place) for lane in lanes if lane)):
            if each > last:
                yield each
                last = each

    def add(self, record: Record) -> None:
        """Add an update that is newer than the others."""
        lanes = self._lanes[record.private]
        for topic in _topics(record):
            lane = lanes.get(topic)
            if lane is None:
                lane = lanes[topic] = Lane(self._shared_floors[record.private])
                self._count += 1
            elif not lane:
                self._emptied.discard((lane.floor, record.private, topic))
            lane.add(record.place)
            self.places += 1

    def remove(self, record: Record) -> None:
        """Remove an update, which has left the history."""
        for topic in _topics(record):
            self._leave(record, topic)
        self._gone[record.private] = max(self._gone[record.private], record.place)
        if record.private and len(record.topics) > 1:
            self.gone_several = max(self.gone_several, record.place)

    def remove_from_lane(self, record: Record, topic: str) -> None:
        """Remove an update of several topics from the lane of one of them."""
        self._leave(record, topic)
        if record.private:
            self.gone_several = max(self.gone_several, record.place)

    def drop_emptied(self) -> bool:
        """Drop the lane without places that has the lowest floor; return whether there is one."""
        if not self._emptied:
            return False
        floor, private, topic = self._emptied.first
        self._emptied.discard((floor, private, topic))
        del self._lanes[private][topic]
        self._count -= 1
        self._shared_floors[private] = max(self._shared_floors[private], floor)
        return True

    def _leave(self, record: Record, topic: str) -> None:
        lane = self._lanes[record.private].get(topic)
        # The update may have left this lane before.
        if lane is not None and lane.discard(record.place):
            self.places -= 1
            lane.floor = max(lane.floor, record.place)
            if not lane:
                self._emptied.add((lane.floor, record.private, topic))


def _topics(record: Record) -> Iterable[str]:
    """Return the topics of an update, each once."""
    return dict.fromkeys(record.topics)
