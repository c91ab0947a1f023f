"""Checks the numbers of the events that one stream received. Pure."""

from collections.abc import Iterable


class Sequence:
    """The numbers of one publisher's events, as they came through one stream.

    Args:
        due: The first expected number; None if that is the first one that comes.

    Attributes:
        due: The number after the highest one that came.
        twice: How many came a second time.
        disordered: How many came after a higher number.
    """

    __slots__ = ("_gaps", "disordered", "due", "twice")

    def __init__(self, due: int | None = None) -> None:
        self.due = due
        self.twice = 0
        self.disordered = 0
        # Ranges, not numbers, because a stream may lose very many events in a row.
        self._gaps: list[range] = []

    def take(self, number: int) -> None:
        """Record the number of an event that came."""
        if number == self.due or self.due is None:
            self.due = number + 1
        elif number > self.due:
            self._gaps.append(range(self.due, number))
            self.due = number + 1
        elif self._fill(number):
            self.disordered += 1
        else:
            self.twice += 1

    def _fill(self, number: int) -> bool:
        """Remove a number from the gaps; return whether it was in one."""
        for index, gap in enumerate(self._gaps):
            if number in gap:
                rests = (range(gap.start, number), range(number + 1, gap.stop))
                self._gaps[index : index + 1] = [rest for rest in rests if rest]
                return True
        return False

    def lost(self, upto: int = 0, never_made: Iterable[int] = ()) -> int:
        """Return how many expected numbers did not come.

        Args:
            upto: The number after the last expected one; 0 if only numbers before the highest one
                that came are expected.
            never_made: Numbers that are not expected.
        """
        gaps = self._gaps
        if self.due is not None and upto > self.due:
            gaps = [*gaps, range(self.due, upto)]
        excused = sum(number in gap for number in never_made for gap in gaps)
        return sum(map(len, gaps)) - excused
