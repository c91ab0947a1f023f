"""The newest events of a history, after it has lost them. Pure."""

from typing import NamedTuple, Self

from barestream.history.record import BEGIN, Known, Place
from barestream.history.ring import Ring


class LostEnd(NamedTuple):
    """The events that a worker has read, and that the history has lost.

    Attributes:
        common: The place of the newest event before them, which the history has.
        upto: The place of the last of them.
        by_own_id: The earliest of them with each id of its publisher.
    """

    common: Place
    upto: Place
    by_own_id: dict[str, Known]

    @classmethod
    def of(cls, before: Ring, common: Place) -> Self:
        """Return the lost end.

        Args:
            before: The events as they were read.
            common: The place of the newest of them that the history has.
        """
        by_own_id: dict[str, Known] = {}
        for record in before.after(common):
            if record.own_id is not None:
                known = Known(record.place, record.topics, record.private)
                by_own_id.setdefault(record.own_id, known)
        return cls(common, before.last, by_own_id)

    def has(self, place: Place) -> bool:
        """Return whether a place is in it."""
        return self.common < place <= self.upto


NOTHING_LOST = LostEnd(BEGIN, BEGIN, {})
