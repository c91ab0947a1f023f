"""A bare VM, as far as deploy/ can tell: a container with systemd and sshd."""

import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from support.servers.docker_cli import docker, inspect
from support.servers.service import ROOT, Answering, free_port, wait_for

IMAGE = "barestream-test-vm"


class Vm(Answering):
    """A machine that may run a Docker of its own, on free ports of this one.

    ``address`` and ``url`` are its port 80.

    Args:
        user: Who logs in: root, or deployer, who has sudo.
    """

    def __init__(self, user: str = "root") -> None:
        super().__init__()
        self.name = f"barestream-test-vm-{secrets.token_hex(4)}"
        self.user = user
        self.https_port = free_port()
        self.ssh_port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="bs-vm-")

    def __enter__(self) -> "Vm":
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _start(self) -> None:
        docker("build", "--quiet", "--tag", IMAGE, str(Path(__file__).parent / "images/vm"))
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True, timeout=20
        )
        # Overlay does not lie on overlay: inner Docker's images need a volume.
        docker(
            *("run", "--detach", "--privileged", "--name", self.name, "--hostname", self.name),
            *("--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"),
            *("--volume", f"{self.name}:/var/lib/docker"),
            *("--publish", f"127.0.0.1:{self.ssh_port}:22"),
            *("--publish", f"127.0.0.1:{self.port}:80"),
            *("--publish", f"127.0.0.1:{self.https_port}:443"),
            IMAGE,
        )
        public_key = Path(f"{self.key}.pub").read_text().strip()
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        self.console(f"echo '{public_key}' >{home}/.ssh/authorized_keys")
        self.wait()

    def _remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", self.name], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", self.name], capture_output=True, check=False)
        self._folder.cleanup()

    @property
    def key(self) -> Path:
        """The private key that may log in."""
        return Path(self._folder.name) / "key"

    @property
    def target(self) -> str:
        """What a script of deploy/ is given."""
        return f"{self.user}@127.0.0.1:{self.ssh_port}"

    @property
    def https_url(self) -> str:
        """Where its port 443 is."""
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def own_address(self) -> str:
        """Its address in Docker's network, where every port of it is."""
        networks = inspect(self.name)["NetworkSettings"]["Networks"]
        address: str = networks["bridge"]["IPAddress"]
        return address

    @property
    def environment(self) -> dict[str, str]:
        """What the scripts of deploy/ need beside their arguments."""
        client = ["ssh", "-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        client += ["-o", f"UserKnownHostsFile={self._folder.name}/known_hosts"]
        client += ["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"]
        return {**os.environ, "DEPLOY_SSH": " ".join(client)}

    def deploy(
        self,
        script: str,
        *arguments: str,
        root: Path = ROOT,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of deploy/ on it; the exit code is the caller's to judge.

        Args:
            script: Its name.
            arguments: Those behind the VM's.
            root: The checkout that it stands in.
            environment: Further variables.
        """
        return subprocess.run(
            [root / "deploy" / script, self.target, *arguments],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            # A first one installs a Docker, or builds the images.
            timeout=300,
            check=False,
        )

    def begin_deploy(
        self, script: str, *arguments: str, root: Path = ROOT
    ) -> subprocess.Popen[str]:
        """Begin to run a script of deploy/, in a process group of its own."""
        return subprocess.Popen(
            [root / "deploy" / script, self.target, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set(self, **settings: object) -> None:
        """Write settings of the service, by their short names; the next rollout takes them in."""
        lines = "\n".join(f"BARESTREAM_{name}={value}" for name, value in settings.items())
        pattern = "|".join(settings)
        env = "/opt/barestream/.env"
        self.console(
            f"sed -i -E '/^BARESTREAM_({pattern})=/d' {env}; cat >>{env} <<'E'\n{lines}\nE"
        )

    def try_ssh(self, command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command by ssh; the exit code is the caller's to judge."""
        client = [*self.environment["DEPLOY_SSH"].split(), "-o", "BatchMode=yes"]
        return subprocess.run(
            [*client, "-p", str(self.ssh_port), f"{self.user}@127.0.0.1", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def console(self, command: str) -> str:
        """Return what a command writes that root runs, with or without sshd."""
        return docker("exec", self.name, "bash", "-c", command)

    def wait(self) -> None:
        """Wait until it has booted, and logs in."""
        wait_for("login by ssh", lambda: self.try_ssh("true").returncode == 0, seconds=60)

    def reboot(self) -> None:
        """Shut it down, units in their order, and boot it again."""
        docker("restart", "-t", "120", self.name, seconds=150)
        self.wait()

    def listens(self, port: int) -> bool:
        """Return whether a port of it can be reached from outside."""
        try:
            socket.create_connection((self.own_address, port), timeout=1).close()
        except OSError:
            return False
        return True
