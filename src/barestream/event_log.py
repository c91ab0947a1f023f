"""A bounded log of encoded events, and the places in it that clients resume from.

Pure. A stream that follows the log holds one place; live and replay are the same read.
"""

import re
from bisect import bisect_right
from typing import NamedTuple, Self

_PLACE = re.compile(r"#([0-9]{1,15})-([0-9]{1,20})")


class Place(NamedTuple):
    """Where an event stands in the one order: milliseconds, then a sequence number.

    The form is that of a Valkey stream id (https://valkey.io/topics/streams-intro/#entry-ids);
    on the wire it is ``#ms-seq``.
    """

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"#{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that the text names.

        Raises:
            ValueError: The text is not of the form ``#ms-seq``.
        """
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a place of the form #ms-seq: {text!r}")
        return cls(int(match[1]), int(match[2]))


class Batch(NamedTuple):
    """What one read of the log gave.

    Attributes:
        body: The events' bytes, joined; never empty.
        events: How many they are.
        place: The place of the last of them: where to read on from.
    """

    body: bytes
    events: int
    place: Place


class EventLog:
    """A ring of the newest events, oldest first.

    Args:
        capacity_events: How many events it keeps; with one more the oldest goes.
        floor: The place after which the log is whole. What a reader at an earlier place missed
            is not here any more.
    """

    def __init__(self, capacity_events: int, floor: Place) -> None:
        self.capacity_events = capacity_events
        self._places = [floor] * capacity_events
        self._bodies = [b""] * capacity_events
        self.restart(floor)

    def restart(self, floor: Place) -> None:
        """Forget every event; the log is whole from ``floor`` on."""
        self.floor = floor
        # Ordinals count every event ever appended; ordinal n stands in slot n % capacity_events.
        self._first = self._end = 0

    @property
    def last(self) -> Place:
        """The place of the newest event, or the floor where there is none."""
        return self.before(0)

    def before(self, events: int) -> Place:
        """Return the place that a reader of the newest ``events`` events starts from."""
        ordinal = self._end - 1 - events
        return (
            self._places[ordinal % self.capacity_events] if ordinal >= self._first else self.floor
        )

    def append(self, place: Place, body: bytes) -> None:
        """Add an event's bytes.

        Raises:
            ValueError: The place is not after the last one.
        """
        if place <= self.last:
            raise ValueError(f"{place} is not after {self.last}")
        slot = self._end % self.capacity_events
        if self._end - self._first == self.capacity_events:
            self.floor = self._places[slot]
            self._first += 1
        self._places[slot] = place
        self._bodies[slot] = body
        self._end += 1

    def read(self, after: Place, most_bytes: int) -> Batch | None:
        """Return the events that follow a place, oldest first.

        Args:
            after: Where the reader stands, at the floor or later.
            most_bytes: Where the batch ends; a single event may be larger.

        Returns:
            The batch, or None where nothing follows.
        """
        ordinal = bisect_right(
            range(self._first, self._end),
            after,
            key=lambda n: self._places[n % self.capacity_events],
        )
        bodies: list[bytes] = []
        size_bytes = 0
        place = after
        for n in range(self._first + ordinal, self._end):
            body = self._bodies[n % self.capacity_events]
            size_bytes += len(body)
            if bodies and size_bytes > most_bytes:
                break
            bodies.append(body)
            place = self._places[n % self.capacity_events]
        return Batch(b"".join(bodies), len(bodies), place) if bodies else None
