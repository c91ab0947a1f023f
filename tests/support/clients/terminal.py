"""A program on a terminal of its own, as a user sees it."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from support.servers.service import PATIENCE_SECONDS

# A view that changes in its place begins each time in the corner above on the left (ECMA-48, CUP).
HOME = "\x1b[H"

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_])")


class Terminal:
    """Runs a program, whose session it ends at its own end; a context.

    Args:
        program: The program and its arguments.
        environment: Its environment.
        folder: The folder that it runs in.
        columns: How wide the terminal is.
        rows: How high it is.

    Attributes:
        output: All that it has printed.
    """

    def __init__(
        self,
        program: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._program = program
        self._environment = {"TERM": "xterm-256color", **environment}
        # They would count for more than the terminal, and pytest-xdist sets them for its processes.
        for name in ("COLUMNS", "LINES"):
            self._environment.pop(name, None)
        self._folder = folder
        self._ours, self._theirs = os.openpty()
        self.resize(columns, rows)
        self.output = ""

    def __enter__(self) -> Self:
        self._running = subprocess.Popen(
            self._program,
            env=self._environment,
            cwd=self._folder,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            # So that what is typed there can interrupt it.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (one thread)
        )
        os.close(self._theirs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._running.poll() is None:
            self._running.kill()
        self._running.wait()
        os.close(self._ours)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._running.pid

    @property
    def view(self) -> str:
        """What it has printed since it was last in the corner, without what is not text."""
        return _SEQUENCE.sub("", self.output.rpartition(HOME)[2]).replace("\r", "")

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the kernel tells the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def until(self, condition: Callable[[str], object]) -> str:
        """Read until what the user sees fulfils a condition; return that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(self.view):
            assert time.monotonic() < deadline, self.output
            assert self._read(1) is not False, self.output
        return self.view

    def end(self) -> int:
        """Read to the program's end; return its exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read(1) is not False:
            assert time.monotonic() < deadline, self.output
        return self._running.wait(PATIENCE_SECONDS)

    def _read(self, seconds: float) -> bool | None:
        """Return whether something came; False at the end, and None where it took too long."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return None
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:
            # Linux answers so once nobody has the other side open.
            return False
        self.output += piece.decode(errors="replace")
        return bool(piece)
