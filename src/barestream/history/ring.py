"""The newest encoded events, bounded in number and size, in a worker's memory.

Pure. A stream that follows the ring has one place; live and replayed events are read alike.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from barestream.history.record import Place, Record


class Ring:
    """A ring of the newest events, oldest first.

    Args:
        capacity_events: How many events it keeps; one more removes the oldest.
        floor: The place after which no event is missing. A reader at an earlier place has missed
            events that are no longer here.
        capacity_bytes: How large their bodies may be together; the newest event is kept even if
            it is larger. None means no bound.

    Attributes:
        restarts: How often the ring was restarted. Events that were read from its source before a
            restart may come from another history.
    """

    def __init__(
        self, capacity_events: int, floor: Place, capacity_bytes: int | None = None
    ) -> None:
        self.restarts = -1
        self.capacity_events = capacity_events
        self._capacity_bytes = capacity_bytes
        # Ordinals count every event ever appended; ordinal n is in slot n % capacity_events.
        self._first = self._end = 0
        self.restart(floor)

    def restart(self, floor: Place) -> None:
        """Remove every event; no event is missing from ``floor`` on."""
        self.restarts += 1
        self.floor = self.last = floor
        self._records: list[Record | None] = [None] * self.capacity_events
        self._by_own_id: dict[str, Record] = {}
        self._first = self._end
        self._size_bytes = 0

    def __len__(self) -> int:
        return self._end - self._first

    def before(self, events: int) -> Place:
        """Return the place that a reader of the newest ``events`` events starts from."""
        ordinal = self._end - 1 - events
        return self._at(ordinal).place if ordinal >= self._first else self.floor

    def append(self, record: Record) -> None:
        """Add an event.

        Raises:
            ValueError: Its place is not after the last one.
        """
        if record.place <= self.last:
            raise ValueError(f"{record.place} is not after {self.last}")
        if len(self) == self.capacity_events:
            self._drop_first()
        self._records[self._end % self.capacity_events] = record
        self._end += 1
        self._size_bytes += len(record.body)
        self.last = record.place
        # Before an update that repeats an id the history may have one that is not in the ring.
        if record.own_id is not None and not record.repeats:
            self._by_own_id.setdefault(record.own_id, record)
        if self._capacity_bytes is not None:
            while self._size_bytes > self._capacity_bytes and len(self) > 1:
                self._drop_first()

    def drop(self, upto: Place) -> None:
        """Remove the events up to a place."""
        while len(self) and self._at(self._first).place <= upto:
            self._drop_first()

    def after(self, place: Place) -> Iterator[Record]:
        """Yield the events that follow a place, oldest first.

        The ring may change meanwhile: the iteration ends before an event that was removed, and
        includes events that were appended.

        Args:
            place: The reader's place, at the floor or later.
        """
        ordinal = self._ordinal_after(place)
        while self._first <= ordinal < self._end:
            yield self._at(ordinal)
            ordinal += 1

    def at(self, place: Place) -> Record | None:
        """Return the event at a place; None if there is none."""
        ordinal = self._first + bisect_left(
            range(self._first, self._end), place, key=lambda ordinal: self._at(ordinal).place
        )
        if ordinal == self._end or self._at(ordinal).place != place:
            return None
        return self._at(ordinal)

    def last_until(self, place: Place) -> Place:
        """Return the place of the newest event at or before a place; the floor if there is none.

        Args:
            place: At the floor or later.
        """
        ordinal = self._ordinal_after(place)
        return self._at(ordinal - 1).place if ordinal > self._first else self.floor

    def find(self, own_id: str) -> Record | None:
        """Return the earliest event with this id of its publisher.

        None means that the ring has no event with this id, or that the history may have an earlier
        one that is not in the ring.
        """
        return self._by_own_id.get(own_id)

    def _ordinal_after(self, place: Place) -> int:
        return self._first + bisect_right(
            range(self._first, self._end), place, key=lambda ordinal: self._at(ordinal).place
        )

    def _at(self, ordinal: int) -> Record:
        record = self._records[ordinal % self.capacity_events]
        assert record is not None  # noqa: S101 (ordinals lie between first and end)
        return record

    def _drop_first(self) -> None:
        dropped = self._at(self._first)
        self._records[self._first % self.capacity_events] = None
        self._first += 1
        self.floor = dropped.place
        self._size_bytes -= len(dropped.body)
        if dropped.own_id is not None and self._by_own_id.get(dropped.own_id) is dropped:
            del self._by_own_id[dropped.own_id]
