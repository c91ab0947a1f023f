"""What one stream got of events that are numbered one after the other. Pure."""

from collections.abc import Iterable


class Sequence:
    """The numbers of one publisher's events, as they came through one stream.

    Args:
        due: The first number that the stream is owed; None where that is the first that comes.

    Attributes:
        due: The number behind the furthest that came.
        twice: How many came once more.
        disordered: How many came after one that follows them.
    """

    __slots__ = ("_gaps", "disordered", "due", "twice")

    def __init__(self, due: int | None = None) -> None:
        self.due = due
        self.twice = 0
        self.disordered = 0
        # Ranges, and not numbers: who is cut off for long has lost very many.
        self._gaps: list[range] = []

    def take(self, number: int) -> None:
        """Enter the number of an event that came."""
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
        """Take a number out of the gaps; return whether it was in one."""
        for index, gap in enumerate(self._gaps):
            if number in gap:
                rests = (range(gap.start, number), range(number + 1, gap.stop))
                self._gaps[index : index + 1] = [rest for rest in rests if rest]
                return True
        return False

    def lost(self, upto: int = 0, never_made: Iterable[int] = ()) -> int:
        """Return how many of the numbers owed did not come.

        Args:
            upto: The number behind the last that the stream is owed, where more is owed than
                what stands before one that came.
            never_made: Numbers that nobody is owed.
        """
        gaps = self._gaps
        if self.due is not None and upto > self.due:
            gaps = [*gaps, range(self.due, upto)]
        excused = sum(number in gap for number in never_made for gap in gaps)
        return sum(map(len, gaps)) - excused
