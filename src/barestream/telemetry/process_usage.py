"""What a worker's process takes: processor time and memory."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from barestream.telemetry.process import process
from barestream.telemetry.worker_metrics import WorkerMetrics

# A look takes 30 us. An alert on a worker that stands still needs some looks in its time.
LOOK_SECONDS = 2.0

# The bound of a container's memory as the container sees it, by version 2 and version 1 of
# cgroups(7). Without a bound one has the word "max", and the other a number of this size.
_CGROUP = Path("/sys/fs/cgroup")
_BOUNDS = ("memory.max", "memory/memory.limit_in_bytes")
_NO_BOUND_BYTES = 2**62


class Usage(NamedTuple):
    """What a process takes.

    Attributes:
        cpu_seconds: Its processor time since its start.
        memory_bytes: Its pages in memory, with those that it shares with others.
    """

    cpu_seconds: float
    memory_bytes: int


def own_usage() -> Usage:
    """Return what this process takes. The memory is 0 where the kernel has no proc(5)."""
    seen = process(os.getpid())
    # proc(5) counts time in hundredths of a second, of which an idle worker takes one in 4 s.
    return Usage(time.process_time(), seen.memory_bytes if seen else 0)


def most_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return the memory that the container allows; 0 where there is no bound, or none is known."""
    for name in _BOUNDS:
        # The word "max" is no number.
        with suppress(OSError, ValueError):
            most_bytes = int((cgroup / name).read_text())
            return most_bytes if most_bytes < _NO_BOUND_BYTES else 0
    return 0


class ProcessUsage:
    """Notes what this process takes, again and again.

    Args:
        metrics: Where it is noted.
        slot: The worker's slot.
        usage: Returns what the process takes.
    """

    def __init__(
        self, metrics: WorkerMetrics, slot: int, usage: Callable[[], Usage] = own_usage
    ) -> None:
        self._cpu_seconds = metrics.cpu_seconds.labels(slot)
        self._memory_bytes = metrics.memory_bytes.labels(slot)
        self._usage = usage
        self._counted_seconds = 0.0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look until cancelled."""
        while True:
            self._look()
            await sleep(LOOK_SECONDS)

    def _look(self) -> None:
        usage = self._usage()
        self._cpu_seconds.inc(usage.cpu_seconds - self._counted_seconds)
        self._counted_seconds = usage.cpu_seconds
        self._memory_bytes.set(usage.memory_bytes)
