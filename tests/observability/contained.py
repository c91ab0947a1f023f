"""The app in a container of its own, whose memory can be changed."""

import os
import secrets
from contextlib import ExitStack

import httpx

from support.clients.publisher import KEY
from support.servers.docker_cli import docker
from support.servers.service import ROOT, Answering, wait_for
from support.servers.valkey_server import ValkeyServer

# A first build fetches the packages.
_BUILD_SECONDS = 600


class Contained(Answering):
    """This checkout's image with two workers, on the network of this machine; a context.

    Args:
        valkey: Where its history is.
        memory: What its container may have, as Docker writes it.
        settings: Further settings of the service.
    """

    def __init__(self, valkey: ValkeyServer, memory: str, **settings: object) -> None:
        super().__init__()
        self._name = f"barestream-test-{secrets.token_hex(4)}"
        self._memory = memory
        usual = {"workers": 2, "token_key": KEY, "bind": f"127.0.0.1:{self.port}"}
        usual |= {"broker_url": valkey.url, "broker_password": valkey.password}
        self._settings = {**usual, **settings}

    def __enter__(self) -> "Contained":
        with ExitStack() as ending:
            ending.push(self)
            self._start()
            ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", self._name)
        docker("image", "rm", "--force", self._name)

    def _start(self) -> None:
        index = [f"--build-arg={name}" for name in ("PIP_INDEX_URL",) if name in os.environ]
        docker("build", "--quiet", "--tag", self._name, *index, str(ROOT), seconds=_BUILD_SECONDS)
        settings = [
            f"--env=BARESTREAM_{name.upper()}={value}" for name, value in self._settings.items()
        ]
        docker(
            *("run", "--detach", "--init", "--network=host", f"--name={self._name}"),
            *(*_bounds(self._memory), *settings, self._name),
        )
        wait_for("the app in its container", self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False

    def give(self, memory: str) -> None:
        """Give its container so much memory, and put workers in place that know of it."""
        docker("update", *_bounds(memory), self._name)
        docker("kill", "--signal=HUP", self._name)


def _bounds(memory: str) -> list[str]:
    # Without swap.
    return [f"--memory={memory}", f"--memory-swap={memory}"]
