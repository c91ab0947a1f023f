"""What Linux says of a process: its memory, its time on the processors, its age (proc(5))."""

import os
import time
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process.

    Attributes:
        memory_bytes: Its resident memory, with what it shares with others.
        cpu_seconds: How long it has run, on all processors.
        uptime_seconds: How long ago it has started.
    """

    memory_bytes: int
    cpu_seconds: float
    uptime_seconds: float


def process(pid: int) -> Process | None:
    """Return what is known of a process; None where it has ended, and on other systems."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name before may have spaces. This field is the third, the state of the process.
    fields = stat.rpartition(")")[2].split()
    user, system, started, pages = (int(fields[number - 3]) for number in (14, 15, 22, 24))
    ticks = os.sysconf("SC_CLK_TCK")
    return Process(
        pages * os.sysconf("SC_PAGE_SIZE"),
        (user + system) / ticks,
        time.clock_gettime(time.CLOCK_BOOTTIME) - started / ticks,
    )
