"""An app that somebody else would write, run by uvicorn: it uses a hub by HTTP."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from support.clients.publisher import KEY, PATH
from support.servers.service import ROOT, Answering, Service, children, is_alive, wait_for

EXAMPLE = ROOT / "examples/llm-chat"

# Its streams are open until it cuts them.
_STOP_SECONDS = 3


class AsgiApp(Answering):
    """The processes of an app, and its log.

    Args:
        folder: Where its module is.
        name: The app, as uvicorn wants it: module:attribute.
        hub: The hub that it uses.
        processes: How many serve its port.
        environment: Settings of its own.
    """

    def __init__(
        self, folder: Path, name: str, hub: Service, processes: int, **environment: str
    ) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="bs-app-")
        self._log = Path(self._folder.name) / "app.log"
        self._processes = processes
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [
            *(sys.executable, "-m", "uvicorn", name),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(processes)),
            *("--timeout-graceful-shutdown", str(_STOP_SECONDS)),
        ]
        paths = [folder, ROOT / "src", ROOT / "tests", EXAMPLE]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "HUB": hub.url + PATH,
            "BARESTREAM_TOKEN_KEY": KEY,
            **environment,
        }

    def __enter__(self) -> "AsgiApp":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        try:
            wait_for("the app", self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in [*children(self._process.pid), self._process.pid]:
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self._folder.cleanup()

    @property
    def log(self) -> str:
        """All that it wrote until now."""
        return self._log.read_text()

    def statuses(self, path: str) -> list[int]:
        """Return the status of each GET of a path that it has answered, in order."""
        found = re.findall(rf'"GET {re.escape(path)}(?:\?\S*)? HTTP/1.1" (\d+)', self.log)
        return [int(status) for status in found]

    def processes(self) -> list[int]:
        """Return the pids of those that serve its port."""
        started = re.findall(r"Started server process \[(\d+)\]", self.log)
        return [int(pid) for pid in started if is_alive(int(pid))]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            # Each of its processes serves, when it has said so.
            is_up = self.log.count("Application startup complete") >= self._processes
            return is_up and httpx.get(self.url).is_success
        except httpx.TransportError:
            return False
