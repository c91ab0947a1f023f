"""What the bench asks of a server."""

import socket
from pathlib import Path
from typing import Protocol, Self

from bench.servers.holds import Holds
from support.servers.service import children

# Where it listens: host and port, or the path of a unix socket.
Address = tuple[str, int] | Path


class Server(Protocol):
    """A server of event streams; its context begins once it answers.

    Attributes:
        name: As the report calls it.
    """

    name: str

    @property
    def address(self) -> Address:
        """Where it listens."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def get(self, topic: str) -> str:
        """Return the request target of a stream; it is asked for with Accept: text/event-stream."""

    def post(self, topic: str, data: str) -> bytes:
        """Return a whole request that publishes data; the answer is a 2xx."""

    def pids(self) -> list[int]:
        """Return all its processes of this moment, with those of the nginx before it."""

    def holds(self) -> Holds | None:
        """Return how long its loop was held so far, where it tells."""


def request(target: str, body: str, *fields: str) -> bytes:
    """Return a POST on a connection that stays open."""
    content = body.encode()
    lines = [
        f"POST {target} HTTP/1.1",
        "Host: bench",
        f"Content-Length: {len(content)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def streamed_request(target: str, line: str, *fields: str) -> bytes:
    """Return the head of a POST whose body goes on in chunks, and one line of its body."""
    lines = [f"POST {target} HTTP/1.1", "Host: bench", "Transfer-Encoding: chunked", *fields]
    return "\r\n".join([*lines, "", line]).encode()


def answers(address: Address, target: str) -> bool:
    """Return whether a request target is answered; to accept a connection is less than that."""
    line = f"GET {target} HTTP/1.1"
    head = "\r\n".join([line, "Host: bench", "Accept: text/event-stream", "", ""])
    try:
        with _connected(address) as client:
            client.sendall(head.encode())
            return client.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def _connected(address: Address) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout=2)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(2)
    client.connect(str(address))
    return client


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        return [pid, *(found for child in children(pid) for found in tree(child))]
    except FileNotFoundError:
        # It has just ended, as nginx's loader of its cache does a minute after the start.
        return []
