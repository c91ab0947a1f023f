"""The command line, as a user runs it: in a shell, in a folder and with a home of its own."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from support.servers.service import ROOT


class CommandLine:
    """A shell that has ``barestream``; a context.

    Args:
        variables: Those of the environment.
    """

    def __init__(self, **variables: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bs-shell-")
        self.home = Path(self._folder.name)
        self.config = self.home / ".config/barestream/contexts.json"
        self.environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            # A name is looked up for less time than a connection may take: by default a lookup
            # whose answer is lost takes longer (resolv.conf(5)), and a command tells of that.
            "RES_OPTIONS": "timeout:1 attempts:1",
            **variables,
        }

    def __enter__(self) -> Self:
        program = self.home / "bin/barestream"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m barestream "$@"\n')
        program.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @contextmanager
    def start(self, line: str, **options: Any) -> "Iterator[subprocess.Popen[str]]":
        """Start a line of bash in a process group of its own; at the end the group is killed."""
        running = subprocess.Popen(
            # The last command takes the place of the shell, and gets its signals.
            ["bash", "-c", line],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | options,
            cwd=self.home,
            env=self.environment,
            text=True,
            start_new_session=True,
        )
        with running:
            try:
                yield running
            finally:
                if running.poll() is None:
                    os.killpg(running.pid, signal.SIGKILL)

    def run(self, line: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a line of bash to its end."""
        with self.start(line, stdin=subprocess.PIPE) as running:
            output, errors = running.communicate(given, timeout=120)
        return subprocess.CompletedProcess(line, running.returncode, output, errors)
