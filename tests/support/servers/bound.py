"""The app alone on a port, as `BARESTREAM_BIND=… barestream serve` runs it."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from support.servers.logged_program import end
from support.servers.service import ROOT, Answering, children, json_lines, wait_for


class Bound(Answering):
    """Gunicorn on TCP, with one worker by default; settings as keyword arguments.

    Args:
        host: The address that it listens on.
        files: How many files each process may open, soft limit and hard one; None for as many as
            this process.
        settings: Those of the service.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        files: tuple[int, int] | None = None,
        environment: dict[str, str] | None = None,
        **settings: object,
    ) -> None:
        super().__init__()
        self._files = files
        self._folder = tempfile.TemporaryDirectory(prefix="bs-")
        self._log = Path(self._folder.name) / "app.log"
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            "PYTHONPATH": str(ROOT / "src"),
            "BARESTREAM_WORKERS": "1",
            **{f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()},
            **(environment or {}),
            "BARESTREAM_BIND": f"{host}:{self.port}",
        }

    def __enter__(self) -> "Bound":
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "barestream", "serve"],
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=self._limit_files if self._files else None,  # noqa: PLW1509 (one thread)
            )
        try:
            # Or its end, where it cannot start.
            wait_for("the worker", lambda: self.ended or self.says("Application startup complete."))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            end(self._process)
        finally:
            self._folder.cleanup()

    def _limit_files(self) -> None:
        assert self._files is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)

    @property
    def ended(self) -> bool:
        """Whether the master has ended."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int:
        """Wait for the master's end, and return its code."""
        return self._process.wait(20)

    @property
    def master(self) -> int:
        """The pid of the master."""
        return self._process.pid

    def workers(self) -> list[int]:
        """Return the pids of its workers."""
        return children(self.master)

    @property
    def worker(self) -> int:
        """The pid of its only worker."""
        [pid] = self.workers()
        return pid

    @property
    def metrics_folder(self) -> Path:
        """Where the figures are."""
        pairs = Path(f"/proc/{self._process.pid}/environ").read_bytes().split(b"\0")
        [found] = [each for each in pairs if each.startswith(b"PROMETHEUS_MULTIPROC_DIR=")]
        return Path(os.fsdecode(found.partition(b"=")[2]))

    def reload(self) -> None:
        """Put a new worker in the place of the old one, and wait until the old one is gone."""
        before = set(children(self._process.pid))
        self._process.send_signal(signal.SIGHUP)
        wait_for(
            "the new worker",
            lambda: (now := set(children(self._process.pid))) and not now & before,
        )

    @property
    def text(self) -> str:
        """All that it has logged."""
        return self._log.read_text()

    def log(self) -> list[dict[str, Any]]:
        """Return its log lines."""
        return json_lines(self._log)

    def ended_streams(self) -> list[dict[str, Any]]:
        """Return the log line of each stream that is over."""
        return self.says("stream ended")

    def says(self, text: str) -> list[dict[str, Any]]:
        """Return the log lines with such a message."""
        return [line for line in self.log() if text in line["message"]]
