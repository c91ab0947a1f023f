"""The updates of a history in the memory of one process, and what leads to them. Pure."""

import math
from collections.abc import Iterable, Iterator

from barestream.history.broker import HistoryBounds, Weights
from barestream.history.entry import Entry
from barestream.history.extent import Extent
from barestream.history.lane_index import LaneIndex
from barestream.history.own_ids import OwnIds
from barestream.history.record import BEGIN, Place, Record
from barestream.history.sorted_list import SortedList
from barestream.history.update import Update

# In CPython 3.11 a record with its place and topics takes 490 bytes, and its entry in the table of
# ids, with its digest, 130; a later one with the same id takes no more. A lane takes 270 bytes, and
# 80 more for its topic's text, which the index keeps when the update with it has left. A place in
# it takes 9 to 17 bytes.
WEIGHTS = Weights(1, 490, 130, 350, 16)


class LocalLog:
    """The updates by place, with the index of their topics and the table of their ids.

    Removals that may take long yield how many steps each part of them took: a step is an update,
    or a lane that it leaves. Between them the log is whole.

    Args:
        bounds: What it keeps.
        begin: The place after which no update has left the history.

    Attributes:
        index: The lanes of its topics.
        ids: The ids that publishers gave.
    """

    def __init__(self, bounds: HistoryBounds, begin: Place) -> None:
        self._bounds = bounds
        self._entries: dict[Place, Entry] = {}
        self._places: SortedList[Place] = SortedList()
        self._size_bytes = 0
        self.index = LaneIndex(begin)
        self.ids = OwnIds()
        # The lanes that have more than bounds.topic_events, because these are young.
        self._full_lanes: dict[tuple[str, bool], None] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._entries

    def __getitem__(self, place: Place) -> Entry:
        return self._entries[place]

    def __reversed__(self) -> Iterator[Place]:
        """Yield the places of the updates, newest first."""
        return reversed(self._places)

    def after(self, place: Place) -> Iterator[Place]:
        """Yield the places of the updates that follow a place, oldest first."""
        return self._places.after(place)

    def extent(self, now_ms: float) -> Extent:
        """Return how much there is."""
        oldest_ms = self._places.first.ms if self._places else now_ms
        age_seconds = max(0.0, now_ms - oldest_ms) / 1000
        return Extent(len(self._entries), math.ceil(self._held_bytes), age_seconds)

    @property
    def newest_place(self) -> Place:
        """The newest place of an update that is in the history, or was."""
        gone = self.index.gone
        return max(self._places.last, gone) if self._places else gone

    def add(self, entry: Entry) -> None:
        """Add an update that is newer than the others."""
        record = entry.record
        self._entries[record.place] = entry
        self._places.add(record.place)
        self._size_bytes += entry.size_bytes
        self.index.add(record)
        self.ids.add(entry)

    def forgotten(self, topic: str) -> Iterator[int]:
        """Remove the updates whose first topic is this one."""
        for private in (False, True):
            place = BEGIN
            while lane := self.index.lane(topic, private=private):
                following = next(lane.after(place), None)
                if following is None:
                    break
                place = following
                is_first = self._entries[place].record.topics[0] == topic
                yield self._remove(place) if is_first else 1

    def trimmed(self, lanes: Iterable[tuple[str, bool]], now_ms: float) -> Iterator[int]:
        """Remove what is beyond the bounds.

        Args:
            lanes: The topics and kinds (whether private) of lanes to which updates were added.
            now_ms: The time, in milliseconds since 1970-01-01 UTC.
        """
        # So a topic with many updates pushes no other topic's out.
        yield from self.crowded_out(lanes, now_ms)
        while True:
            has_many = len(self.index) > self._bounds.topics or self._has_large_emptied
            if has_many and self.index.drop_emptied():
                yield 1
            elif self._places and self._is_oldest_beyond(now_ms):
                yield self._remove(self._places.first)
            else:
                break

    def is_crowded(self, record: Record, now_ms: float) -> bool:
        """Return whether a topic of an update has more than it may have, of which some may leave.

        A topic whose updates are all too young is noted for later.
        """
        most_events = self._bounds.topic_events
        is_crowded = False
        for topic in record.topics:
            lane = self.index.lane(topic, private=record.private)
            if lane is not None and len(lane) > most_events:
                if lane.first.ms < now_ms - 1000 * self._bounds.topic_seconds:
                    is_crowded = True
                else:
                    self._full_lanes[topic, record.private] = None
        return is_crowded

    def is_beyond(self, now_ms: float) -> bool:
        """Return whether the history, which is not empty, is beyond a bound but that of topics.

        Topics without updates leave only when there are more topics, or more bytes, than may be.
        """
        return len(self.index) > self._bounds.topics or self._is_oldest_beyond(now_ms)

    def crowded_out(self, lanes: Iterable[tuple[str, bool]], now_ms: float) -> Iterator[int]:
        """Remove what is beyond the bound of single topics, lane after lane; see trimmed."""
        for topic, private in lanes:
            yield from self._trimmed_lane(topic, private, now_ms)

    def trimmed_later(self, now_ms: float) -> Iterator[int]:
        """Remove what is beyond the bounds as time has passed; see trimmed."""
        return self.trimmed(list(self._full_lanes), now_ms)

    def _trimmed_lane(self, topic: str, private: bool, now_ms: float) -> Iterator[int]:
        self._full_lanes.pop((topic, private), None)
        oldest_ms = now_ms - 1000 * self._bounds.topic_seconds
        while lane := self.index.lane(topic, private=private):
            if len(lane) <= self._bounds.topic_events:
                break
            place = lane.first
            if place.ms >= oldest_ms:
                self._full_lanes[topic, private] = None
                break
            record = self._entries[place].record
            if record.topics[0] == topic:
                yield self._remove(place)
            else:
                self.index.remove_from_lane(record, topic)
                yield 1

    @property
    def _has_large_emptied(self) -> bool:
        """Whether lanes without updates take so much that they leave before updates."""
        emptied_bytes = WEIGHTS.lane_bytes * self.index.emptied_count
        return 4 * emptied_bytes > self._bounds.bytes and self._held_bytes > self._bounds.bytes

    @property
    def _held_bytes(self) -> float:
        index = self.index
        return WEIGHTS.total(
            self._size_bytes, len(self._entries), len(self.ids), len(index), index.places
        )

    def _is_oldest_beyond(self, now_ms: float) -> bool:
        """Return whether the oldest update is beyond a bound of the whole history."""
        bounds, updates = self._bounds, len(self._entries)
        return (
            updates > bounds.events
            or self._places.first.ms < now_ms - 1000 * bounds.seconds
            or (
                updates > 1 and (len(self.index) > bounds.topics or self._held_bytes > bounds.bytes)
            )
        )

    def _remove(self, place: Place) -> int:
        """Remove an update; return how many steps that is."""
        entry = self._entries.pop(place)
        self._places.discard(place)
        self._size_bytes -= entry.size_bytes
        self.index.remove(entry.record)
        self.ids.remove(entry)
        return 1 + len(entry.record.topics)


def lanes_of(update: Update) -> list[tuple[str, bool]]:
    """Return the topics of an update, each with whether it is private."""
    return [(topic, update.private) for topic in update.topics]
