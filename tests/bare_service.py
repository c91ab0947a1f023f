"""The app without nginx, on a TCP port of its own: BARESTREAM_BIND, as the README allows it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from service import ROOT, Answering, json_lines, wait_for


class BareService(Answering):
    """Gunicorn and one worker; settings as keyword arguments.

    Args:
        prefix: A command that runs the app: for instance one that moves a process's clock.
        environment: More variables of the process.
        host: The address that it listens on.
        command: What runs the app, where that is not `barestream serve`.
    """

    def __init__(
        self,
        *,
        prefix: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        host: str = "127.0.0.1",
        command: tuple[str, ...] = ("-m", "barestream", "serve"),
        **settings: object,
    ) -> None:
        super().__init__()
        self.host = host
        self._command = [*prefix, sys.executable, *command]
        settings = {"workers": 1, "bind": f"{host}:{self.port}", **settings}
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            **{f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()},
            "PYTHONPATH": str(ROOT / "src"),
            **(environment or {}),
        }
        self._log = Path(tempfile.mkdtemp(prefix="bs-bare-")) / "app.log"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return (self.host, self.port)

    @property
    def url(self) -> str:
        """The same, for a client of HTTP."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> "BareService":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stderr=log)
        try:
            wait_for("the app", self._is_ready)
        except BaseException:
            print(self._log.read_text())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.unlink()
        self._log.parent.rmdir()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, "the app ended at its start"
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def app_log(self) -> list[dict[str, Any]]:
        """Return the app's log lines."""
        return json_lines(self._log)

    def ended_streams(self) -> list[dict[str, Any]]:
        """Return the log line of each stream that is over."""
        return [line for line in self.app_log() if line["message"] == "stream ended"]
