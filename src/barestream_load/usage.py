"""The CPU use of a process of the load, so that its own work is not mistaken for the server's."""

import time
from dataclasses import dataclass

_SPAN_SECONDS = 1.0


@dataclass
class Usage:
    """The CPU use of a process during the load.

    Attributes:
        name: What the process does.
        busiest: The share of a core in its busiest second.
    """

    name: str
    cpu_seconds: float = 0
    wall_seconds: float = 0
    busiest: float = 0

    @property
    def share(self) -> float:
        """The share of a core that it used."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


class Meter:
    """Measures its own process, from its construction on; look must be called regularly.

    Args:
        name: What the process does.
    """

    def __init__(self, name: str) -> None:
        self.usage = Usage(name)
        self._span_at = time.monotonic()
        self._span_cpu_seconds = time.process_time()

    def look(self) -> None:
        """Add the use since the last span, once that is long enough to be meaningful."""
        seconds = time.monotonic() - self._span_at
        if seconds >= _SPAN_SECONDS:
            cpu_seconds = time.process_time() - self._span_cpu_seconds
            self.usage.busiest = max(self.usage.busiest, cpu_seconds / seconds)
            self._count(seconds, cpu_seconds)

    def stop(self) -> Usage:
        """Return the use up to now."""
        self.look()
        self._count(time.monotonic() - self._span_at, time.process_time() - self._span_cpu_seconds)
        if self.usage.busiest:
            # The rest of the last second may have been busier than the complete ones.
            self.usage.busiest = max(self.usage.busiest, self.usage.share)
        return self.usage

    def _count(self, seconds: float, cpu_seconds: float) -> None:
        self.usage.wall_seconds += seconds
        self.usage.cpu_seconds += cpu_seconds
        self._span_at += seconds
        self._span_cpu_seconds += cpu_seconds
