"""Reads the history in the memory of one process. Pure."""

import math
from collections.abc import Sequence
from itertools import islice, takewhile

from barestream.history.broker import MOST_FOUND, MOST_PAGE_BYTES, Page
from barestream.history.kept_values import KeptValues
from barestream.history.lane_index import Lane
from barestream.history.local_log import LocalLog
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.topic_state import Newest, Reader, Rewind, Rewound


class LocalPages:
    """Answers the questions that change nothing.

    Args:
        log: The updates.
        kept: The kept values.
    """

    def __init__(self, log: LocalLog, kept: KeptValues) -> None:
        self._log = log
        self._kept = kept

    def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        floor = self._log.index.gone
        records: list[Record] = []
        total_bytes = 0
        for place in reversed(self._log):
            entry = self._log[place]
            total_bytes += entry.size_bytes
            if len(records) == most_events or (records and total_bytes > most_bytes):
                floor = max(floor, place)
                break
            records.append(entry.record)
        left = [record for record in reversed(records) if record.place > floor]
        return Page(floor, left, upto=max(floor, self._log.newest_place))

    def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        """Return the updates that follow a place (see Broker)."""
        floor = max(after, self._log.index.floor(reader))
        upto = max(floor, self._log.newest_place) if most_events else floor
        if reader is None or reader.topics is None:
            following = self._log.after(after)
        else:
            following = self._log.index.after(after, reader)
        records: list[Record] = []
        page_bytes = 0
        for place in islice(following, most_events):
            entry = self._log[place]
            records.append(entry.record)
            page_bytes += entry.size_bytes
            if page_bytes >= most_bytes or len(records) == most_events:
                upto = place
                break
        is_known = after <= self._log.index.gone or after in self._log
        return Page(floor, records, is_known, upto)

    def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        following = (record for record in self._log.ids.records(event_id) if record.place > after)
        return [
            Known(record.place, record.topics, record.private)
            for record in islice(following, MOST_FOUND)
        ]

    def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places (see Broker)."""
        return [self._log[place].record for place in sorted({*places}) if place in self._log]

    def rewound(
        self,
        topics: Sequence[str],
        rewind: Rewind,
        most_events: int,
        *,
        all_kept: bool,
        now_ms: float,
    ) -> Rewound:
        """Return the newest updates of topics, and kept values (see Broker)."""
        kept = {topic: record for topic in topics if (record := self._kept.get(topic, now_ms))}
        newest = {}
        for topic in topics:
            since, wanted = BEGIN, most_events
            if rewind.seconds is not None:
                since = Place(math.ceil(now_ms - 1000 * rewind.seconds), 0)
            elif rewind.events is not None:
                wanted = min(most_events, rewind.events)
            elif topic in kept:
                since = Place(kept[topic].place.ms, kept[topic].place.seq + 1)
            else:
                wanted = 0
            index = self._log.index
            public, private = (
                _newest_of(index.lane(topic, private=private), since, wanted)
                for private in (False, True)
            )
            floors = (
                index.floor_of(topic, private=False),
                index.floor_of(topic, private=True),
            )
            newest[topic] = Newest(public, private, floors)
        kept = self._kept.all(now_ms) if all_kept else kept
        return Rewound(self._log.newest_place, newest, kept)


def _newest_of(lane: Lane | None, since: Place, most: int) -> list[Place]:
    """Return the newest places of a lane from a place on, oldest first."""
    following = takewhile(lambda place: place >= since, reversed(lane or ()))
    return list(islice(following, most))[::-1]
