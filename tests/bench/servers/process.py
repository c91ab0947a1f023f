"""A program that runs for as long as a context."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bench.servers.environment import inherited
from support.servers.service import wait_for

# Ours ends its streams evenly over a second; what needs longer has nothing to lose.
_STOP_SECONDS = 10

# A file for each stream, and behind nginx two: the usual 1024 would not do.
_WITH_ALL_FILES = ["sh", "-c", 'ulimit -Sn "$(ulimit -Hn)" && exec "$0" "$@"']


class Process:
    """A program, its log, and its end.

    Args:
        command: What to run.
        environment: What it gets beside the environment of this process.
    """

    def __init__(self, *command: str | Path, **environment: str) -> None:
        self._command = command
        self._environment = {**inherited(), **environment}

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._running = subprocess.Popen(
            [*_WITH_ALL_FILES, *self._command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._running.terminate()
        try:
            self._running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # With its children, which are its session.
            os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()
        self._log.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._running.pid

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until something is so; fail with the log where the program ends before that."""
        wait_for(what, lambda: condition() or self._has_ended())
        if self._has_ended():
            self._log.seek(0)
            raise AssertionError(f"{what} ended:\n{self._log.read().decode()}")

    def _has_ended(self) -> bool:
        return self._running.poll() is not None
