"""What a process of the load uses of a core, so that nobody takes its own work for the server's."""

import time
from dataclasses import dataclass

_SPAN_SECONDS = 1.0


@dataclass
class Usage:
    """What a process used while the load was on.

    Attributes:
        name: What it does.
        busiest: The share of a core in its busiest second.
    """

    name: str
    cpu_seconds: float = 0
    wall_seconds: float = 0
    busiest: float = 0

    @property
    def share(self) -> float:
        """How much of a core it used."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


class Meter:
    """Measures its own process, from when it is made; looked at now and then.

    Args:
        name: What the process does.
    """

    def __init__(self, name: str) -> None:
        self.usage = Usage(name)
        self._span_at = time.monotonic()
        self._span_cpu_seconds = time.process_time()

    def look(self) -> None:
        """Take in what was used since the last look, once that is long enough ago to say much."""
        seconds = time.monotonic() - self._span_at
        if seconds >= _SPAN_SECONDS:
            cpu_seconds = time.process_time() - self._span_cpu_seconds
            self.usage.busiest = max(self.usage.busiest, cpu_seconds / seconds)
            self._count(seconds, cpu_seconds)

    def stop(self) -> Usage:
        """Return what was used, up to now."""
        self.look()
        self._count(time.monotonic() - self._span_at, time.process_time() - self._span_cpu_seconds)
        if self.usage.busiest:
            # What is left of the last second may have been busier than the whole ones.
            self.usage.busiest = max(self.usage.busiest, self.usage.share)
        return self.usage

    def _count(self, seconds: float, cpu_seconds: float) -> None:
        self.usage.wall_seconds += seconds
        self.usage.cpu_seconds += cpu_seconds
        self._span_at += seconds
        self._span_cpu_seconds += cpu_seconds
