"""An app that somebody else would write, run by uvicorn: it uses a hub by HTTP."""

import os
import re
import sys
from pathlib import Path

import httpx

from support.clients.publisher import KEY, PATH
from support.servers.logged_program import LoggedProgram
from support.servers.service import ROOT, Service, is_alive

EXAMPLE = ROOT / "examples/llm-chat"

# Its streams are open until it cuts them.
_STOP_SECONDS = 3


class AsgiApp(LoggedProgram):
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
        super().__init__("the app")
        self._app = name
        self._processes = processes
        paths = [folder, ROOT / "src", ROOT / "tests", EXAMPLE]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "HUB": hub.url + PATH,
            "BARESTREAM_TOKEN_KEY": KEY,
            **environment,
        }

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "uvicorn", self._app),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", str(self._processes)),
            *("--timeout-graceful-shutdown", str(_STOP_SECONDS)),
        ]

    def statuses(self, path: str) -> list[int]:
        """Return the status of each GET of a path that it has answered, in order."""
        found = re.findall(rf'"GET {re.escape(path)}(?:\?\S*)? HTTP/1.1" (\d+)', self.log)
        return [int(status) for status in found]

    def processes(self) -> list[int]:
        """Return the pids of those that serve its port."""
        started = re.findall(r"Started server process \[(\d+)\]", self.log)
        return [int(pid) for pid in started if is_alive(int(pid))]

    def _is_up(self) -> bool:
        try:
            # Each of its processes serves, when it has said so.
            is_up = self.log.count("Application startup complete") >= self._processes
            return is_up and httpx.get(self.url).is_success
        except httpx.TransportError:
            return False
