"""The nginx that ours is behind, in front of a peer."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.servers.cache import run
from bench.servers.environment import variables
from bench.servers.limits import WIDE
from bench.servers.peer import Peer
from bench.servers.process import Process
from bench.servers.server import answers, tree
from support.servers.service import ROOT, free_port


def installed_nginx() -> str:
    """Return the path of the nginx that ours runs on too."""
    return run(ROOT / "scripts/nginx-binary").splitlines()[-1]


def nginx_in(prefix: Path, binary: str | Path, configuration: Path) -> Process:
    """Return an nginx that writes to one folder alone."""
    # A master that is root would make its workers nobody, who may not reach the folder.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return Process(binary, "-p", prefix, "-c", configuration, "-g", directives)


class BehindNginx:
    """A peer behind the nginx of this repository.

    It listens where a worker of ours would, and answers on the same path: not one line of nginx's
    configuration differs.

    Args:
        make: Makes the peer, with the unix socket that it is to listen on.
    """

    def __init__(self, make: Callable[..., Peer]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bs-")
        self._sockets = Path(self._folder.name) / "sockets"
        self._peer = make(socket=self._sockets / "current/0.sock")
        self.name = f"{self._peer.name} behind nginx"
        self.address = ("127.0.0.1", free_port())
        self.get = self._peer.get
        self.post = self._peer.post
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._folder.cleanup)
            (self._sockets / "current").mkdir(parents=True)
            stack.enter_context(self._peer)
            self._nginx = stack.enter_context(self._rendered())
            self._nginx.wait_until(self.name, lambda: answers(self.address, self.get("ready")))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _rendered(self) -> Process:
        settings = {
            **WIDE,
            "workers": 1,
            "listen": self.address[1],
            "metrics_listen": f"unix:{self._sockets}/metrics.sock",
            "socket_dir": self._sockets,
        }
        configuration, prefix = self._sockets.parent / "conf", self._sockets.parent / "nginx"
        prefix.mkdir()
        run(ROOT / "nginx/render", configuration, environment=variables(settings))
        return nginx_in(prefix, installed_nginx(), configuration / "nginx.conf")

    def pids(self) -> list[int]:
        """Return all processes of both."""
        return [*self._peer.pids(), *tree(self._nginx.pid)]

    def holds(self) -> None:
        """Return nothing: no peer looks."""
