"""What the relays of the tests do with sockets, some of which the other side has ended."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress

# What makes close() send RST, as a middle box does that forgets a connection.
_LINGER_NOT = struct.pack("ii", 1, 0)


def accept_each(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """Serve one connection after the other, until the listener is ended."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        serve(client)


def receive(peer: socket.socket) -> bytes:
    """Return what comes next; nothing at the end."""
    try:
        return peer.recv(65_536)
    except OSError:
        return b""


def send(peer: socket.socket, data: bytes) -> None:
    """Send all of it, or end the connection."""
    try:
        peer.sendall(data)
    except OSError:
        end(peer)


def end(peer: socket.socket) -> None:
    """End a connection for the threads too that wait in it, which closing it alone does not."""
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
    peer.close()


def break_off(peer: socket.socket) -> None:
    """Break a connection: its other side gets an error in place of an end."""
    with suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        # A thread that waits in it keeps it open. SHUT_RDWR would send a FIN.
        peer.shutdown(socket.SHUT_RD)
    peer.close()
