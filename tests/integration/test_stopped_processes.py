"""Processes that a test stops: some may end by themselves at that moment."""

import subprocess
from pathlib import Path

from support.servers.service import wait_for
from support.servers.stopped import stopped


def state(process: "subprocess.Popen[bytes]") -> str:
    """Return its letter of proc(5), such as T for stopped."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = (line for line in status.splitlines() if line.startswith("State:"))
    return line.split()[1]


def test_the_others_are_stopped_and_go_on_where_one_has_ended() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as last:
        try:
            with stopped(first.pid, ended.pid, last.pid):
                for each in (first, last):
                    wait_for("the stop", lambda each=each: state(each) == "T")
            for each in (first, last):
                wait_for("it to go on", lambda each=each: state(each) == "S")
        finally:
            first.kill()
            last.kill()
