"""The newest events of a history, after it has lost them. Pure."""

from typing import NamedTuple, Self

from barestream.history.record import Known, Place
from barestream.history.ring import Ring

# A client may be away during more than one failover. Each end has what came in a moment.
MOST_ENDS = 10


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


class LostEnds:
    """The ends that were lost one after the other, the newest ones; another failover may follow."""

    def __init__(self) -> None:
        self._ends: list[LostEnd] = []

    def add(self, lost: LostEnd) -> None:
        """Add the one that was lost last."""
        self._ends = [*self._ends, lost][-MOST_ENDS:]

    def forget(self) -> None:
        """Forget them: the history shares nothing with the one before."""
        self._ends = []

    def goes_on_from(self, place: Place) -> Place | None:
        """Return the newest place before a lost one that was not lost; None if it is not lost."""
        for nth, lost in enumerate(self._ends):
            if lost.has(place):
                # A later failover may have lost more.
                return min(each.common for each in self._ends[nth:])
        return None

    def find(self, own_id: str) -> Known | None:
        """Return the earliest lost event with an id of its publisher."""
        found = (lost.by_own_id[own_id] for lost in self._ends if own_id in lost.by_own_id)
        return next(found, None)
