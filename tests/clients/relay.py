"""A line between a client and the service that can be cut."""

import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from support.servers.service import Answering
from support.servers.sockets import accept_each, end, receive, send

STREAM_PATH = "/.well-known/mercure"


@dataclass(frozen=True)
class StreamRequest:
    """A client's request for a stream.

    Attributes:
        at: When it came; monotonic, in seconds.
        last_event_id: Its header Last-Event-ID, or what event-source-polyfill has in its place:
            lastEventId in the query.
    """

    at: float
    last_event_id: str | None


class Relay(Answering):
    """Passes bytes on in both directions, and cuts the first streams where a mark comes.

    Args:
        to: Where the service is.
        cut_after: The mark of each of them: a pattern of at most 32 bytes of the answer, after
            which no other byte passes.
    """

    def __init__(self, to: tuple[str, int], cut_after: Sequence[bytes]) -> None:
        super().__init__()
        self.requests: list[StreamRequest] = []
        self.cut_at: float | None = None
        self._to = to
        self._marks = [re.compile(mark) for mark in cut_after]
        self._listener = socket.create_server(self.address)
        self._open: list[socket.socket] = []

    def __enter__(self) -> "Relay":
        threading.Thread(
            target=accept_each, args=(self._listener, self._relay), daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            end(each)

    def _relay(self, client: socket.socket) -> None:
        service = socket.create_connection(self._to)
        self._open += [client, service]
        for target in (self._upwards, self._downwards):
            threading.Thread(target=target, args=(client, service), daemon=True).start()

    def _upwards(self, client: socket.socket, service: socket.socket) -> None:
        while received := receive(client):
            # A request without a body is one piece.
            if received.startswith(f"GET {STREAM_PATH}?".encode()):
                self.requests.append(StreamRequest(time.monotonic(), _last_event_id(received)))
            send(service, received)
        end(service)

    def _downwards(self, client: socket.socket, service: socket.socket) -> None:
        # The mark may come in two pieces.
        before = b""
        while received := receive(service):
            seen = before + received
            mark = self._marks[0].search(seen) if self._marks else None
            if mark:
                del self._marks[0]
                self.cut_at = time.monotonic()
                send(client, received[: mark.end() - len(before)])
                break
            send(client, received)
            before = seen[-32:]
        end(service)
        end(client)


def _last_event_id(request: bytes) -> str | None:
    for line in request.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "last-event-id":
            return value.strip()
    query = parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)
    return query.get("lastEventId", [None])[-1]
