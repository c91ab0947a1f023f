"""A counter of what happens thousands of times a second."""

from prometheus_client import Counter


class Tally:
    """Counts in memory, and adds to a counter now and then.

    With several workers prometheus_client asks the kernel for the process's id at each increment,
    which took 7 % of a publish.

    Args:
        counter: The counter.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._pending = 0

    def inc(self, count: int = 1) -> None:
        """Count some more."""
        self._pending += count

    def flush(self) -> None:
        """Add what was counted."""
        if self._pending:
            self._counter.inc(self._pending)
            self._pending = 0
