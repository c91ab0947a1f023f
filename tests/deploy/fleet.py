"""Several hosts on one Valkey, with a balancer in front."""

import os
import re
import subprocess
from collections.abc import Sequence

from checkout import Checkout
from operating import DRAIN_SECONDS, EVENTS_PER_SECOND
from support.clients.publisher import KEY
from support.servers.balancer import Balancer
from support.servers.docker_cli import docker
from support.servers.valkey_server import ValkeyServer
from support.viewers.viewers import Viewers
from vm import Vm

STREAMS = 200

# A drain of both hosts in turn takes its time twice.
_MOST_SECONDS = 580


def bridge() -> str:
    """Return this machine's address in Docker's network, where the VMs are."""
    form = "{{(index .IPAM.Config 0).Gateway}}"
    return docker("network", "inspect", "bridge", "--format", form).strip()


class Fleet:
    """Two VMs that share a Valkey, behind HAProxy.

    Args:
        checkout: Where the scripts are.
        vms: Bare.
        valkey: Listens in Docker's network too.
        balancer: In front of them.
    """

    def __init__(
        self, checkout: Checkout, vms: Sequence[Vm], valkey: ValkeyServer, balancer: Balancer
    ) -> None:
        self.checkout = checkout
        self.vms = vms
        self.valkey = valkey
        self.balancer = balancer

    @property
    def targets(self) -> list[str]:
        """The hosts, as the scripts are given them."""
        return [f"{vm.user}@{vm.own_address}" for vm in self.vms]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of deploy/ for all hosts; the exit code is the caller's to judge."""
        return subprocess.run(
            [self.checkout.root / "deploy" / script, *self.targets, *arguments],
            env={**os.environ, "DEPLOY_SSH": self._ssh()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )

    def must(self, script: str, *arguments: str) -> str:
        """Run a script that must succeed, and return what it says."""
        done = self.run(script, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self) -> list[str]:
        """Bring the VMs from bare to serving, and return what each script says."""
        said = [self.must("provision")]
        for vm in self.vms:
            vm.set(
                TOKEN_KEY=f"'{KEY}'",
                BROKER_URL=self.valkey.url.replace("127.0.0.1", bridge()),
                BROKER_PASSWORD=f"'{self.valkey.password}'",
                DRAIN_SECONDS=DRAIN_SECONDS,
                # All viewers have one address.
                STREAMS_PER_ADDRESS=2 * STREAMS,
                TRUSTED_PROXIES=bridge(),
            )
        return [*said, self.must("rollout")]

    def serving(self) -> list[str]:
        """Return the version that each host serves."""
        command = "sed -n s/^BARESTREAM_VERSION=//p /opt/barestream/release.env"
        return [vm.console(command).strip() for vm in self.vms]

    def viewers(self) -> Viewers:
        """Return viewers that come by the balancer, and publishers beside them."""
        return Viewers(self.balancer.url, STREAMS, EVENTS_PER_SECOND)

    def _ssh(self) -> str:
        # One client with the keys of all.
        client = self.vms[0].environment["DEPLOY_SSH"]
        return " ".join([client, *(f"-i {vm.key}" for vm in self.vms[1:])])


def table(said: str) -> dict[str, list[str]]:
    """Return the rows of the table at the end of a script's output, by host."""
    _, _, rows = said.rpartition("what failed\n")
    return {row[0]: row[1:] for row in (re.split(" {2,}", each) for each in rows.splitlines())}
