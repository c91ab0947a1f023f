"""What the processes of a server use."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes, their threads and those of their children that ended."""
    return sum(_own_cpu_seconds(pid) + _ended_children_seconds(pid) for pid in pids)


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, with its share of what they have in common."""
    return sum(_pss_bytes(pid) for pid in pids)


def stolen_seconds() -> float:
    """Return how long this machine had to wait for its host, all cores together."""
    cores = Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(cores[8]) / _TICKS_PER_SECOND


def pin(pids: Iterable[int], core: int) -> None:
    """Keep processes, and whatever they start from now on, on one core."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def cores_apart() -> tuple[int, int] | tuple[None, None]:
    """Return a core for a server and one for its client; none where there is but one for both."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _own_cpu_seconds(pid: int) -> float:
    # The same sum as /proc/PID/stat's, which counts it in steps of 10 ms: too coarse for a server
    # that works 60 ms in 10 s. The clock's number is clock_getcpuclockid(3)'s.
    return time.clock_gettime(~pid << 3 | 2)


def _ended_children_seconds(pid: int) -> float:
    # A command may hold spaces and parentheses; the fields follow the last one.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = (int(fields[nth]) for nth in (13, 14))
    return (user + system) / _TICKS_PER_SECOND


def _pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
