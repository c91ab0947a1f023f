"""An operator at work: a checkout, a VM, and viewers of the service."""

import asyncio
import os
import subprocess
import sys

import httpx

from checkout import Checkout
from support.clients.event_parser import EventParser
from support.clients.publisher import KEY, PATH, Publisher, token
from support.full_size import IS_FULL_SIZE
from support.servers.service import ROOT
from support.viewers.viewers import Viewers
from vm import Vm

STREAMS, DRAIN_SECONDS = (500, 10) if IS_FULL_SIZE else (200, 5)
EVENTS_PER_SECOND = 50


class Operator:
    """Works on a VM from a checkout of the project.

    Args:
        vm: Bare, or provisioned before.
        checkout: Where the scripts are.

    Attributes:
        url: Where the service is tried from outside.
        environment: What the scripts are given beside their arguments.
    """

    def __init__(self, vm: Vm, checkout: Checkout) -> None:
        self.vm = vm
        self.checkout = checkout
        self.url = vm.url
        self.environment: dict[str, str] = {}

    def set_up(self) -> None:
        """Bring the VM from bare to serving."""
        provisioned = self.deploy("provision")
        assert provisioned.returncode == 0, provisioned.stdout + provisioned.stderr
        self.vm.set(
            TOKEN_KEY=f"'{KEY}'",
            DRAIN_SECONDS=DRAIN_SECONDS,
            # All viewers have one address.
            STREAMS_PER_ADDRESS=2 * STREAMS,
        )
        self.must("rollout")

    def deploy(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout's deploy/; the exit code is the caller's to judge."""
        return self.vm.deploy(script, *arguments, root=self.checkout.root, **self.environment)

    def roll(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run rollout or rollback; the exit code is the caller's to judge."""
        return self.deploy(script, *arguments, "--url", self.url)

    def must(self, script: str, *arguments: str) -> str:
        """Run rollout or rollback, which must succeed, and return what it says."""
        done = self.roll(script, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, step: str, *arguments: str, script: str = "rollout") -> subprocess.Popen[str]:
        """Begin to run a script, and return it when it has come to a step."""
        if script == "rollout":
            arguments += ("--url", self.url)
        running = self.vm.begin_deploy(script, *arguments, root=self.checkout.root)
        assert running.stdout is not None
        for line in running.stdout:
            if step in line:
                return running
        raise AssertionError(running.communicate())

    def viewers(self, streams: int = STREAMS) -> Viewers:
        """Return viewers, and publishers beside them."""
        return Viewers(self.vm.url, streams, EVENTS_PER_SECOND)

    def smoke(self) -> str:
        """Return what a green smoke test says."""
        done = subprocess.run(
            [sys.executable, "-m", "barestream", "smoke", "--url", self.url],
            env={
                **os.environ,
                **self.environment,
                "PYTHONPATH": str(ROOT / "src"),
                "BARESTREAM_TOKEN": token(),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serving(self) -> str:
        """Return the version that serves."""
        return self.vm.console(
            "sed -n s/^BARESTREAM_VERSION=//p /opt/barestream/release.env"
        ).strip()

    def nginx(self) -> str:
        """Return what changes where nginx's container is another, or was started anew."""
        form = "{{.Id}} {{.State.StartedAt}}"
        return self.vm.console(f"docker inspect --format '{form}' barestream-nginx-1")

    def everything(self) -> str:
        """Return what a rollout could leave behind, or take away."""
        return self.vm.console(
            "docker ps --all --format '{{.ID}} {{.Names}} {{.Image}}' | sort;"
            "docker image ls --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort;"
            "docker volume ls --quiet; docker network ls --quiet;"
            "cd /opt/barestream && find . -type f ! -name '*lock' | sort | xargs sha256sum;"
            "readlink /var/lib/docker/volumes/barestream_sockets/_data/current"
        )

    def publish(self, data: str) -> str:
        """Publish an event, and return its id."""

        async def post() -> str:
            async with Publisher(self.vm.url) as publisher:
                return await publisher.publish("history", data=data)

        return asyncio.run(post())

    def events_after(self, event_id: str) -> list[str]:
        """Return the data that a client gets that comes back with an id, up to ``last``."""
        parser, found = EventParser(), list[str]()
        headers = {"Last-Event-ID": event_id}
        url = f"{self.vm.url}{PATH}?topic=history"
        with httpx.stream("GET", url, headers=headers, timeout=5) as answer:
            for received in answer.iter_raw():
                found += [event.data for event in parser.feed(received)]
                if "last" in found:
                    return found
        raise AssertionError(found)

    def is_ready(self) -> bool:
        """Return whether the service serves all."""
        try:
            # The workers take turns.
            answers = [httpx.get(f"{self.vm.url}/readyz", timeout=2) for _ in range(4)]
        except httpx.TransportError:
            return False
        return {answer.status_code for answer in answers} == {200}
