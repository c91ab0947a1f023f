"""The real service on this machine: nginx and Gunicorn, run by deploy/native as `make up` does."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from complaints import complaints

ROOT = Path(__file__).parent.parent


# Below those that Linux gives to outgoing connections (ip_local_port_range): no client can have one
# before its server listens, or while that is down. Browsers refuse 10080.
PORTS = range(11_000, 32_000)


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Return the condition's first true value; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Answering:
    """What answers HTTP on a port of this machine."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def address(self) -> tuple[str, int]:
        """Where nginx listens."""
        return ("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        """The same, for a browser or a client of HTTP."""
        return f"http://127.0.0.1:{self.port}"


class Service(Answering):
    """nginx in front of Gunicorn, in a folder of its own; settings as keyword arguments."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="bs-")
        self.folder = Path(self._folder.name)
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            **{f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()},
            "BARESTREAM_PORT": str(self.port),
            "RUN_DIR": str(self.folder),
            "PYTHON": sys.executable,
        }

    def __enter__(self) -> "Service":
        try:
            self.start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start nginx and Gunicorn, and wait until they answer."""
        self._native("up")

    def stop(self) -> None:
        """End both, as `make down` does."""
        self._native("down")

    def make_up(self) -> None:
        """Do what `make up` does where no engine answers."""
        self._run("local", "up", DOCKER_HOST="unix:///nowhere")

    def _native(self, command: str) -> None:
        self._run("native", command)

    def _run(self, script: str, command: str, **environment: str) -> None:
        done = subprocess.run(
            [ROOT / "deploy" / script, command],
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def app_pid(self) -> int:
        """Gunicorn's master."""
        return int((self.folder / "app.pid").read_text())

    @property
    def nginx_pid(self) -> int:
        """nginx's master."""
        return int((self.folder / "nginx.pid").read_text())

    @property
    def current_sockets(self) -> list[Path]:
        """The workers' sockets, by slot."""
        return sorted((self.folder / "sockets/current").glob("*.sock"))

    def workers(self) -> list[int]:
        """Return the pids of the app's workers."""
        return children(self.app_pid)

    def signal(self, number: signal.Signals) -> None:
        """Send Gunicorn's master a signal."""
        os.kill(self.app_pid, number)

    def start_app(self) -> None:
        """Start Gunicorn again after it ended, with nginx up all the while."""
        self._native("up-app")

    def is_app_running(self) -> bool:
        """Return whether Gunicorn's master lives."""
        return Path(f"/proc/{self.app_pid}/exe").exists()

    def app_log(self) -> list[dict[str, Any]]:
        """Return the app's log lines."""
        lines = (self.folder / "app.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def ended_streams(self) -> list[dict[str, Any]]:
        """Return the log line of each stream that is over."""
        return [line for line in self.app_log() if line["message"] == "stream ended"]

    def complaints(self) -> list[str]:
        """Return the lines of both logs that look like an error."""
        logs = ((self.folder / name).read_text() for name in ("app.log", "nginx.log"))
        return [line for log in logs for line in complaints(log)]


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def private_kb(pid: int) -> int:
    """Return the memory that a process has for itself alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def open_connections(pid: int, path: Path) -> int:
    """Return how many connections a process holds that were accepted from a unix socket."""
    inodes = {
        line.split()[6]
        for line in Path("/proc/net/unix").read_text().splitlines()
        if line.endswith(str(path.resolve())) and line.split()[5] == "03"
    }
    held = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = fd.readlink().name if fd.is_symlink() else ""
        except FileNotFoundError:
            continue
        held += target.removeprefix("socket:[").removesuffix("]") in inodes
    return held
