"""How a piece of long work asks whether it has to let others in. Pure."""

import math
from typing import Protocol


class Budget(Protocol):
    """Tells a piece of long work when it has to let others in.

    Long work is a generator: it asks after each of its steps, and yields if the slice is over.
    """

    def begin(self) -> float:
        """Return when the running slice ends, by the monotonic clock."""

    def is_over(self) -> bool:
        """Return whether the slice is over."""


class Unbounded:
    """A budget without an end, for work that holds up nothing else."""

    def begin(self) -> float:
        """Return when the slice ends: never."""
        return math.inf

    def is_over(self) -> bool:
        """Return that it is not over."""
        return False


UNBOUNDED = Unbounded()
