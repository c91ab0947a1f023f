"""What the peers have in common."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import quote

from bench.servers.process import Process
from bench.servers.server import Address, answers, request, tree
from support.servers.service import free_port

# Ours, so that nginx sends a peer's requests the same way.
_PATH = "/.well-known/mercure"


class Peer:
    """A server that is one program: the topic stands in the query, the data is the body.

    That asks less of it than a form, a token and an update's checks ask of ours.

    Args:
        installed: What `install` gave.
        socket: Where it listens, if not on a port.

    Attributes:
        name: As the report calls it.
        key: As the options of the bench call it.
    """

    name: str
    key: str

    def __init__(self, installed: Path, socket: Path | None = None) -> None:
        self._installed = installed
        self._socket = socket
        self._port = free_port()
        self._running = ExitStack()

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have what it runs from in a folder of the cache, and return that.

        Raises:
            MissingError: It cannot be had here.
        """
        raise NotImplementedError

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return its version and those of what it alone runs on, by name."""
        raise NotImplementedError

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._socket or ("127.0.0.1", self._port)

    def process(self, folder: Path) -> Process:
        """Return what is to run; it may write to a folder that goes with it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="bs-peer-")))
            self._process = stack.enter_context(self.process(folder))
            self._process.wait_until(self.name, lambda: answers(self.address, self.get("ready")))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def get(self, topic: str) -> str:
        """Return a stream's request target."""
        return f"{_PATH}?topic={quote(topic, safe='')}"

    def post(self, topic: str, data: str) -> bytes:
        """Return a request that publishes."""
        return request(self.get(topic), data)

    def pids(self) -> list[int]:
        """Return all its processes."""
        return tree(self._process.pid)

    def holds(self) -> None:
        """Return nothing: no peer looks."""
