"""A program that answers HTTP, and its log."""

import contextlib
import os
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from support.servers.service import PATIENCE_SECONDS, Answering, children, wait_for

# Some end their streams first.
_ENDS_WITHIN_SECONDS = 60


class LoggedProgram(Answering, ABC):
    """A program in a folder of its own; a context.

    Args:
        name: What it is.
        starts_within_seconds: How long it is waited for at its start.

    Attributes:
        folder: Where its files are.
    """

    def __init__(self, name: str, starts_within_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__()
        self._name = name
        self._starts_within_seconds = starts_within_seconds
        self._folder = tempfile.TemporaryDirectory(prefix="bs-program-")
        self.folder = Path(self._folder.name)
        self._log = self.folder / "log"
        self._environment: Mapping[str, str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Return the program and its arguments."""

    def _is_up(self) -> bool:
        """Return whether it does what it is for."""
        return self.is_listening()

    @property
    def log(self) -> str:
        """All that it wrote until now."""
        return self._log.read_text()

    def __enter__(self) -> Self:
        try:
            with self._log.open("wb") as log:
                process = self._process = subprocess.Popen(
                    self._command(), env=self._environment, stdout=log, stderr=log
                )
            wait_for(
                self._name,
                lambda: process.poll() is not None or self._is_up(),
                self._starts_within_seconds,
            )
            assert process.poll() is None, self.log
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                end(self._process)
        finally:
            self._folder.cleanup()


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a program to end, and wait until it has.

    Raises:
        TimeoutExpired: It did not; it was killed, with its children.
    """
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in [*children(process.pid), process.pid]:
            # A child may end meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        raise
