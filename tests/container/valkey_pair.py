"""A Valkey and its replica, each in a container, as Valkey's own image has them."""

import secrets
from typing import Any

import valkey

from support.servers.docker_cli import docker
from support.servers.service import free_port, wait_for

IMAGE = "valkey/valkey:8"


class ContainedValkey:
    """A Valkey whose log is on the disk after each write, on a free port of this machine.

    Args:
        primary: The server whose replica it is; None for a primary.
    """

    def __init__(self, primary: "ContainedValkey | None" = None) -> None:
        self.port = free_port()
        self._name = f"barestream-test-valkey-{secrets.token_hex(4)}"
        options = {"bind": "127.0.0.1", "port": f"{self.port}", "save": "", "appendonly": "yes"}
        options |= {"appendfsync": "always", "repl-diskless-sync-delay": "0"}
        if primary is not None:
            options["replicaof"] = f"127.0.0.1 {primary.port}"
        self._options = [part for name, value in options.items() for part in (f"--{name}", value)]

    def __enter__(self) -> "ContainedValkey":
        run = ("run", "--detach", "--rm", "--network", "host", "--name", self._name)
        docker(*run, IMAGE, "valkey-server", *self._options)
        wait_for("Valkey", self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", self._name)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"valkey://127.0.0.1:{self.port}"

    def pause(self) -> None:
        """Stop its processes where they are; its connections stay."""
        docker("pause", self._name)

    def resume(self) -> None:
        """Let them go on."""
        docker("unpause", self._name)

    def ask(self, *command: object) -> Any:
        """Return its answer to a command."""
        client = valkey.Valkey(port=self.port, protocol=2)
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def flush(self) -> None:
        """Remove all, and wait until the replica has done so and has a log that it can confirm."""
        client = valkey.Valkey(port=self.port, protocol=2, single_connection_client=True)
        try:
            client.execute_command("FLUSHALL")
            # Without a limit of time.
            client.execute_command("WAITAOF", 1, 1, 0)
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except valkey.ConnectionError:
            return False
