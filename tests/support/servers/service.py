"""The real service on this machine: nginx and Gunicorn, run by scripts/native as `make up` does."""

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

import httpx

from support.judges.complaints import complaints

ROOT = Path(__file__).parents[3]


# Below those that Linux gives to outgoing connections (ip_local_port_range): no client can have one
# before its server listens, or while that is down. Browsers refuse 10080.
PORTS = range(11_000, 32_000)

# One for each port that this process was given. They are closed when it ends.
_RESERVATIONS: list[socket.socket] = []

# How long a test waits for what must come. It is no claim about the service: a loaded machine may
# take this long for anything. A test that claims a time gives that time itself.
PATIENCE_SECONDS = 60


def free_port() -> int:
    """Return a TCP port that nothing listens on, and that no other run of the tests is given.

    Between this answer and the moment when a server listens there, the port is free for all.
    """
    while True:
        port = random.choice(PORTS)
        # An abstract address (unix(7)) belongs to one process, and goes with it.
        reservation = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            reservation.bind(f"\0barestream-tests-port-{port}")
            _RESERVATIONS.append(reservation)
            return port
        reservation.close()


def whole_lines(log: Path) -> list[str]:
    """Return the lines of a log; not its last where that is still being written."""
    return [line.decode() for line in log.read_bytes().split(b"\n")[:-1]]


def json_lines(log: Path) -> list[dict[str, Any]]:
    """Return the lines of a log that are JSON."""
    return [json.loads(line) for line in whole_lines(log) if line.startswith("{")]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
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

    def is_listening(self) -> bool:
        """Return whether it takes a connection."""
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0


class Service(Answering):
    """nginx in front of Gunicorn, in a folder of its own; settings as keyword arguments.

    Attributes:
        python: The interpreter that runs Gunicorn.
    """

    python = sys.executable

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="bs-")
        self.folder = Path(self._folder.name)
        self._environment = {
            **{key: value for key, value in os.environ.items() if "BARESTREAM" not in key},
            **{f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()},
            "BARESTREAM_PORT": str(self.port),
            "RUN_DIR": str(self.folder),
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
        """Do what `make up` does where no Docker answers."""
        self._run("local", "up", DOCKER_HOST="unix:///nowhere")

    def _native(self, command: str) -> None:
        self._run("native", command)

    def _run(self, script: str, command: str, **environment: str) -> None:
        done = subprocess.run(
            [ROOT / "scripts" / script, command],
            env={**self._environment, "PYTHON": self.python, **environment},
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

    def is_ready(self) -> bool:
        """Return whether each of its workers answers."""
        for path in self.current_sockets:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as inside:
                try:
                    answer = inside.get("http://inside/readyz")
                except httpx.TransportError:
                    return False
            if not answer.is_success:
                return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send Gunicorn's master a signal."""
        os.kill(self.app_pid, number)

    def start_app(self) -> None:
        """Start Gunicorn again after it ended, with nginx up all the while."""
        self._native("up-app")

    def end_app(self) -> None:
        """Ask Gunicorn to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        wait_for("the app's end", lambda: not self.is_app_running())

    def restart_nginx(self) -> None:
        """End nginx at once, with all its connections, and start it again before the same app."""
        ended = self.nginx_pid
        os.kill(ended, signal.SIGTERM)
        wait_for("nginx's end", lambda: not is_alive(ended))
        self._native("up-nginx")

    def is_app_running(self) -> bool:
        """Return whether Gunicorn's master lives."""
        return is_alive(self.app_pid)

    def app_log(self) -> list[dict[str, Any]]:
        """Return the app's log lines."""
        return json_lines(self.folder / "app.log")

    def nginx_log(self) -> list[dict[str, Any]]:
        """Return nginx's lines about requests."""
        return json_lines(self.folder / "nginx.log")

    def ended_streams(self) -> list[dict[str, Any]]:
        """Return the log line of each stream that is over."""
        return [line for line in self.app_log() if line["message"] == "stream ended"]

    def end_of(self, user_agent: str) -> dict[str, Any]:
        """Wait for the end of a client's stream, and return the app's log line about it.

        Args:
            user_agent: The client's name, which no other request to this service has.
        """
        [request] = wait_for(
            f"nginx's line about {user_agent}",
            lambda: [each for each in self.nginx_log() if each["user_agent"] == user_agent],
        )

        def found() -> list[dict[str, Any]]:
            wanted = request["request_id"]
            return [each for each in self.ended_streams() if each["request_id"] == wanted]

        [end] = wait_for(f"the end of {user_agent}'s stream", found)
        return end

    def metrics(self) -> dict[str, float]:
        """Return the figures of all workers, by their names with their labels."""
        transport = httpx.HTTPTransport(uds=str(self.folder / "sockets/metrics.sock"))
        with httpx.Client(transport=transport, base_url="http://inside") as inside:
            lines = inside.get("/metrics").text.splitlines()
        figures = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in figures}

    def complaints(self) -> list[str]:
        """Return the lines of both logs that look like an error."""
        lines = [
            line for name in ("app", "nginx") for line in whole_lines(self.folder / f"{name}.log")
        ]
        return complaints("\n".join(lines))


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


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
