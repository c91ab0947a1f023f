"""A private Valkey (or Redis) server that keeps what it answered, in a folder of its own."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import valkey

from support.servers.programs import give_up
from support.servers.service import ROOT, free_port, wait_for

_CONFIG = """
bind 127.0.0.1
port {port}
unixsocket {folder}/server.sock
dir {folder}
aclfile {folder}/users.acl
appendonly yes
appendfsync always
save ""
daemonize no
"""

# That of the default user, which has all rights.
OPERATOR_PASSWORD = "the operator's"


def binary() -> str | None:
    """Return the path of a Valkey server, or of a Redis one, where there is one."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def is_since(version: tuple[int, int]) -> bool:
    """Return whether the server is of this version of Valkey or Redis, or a later one."""
    said = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"v=(\d+)\.(\d+)", said.stdout)
    assert found, said.stdout
    return (int(found[1]), int(found[2])) >= version


def service_rules() -> list[str]:
    """Return the rules of the service's user, without those that the server here does not know."""
    lines = (ROOT / "deploy/valkey-service.acl").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    return [rule for rule in rules if rule != "+waitaof" or is_since((7, 2))]


def _user(name: str, password: str, rules: str) -> str:
    return f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} {rules}\n"


class ValkeyServer:
    """A server process on a free port; its data outlive it until the context ends.

    It has two users: that of the service, with the rights of deploy/valkey-service.acl, and the
    default one with all rights, by which the tests themselves ask.

    Args:
        environment: Variables that it needs in addition to those of the tests.
        further: Further lines of its configuration; ``{folder}`` stands for its folder.

    Attributes:
        password: That of the service's user.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, *, further: str = "") -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._binary = binary() or give_up(
            "no server: apt-get install valkey-server, or redis-server"
        )
        self._folder = tempfile.TemporaryDirectory(prefix="bs-valkey-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self.password = "correct horse/battery:staple@%41"
        self._process: subprocess.Popen[bytes] | None = None
        config = (_CONFIG + further).format(port=self.port, folder=self.folder)
        (self.folder / "server.conf").write_text(config)
        self.users = self.folder / "users.acl"
        self.users.write_text(
            _user("default", OPERATOR_PASSWORD, "~* &* +@all")
            + _user("barestream", self.password, " ".join(service_rules()))
        )

    @property
    def url(self) -> str:
        """Where it is, and the service's user, without the password."""
        return f"redis://barestream@127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The same by its unix socket."""
        return f"unix://barestream@{self.folder}/server.sock"

    def __enter__(self) -> "ValkeyServer":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, on the data that it had, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, self.folder / "server.conf"],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        wait_for("Valkey", self._answers)

    def stop(self) -> None:
        """End it properly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it is: its connections stay, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def ask(self, *command: object) -> Any:
        """Return Valkey's answer to a command of the operator."""
        client = valkey.Valkey(port=self.port, password=OPERATOR_PASSWORD, protocol=2)
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def now_ms(self) -> int:
        """Return what its clock shows, in milliseconds."""
        seconds, micros = self.ask("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def error(self, *command: object) -> str:
        """Return what Valkey's answer to a command says is wrong; empty where nothing is."""
        try:
            self.ask(*command)
        except valkey.ValkeyError as error:
            return str(error)
        return ""

    def unread_bytes(self) -> int:
        """Return how much of what it was sent by TCP it has not read yet."""
        # Of each connection (state 01) its own end, and the receive queue there: proc(5).
        own = f":{self.port:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        connections = [line for line in lines if line[1].endswith(own) and line[3] == "01"]
        return sum(int(line[4].partition(":")[2], 16) for line in connections)

    def _answers(self) -> bool:
        process = self._process
        assert process is not None
        assert process.poll() is None, (self.folder / "server.log").read_text()
        try:
            return bool(self.ask("PING"))
        except valkey.ConnectionError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._signal(number)
        # A paused process dies of SIGKILL, but hears nothing else.
        self._process.wait(10)
        self._process = None
