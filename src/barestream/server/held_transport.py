"""A transport that holds back the head of an answer, so that it goes with the first of the body.

uvicorn writes the two one after the other, and each write takes the kernel 10 us.
"""

import asyncio
import re
from collections.abc import Iterable
from http import HTTPStatus

from barestream.server.uvicorn_parts import STATUS_LINE, RequestResponseCycle

_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

_OF_THE_CONNECTION = {b"connection", b"transfer-encoding"}

# The control characters that no header may have, and a CR that ends no line.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")


class HeldTransport:
    """The transport of a response; it keeps what is written until that is taken.

    Args:
        transport: The transport that it writes to afterwards.
    """

    __slots__ = ("_pieces", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_closing = transport.is_closing
        self._pieces: list[bytes] | None = []
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Keep the data, or write them once the kept ones were taken."""
        if self._pieces is None:
            self._transport.write(data)
        else:
            self._pieces.append(data)

    def take(self) -> bytes:
        """Return what was kept; the caller writes it."""
        pieces, self._pieces = self._pieces, None
        return b"".join(pieces or ())

    def flush(self) -> None:
        """Write what was kept."""
        if kept := self.take():
            self._transport.write(kept)

    def close(self) -> None:
        """Write what was kept, and close the transport."""
        self.flush()
        self._transport.close()


async def send_whole(
    cycle: RequestResponseCycle,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Send an answer by one write (see SendWhole in barestream.asgi.contract)."""
    whole = _plain(cycle, status, headers, body)
    if whole is not None:
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(whole)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return
    held = HeldTransport(cycle.transport)
    cycle.transport = held  # type: ignore[assignment]
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": body, "more_body": False})
    held.flush()


def _plain(
    cycle: RequestResponseCycle,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
) -> bytes | None:
    """Return the bytes of an answer whose sending needs nothing special, else None.

    uvicorn's two sends take 6 us: they look at each header, for what none of these answers has.
    """
    if (
        cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or cycle.access_log
        or cycle.scope["method"] == "HEAD"
        or status < HTTPStatus.OK
        or status in _BODILESS
    ):
        return None
    size = b"%d" % len(body)
    has_size = False
    lines = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        if name in _OF_THE_CONNECTION:
            return None
        if name == b"content-length":
            has_size = value == size
        lines.append(b"%b: %b\r\n" % (name, value))
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    head = b"".join(lines)
    # A line end within a header would begin another header.
    if not has_size or head.count(b"\n") != len(lines) or _CONTROL.search(head):
        return None
    return b"%b\r\n%b" % (head, body)
