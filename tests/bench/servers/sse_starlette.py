"""sse-starlette: a library of Python, on uvicorn."""

import sys
from pathlib import Path

from bench.servers.cache import made_from, run
from bench.servers.peer import Peer
from bench.servers.process import Process

_HERE = Path(__file__).parent / "sse-starlette"
_LOCK = _HERE / "requirements.lock"


class SseStarlette(Peer):
    """`sse-starlette/app.py`, on one worker."""

    name = key = "sse-starlette"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have its packages, and uvicorn's fast parts."""
        return made_from(_LOCK, cache / "sse-starlette", _install)

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return its own; uvicorn is of our version."""
        query = "from importlib.metadata import version; print(version('sse-starlette'))"
        return {"sse-starlette": run(installed / "bin/python", "-c", query).strip()}

    def process(self, _: Path) -> Process:
        """Return what is to run."""
        at = ("--uds", self._socket) if self._socket else ("--port", str(self._port))
        # Nobody reads a line for each publish; the queue of connections is that of our nginx.
        options = ("--no-access-log", "--log-level", "warning", "--backlog", "4096")
        fast = ("--loop", "uvloop", "--http", "httptools", "--ws", "none")
        python = self._installed / "bin/python"
        return Process(python, "-m", "uvicorn", "app:app", "--app-dir", _HERE, *at, *fast, *options)


def _install(folder: Path) -> None:
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--require-hashes", "-r", _LOCK)
