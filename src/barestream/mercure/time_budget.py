"""How long work finds out that it must let other work run. Pure."""

import math
from collections.abc import Generator
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Budget(Protocol):
    """Tells long work when it must let other work run.

    Long work is a generator. It asks after each of its steps, and yields if the slice is over.
    """

    def begin(self) -> float:
        """Return when the running slice ends, by the monotonic clock."""

    def is_over(self) -> bool:
        """Return whether the slice is over."""


class Unbounded:
    """A budget without an end, for work that delays nothing else."""

    def begin(self) -> float:
        """Return when the slice ends: never."""
        return math.inf

    def is_over(self) -> bool:
        """Return that it is not over."""
        return False


UNBOUNDED = Unbounded()


def at_once(steps: Generator[None, None, Result]) -> Result:
    """Return the result of work, without a pause between its slices."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
