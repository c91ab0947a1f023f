"""A proxy between a browser and a service that does what bad proxies do, one fault at a time."""

import re
import socket
import threading
from enum import Enum

from support.servers.service import Answering
from support.servers.sockets import accept_each, break_off, end, receive, send

CUT_AFTER_SECONDS = 5

_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


class Fault(Enum):
    """What it does with answers."""

    NONE = "passes them on as they come"
    BUFFERS = "passes each on when it is whole"
    CUTS = "cuts each that takes longer than CUT_AFTER_SECONDS"
    REFUSES = "takes no connection"


class FaultyProxy(Answering):
    """Passes HTTP/1.1 on, one request a connection.

    Args:
        to: Where the service is.

    Attributes:
        fault: What it does with the requests that come from now on.
    """

    def __init__(self, to: Answering) -> None:
        super().__init__()
        self.fault = Fault.NONE
        self._to = to
        self._listener = socket.create_server(self.address, backlog=64)
        self._lock = threading.Lock()
        self._open: set[tuple[socket.socket, socket.socket]] = set()

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=accept_each, args=(self._listener, self._take), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        end(self._listener)
        self.break_all()

    def break_all(self) -> None:
        """Break each connection that is open."""
        with self._lock:
            pairs = [*self._open]
        for client, service in pairs:
            break_off(client)
            end(service)

    def _take(self, client: socket.socket) -> None:
        if self.fault is Fault.REFUSES:
            break_off(client)
        else:
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = _head(client)
        try:
            service = socket.create_connection(self._to.address)
        except OSError:
            break_off(client)
            return
        pair = (client, service)
        with self._lock:
            self._open.add(pair)
        try:
            send(service, head)
            threading.Thread(target=_pass_on, args=pair, daemon=True).start()
            self._answer(client, service)
        finally:
            with self._lock:
                self._open.discard(pair)

    def _answer(self, client: socket.socket, service: socket.socket) -> None:
        fault = self.fault
        cut = threading.Timer(CUT_AFTER_SECONDS, break_off, [client])
        cut.daemon = True
        if fault is Fault.CUTS:
            cut.start()
        held: list[bytes] = []
        while received := receive(service):
            if fault is Fault.BUFFERS:
                held.append(received)
            else:
                send(client, received)
        send(client, b"".join(held))
        cut.cancel()
        end(service)
        end(client)


def _head(client: socket.socket) -> bytes:
    """Return a request's head, and what came with it, as one that is the last of its connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = receive(client)
        if not part:
            return b""
        received += part
    head, blank, rest = received.partition(b"\r\n\r\n")
    return _CONNECTION.sub(b"", head) + b"\r\nConnection: close" + blank + rest


def _pass_on(client: socket.socket, service: socket.socket) -> None:
    """Pass the rest of a request on; when the client is gone, so is the service's connection."""
    while received := receive(client):
        send(service, received)
    end(service)
