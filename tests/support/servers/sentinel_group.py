"""Three sentinels, and the servers that they watch: one of these is the primary."""

import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import valkey

from support.servers.programs import give_up
from support.servers.service import free_port, wait_for
from support.servers.valkey_server import OPERATOR_PASSWORD, ValkeyServer, binary

SERVICE = "events"

# How long a server is silent until a sentinel takes it for dead: longer than one that lives gets no
# processor on a busy machine.
DOWN_MS = 3000

_CONFIG = """
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {primary} 2
sentinel down-after-milliseconds {service} {down_ms}
sentinel failover-timeout {service} 2000
sentinel auth-pass {service} {password}
"""

# How often sentinels look and talk; by default it takes them ten seconds to know each other.
_PERIODS = ("INFO-PERIOD", "200", "PING-PERIOD", "200", "PUBLISH-PERIOD", "200")


class SentinelProcess:
    """A sentinel on a free port."""

    def __init__(self, primary: ValkeyServer) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="bs-sentinel-")
        self._config = Path(self._folder.name) / "sentinel.conf"
        self._config.write_text(
            _CONFIG.format(
                port=self.port,
                folder=self._folder.name,
                service=SERVICE,
                primary=primary.port,
                down_ms=DOWN_MS,
                password=f'"{OPERATOR_PASSWORD}"',
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what it knew."""
        program = binary() or give_up("no server: apt-get install valkey-server, or redis-server")
        self._process = subprocess.Popen(
            [program, self._config, "--sentinel"], stdout=subprocess.DEVNULL
        )
        wait_for("a sentinel", self._answers)
        self.ask("SENTINEL", "DEBUG", *_PERIODS)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Stop it where it is: nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._folder.cleanup()

    def ask(self, *command: str) -> Any:
        """Return its answer to a command."""
        client = valkey.Valkey(port=self.port, protocol=2, decode_responses=True)
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def state(self) -> dict[str, Any]:
        """Return what it says of the primary."""
        found: dict[str, Any] = self.ask("SENTINEL MASTER", SERVICE)
        return found

    def primary_port(self) -> int:
        """Return the port of the server that it names as the primary."""
        return int(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except valkey.ConnectionError:
            return False


class SentinelGroup:
    """A primary, a replica, and three sentinels that know all of them."""

    def __init__(self) -> None:
        self.servers = (ValkeyServer(), ValkeyServer())
        self.sentinels = [SentinelProcess(self.servers[0]) for _ in range(3)]
        self._open = ExitStack()

    def __enter__(self) -> "SentinelGroup":
        with ExitStack() as opening:
            for server in self.servers:
                opening.enter_context(server)
            replicate(self.servers[1], self.servers[0])
            for sentinel in self.sentinels:
                opening.callback(sentinel.close)
                sentinel.start()
            self.wait_until_ready()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """The URL of the sentinels."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://barestream@{hosts}/{SERVICE}"

    @property
    def password(self) -> str:
        """The password of the servers."""
        return self.servers[0].password

    def primary(self) -> ValkeyServer:
        """Return the server that most sentinels name as the primary."""
        ports = [each.primary_port() for each in self.sentinels]
        most = max(ports, key=ports.count)
        return next(each for each in self.servers if each.port == most)

    def other(self, server: ValkeyServer) -> ValkeyServer:
        """Return the server that is not this one."""
        return next(each for each in self.servers if each is not server)

    def wait_until_primary(self, server: ValkeyServer) -> None:
        """Wait until all sentinels name a server as the primary."""
        wait_for(
            "a failover",
            lambda: all(each.primary_port() == server.port for each in self.sentinels),
        )

    def wait_until_ready(self) -> None:
        """Wait until a failover could begin: all know each other and a replica."""

        def is_ready() -> bool:
            states = [each.state() for each in self.sentinels]
            return all(
                (each["num-other-sentinels"], each["num-slaves"], each["flags"]) == (2, 1, "master")
                for each in states
            ) and is_linked(self.other(self.primary()))

        wait_for("sentinels that know each other and a replica", is_ready)


def replicate(replica: ValkeyServer, primary: ValkeyServer) -> None:
    """Make a server the replica of another one, and wait until it has all of it."""
    replica.ask("CONFIG", "SET", "masterauth", OPERATOR_PASSWORD)
    primary.ask("CONFIG", "SET", "masterauth", OPERATOR_PASSWORD)
    # The primary collects replicas for 5 s by default, and sends them the same copy.
    primary.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    replica.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)
    wait_for("a replica that has all", lambda: is_linked(replica))


def is_linked(replica: ValkeyServer) -> bool:
    """Return whether a server is a replica that its primary sends all changes to."""
    role = replica.ask("ROLE")
    return role[0] in (b"slave", "slave") and role[3] in (b"connected", "connected")


def has_all(replica: ValkeyServer, primary: ValkeyServer) -> bool:
    """Return whether a replica has read all that its primary has written."""
    return bool(replica.ask("ROLE")[-1] == primary.ask("ROLE")[1])
