"""The project as `docker compose` runs it, under a project name of its own."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.servers.docker_cli import docker, inspect
from support.servers.service import Answering, wait_for

ROOT = Path(__file__).parent.parent.parent
OWN_IMAGE = Path(__file__).parent / "own_image.yml"


class Stack(Answering):
    """The containers of docker-compose.yml, on a free port.

    Args:
        overrides: Compose files that are laid over the project's own.
        settings: ``BARESTREAM_*`` by their short names; no other of the environment counts, nor
            does an .env file.
    """

    def __init__(self, *overrides: Path, **settings: object) -> None:
        super().__init__()
        self.project = f"barestream-test-{secrets.token_hex(4)}"
        files = [ROOT / "docker-compose.yml", OWN_IMAGE, *overrides]
        self._command = [
            *("docker", "compose", "--ansi", "never", "--project-name", self.project),
            *("--project-directory", str(ROOT), "--env-file", os.devnull),
            *(part for file in files for part in ("--file", str(file))),
        ]
        self._environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("BARESTREAM_", "COMPOSE_"))
            },
            **_variables(settings),
            "BARESTREAM_PORT": str(self.port),
            "BARESTREAM_TEST_IMAGE": self.project,
        }

    def __enter__(self) -> "Stack":
        try:
            self.up()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def network(self) -> str:
        """The network that Compose made for the containers."""
        return f"{self.project}_default"

    def run(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose for this project; its exit code is the caller's to judge."""
        return subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def _must(self, *arguments: str, seconds: float = 120) -> str:
        done = self.run(*arguments, seconds=seconds)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def set(self, **settings: object) -> None:
        """Change settings, by their short names; the next command of Compose has them."""
        for name, value in settings.items():
            self._environment[f"BARESTREAM_{name.upper()}"] = str(value)

    def up(self) -> None:
        """Build, start, and wait until every container is healthy; fail where Compose does."""
        # A first build fetches the packages.
        done = self.run("up", "--build", "--wait", seconds=600)
        assert done.returncode == 0, f"up: {done.returncode}\n{done.stderr}{self.logs()}"

    def configure(self, **settings: object) -> None:
        """Change settings, for the containers that Compose makes from here on."""
        self._environment |= _variables(settings)

    def down(self) -> None:
        """Stop and remove the containers, as an operator does."""
        self._must("down")

    def remove(self) -> None:
        """Leave nothing, whatever the state."""
        self._must("down", "--volumes", "--remove-orphans", "--timeout", "20")
        docker("image", "rm", "--force", self.project)

    def stop(self, *services: str) -> None:
        """Stop services, or all of them, and keep their containers."""
        self._must("stop", *services)

    def start(self, *services: str) -> None:
        """Start services whose containers are there."""
        self._must("start", *services)

    def kill(self, service: str, signal: str) -> None:
        """Have Docker send a signal to a service's first process."""
        self._must("kill", "--signal", signal, service)

    def exec(
        self, service: str, *command: str, user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        options = ["--user", user] if user else []
        return self.run("exec", "--no-TTY", *options, service, *command)

    def logs(self, *services: str) -> str:
        """Return what the containers have written."""
        return self._must("logs", "--no-color", "--no-log-prefix", *services)

    @contextmanager
    def follow_logs(self, path: Path) -> Iterator[None]:
        """Write the containers' logs into a file, to their end; that must come in the context."""
        with path.open("wb") as log:
            following = subprocess.Popen(
                [*self._command, "logs", "--no-color", "--no-log-prefix", "--follow"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
            following.wait(20)
        finally:
            following.terminate()
            following.wait()

    def containers(self) -> list[str]:
        """Return the ids of all containers of the project, stopped ones too."""
        return self._must("ps", "--all", "--quiet").split()

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what Docker says about a service's container."""
        return inspect(self._must("ps", "--all", "--quiet", service).strip())

    def deaths(self, since: float, expected: int = 0) -> list[tuple[str, int]]:
        """Return service and exit code of each container that ended, removed ones too.

        Args:
            since: From when on, in seconds since 1970-01-01 UTC.
            expected: How many to wait for: Docker tells of an end just after it.
        """

        def ended() -> list[tuple[str, int]]:
            lines = docker(
                *("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}"),
                *("--filter", f"label=com.docker.compose.project={self.project}"),
                *("--filter", "event=die", "--format", "{{json .Actor.Attributes}}"),
            ).splitlines()
            ends = [json.loads(line) for line in lines]
            return sorted((end["com.docker.compose.service"], int(end["exitCode"])) for end in ends)

        if expected:
            wait_for(f"{expected} ends of containers", lambda: len(ended()) >= expected)
        return ended()

    def processes(self, service: str) -> list[dict[str, str]]:
        """Return the fields of /proc/<pid>/status of each process in a service's container."""
        # The shell's own processes may be gone before they are read.
        done = self.exec(service, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null")
        found: list[dict[str, str]] = []
        for line in done.stdout.splitlines():
            name, _, value = line.partition(":")
            if name == "Name":
                found.append({})
            found[-1][name] = value.strip()
        assert found, done.stderr
        return found

    def workers(self) -> list[int]:
        """Return the pids of the app's workers, as its container counts."""
        # Whether the first process is Gunicorn's master or an init above it.
        parents = {
            int(process["Pid"]): int(process["PPid"])
            for process in self.processes("app")
            if process["Name"].startswith("python")
        }
        return [pid for pid, parent in parents.items() if parent in parents]

    def signal_within(self, pid: int, signal: str) -> None:
        """Send a signal to a process of the app from inside its container."""
        done = self.exec("app", "sh", "-c", f"kill -{signal} {pid}")
        assert done.returncode == 0, done.stderr


def _variables(settings: dict[str, object]) -> dict[str, str]:
    return {f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()}
