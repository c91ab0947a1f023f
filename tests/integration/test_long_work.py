"""A worker does its long work in slices, and delays no other request."""

import asyncio
import os
import socket
from pathlib import Path
from urllib.parse import quote

from support.clients.publisher import KEY, PATH, Publisher
from support.servers.service import Service

STREAMS = 400
EVENTS = 2000
AT_ONCE = 50

# All of these are tried for each event, and none matches: only the work itself is measured.
TEMPLATES = [f"{{a}}/{{b}}/{{c}}/{number}" for number in range(10)]

# The streams take a worker some 10 s of CPU to look through the history.
CPU_SECONDS = 3

# Each is answered within two or three slices of 5 ms: some 100 a second. Where each turn of the
# loop took a step of every stream, there were 5.
LEAST_ANSWERS = 20 * CPU_SECONDS


class Connection:
    """A connection to a worker's own socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))

    def ask(self, target: str) -> None:
        """Send a request."""
        self._socket.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())

    def read_up_to(self, end: bytes) -> bytes:
        """Return the bytes that arrive, as soon as they end with a mark."""
        text = b""
        while not text.endswith(end):
            got = self._socket.recv(65536)
            assert got, "the connection ended"
            text += got
        return text

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def publish(service: Service) -> None:
    async with Publisher(service.url) as publisher:
        for first in range(0, EVENTS, AT_ONCE):
            some = range(first, first + AT_ONCE)
            await asyncio.gather(*(publisher.publish(f"a/{n}/c/d", data="x") for n in some))


def test_requests_are_answered_while_hundreds_of_streams_replay_the_history() -> None:
    query = "&".join(f"topic={quote(template, safe='')}" for template in TEMPLATES)
    with Service(workers=1, token_key=KEY, publish_rate=100_000) as service:
        asyncio.run(publish(service))
        [worker] = service.workers()
        [path] = service.current_sockets
        streams = [Connection(path) for _ in range(STREAMS)]
        asking = Connection(path)
        began_at = cpu_seconds(worker)
        for stream in streams:
            stream.ask(f"{PATH}?{query}&lastEventID=earliest")
        answers = 0
        while cpu_seconds(worker) - began_at < CPU_SECONDS:
            asking.ask("/healthz")
            assert asking.read_up_to(b"ok\n").startswith(b"HTTP/1.1 200 OK\r\n")
            answers += 1
        print(f"{answers} answers within {CPU_SECONDS} s of the worker's CPU")
        for connection in (*streams, asking):
            connection.close()
    assert answers >= LEAST_ANSWERS
