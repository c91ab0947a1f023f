"""What Linux says of a process."""

import os
import subprocess
import time

from barestream.telemetry.process import process


def test_a_process_has_memory_time_and_an_age() -> None:
    seen = process(os.getpid())
    assert seen is not None
    # By the same counters of the kernel, which count in hundredths of a second.
    assert abs(seen.cpu_seconds - time.process_time()) < 0.5
    assert 1_000_000 < seen.memory_bytes < 64_000_000_000
    boot_seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert 0 < seen.uptime_seconds < boot_seconds


def test_a_process_that_has_ended_has_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert process(ended.pid) is None
