"""A transport that holds back the head of an answer, so that it goes with the first of the body.

uvicorn writes the two one after the other, and each write takes the kernel 10 us.
"""

import asyncio
from collections.abc import Iterable

from barestream.server.uvicorn_parts import RequestResponseCycle


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
    held = HeldTransport(cycle.transport)
    cycle.transport = held  # type: ignore[assignment]
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": body, "more_body": False})
    held.flush()
