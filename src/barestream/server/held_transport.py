"""A transport that holds back the head of an answer, so that it goes with the first of the body.

uvicorn writes the two one after the other, and each write takes the kernel 10 us.
"""

import asyncio
from collections.abc import Callable

from barestream.server import heads
from barestream.server.heads import Headers
from barestream.server.uvicorn_parts import RequestResponseCycle


class HeldTransport:
    """The transport of a response; it keeps what is written until that is taken.

    Args:
        transport: The transport that it writes to afterwards.
        start: Starts a response that stays open, and returns its head; None if a send has to.
    """

    __slots__ = ("_pieces", "_start", "_transport", "is_closing")

    def __init__(
        self,
        transport: asyncio.Transport,
        start: Callable[[Headers], bytes | None] = lambda _: None,
    ) -> None:
        self._start = start
        self.is_closing = transport.is_closing
        self._pieces: list[bytes] | None = []
        self._transport = transport

    def begin(self, headers: Headers) -> bool:
        """Keep the head of a response that starts; return False if a send has to start it."""
        if self._pieces is None or (head := self._start(headers)) is None:
            return False
        self._pieces.append(head)
        return True

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
    headers: Headers,
    body: bytes,
) -> None:
    """Send an answer by one write (see SendWhole in barestream.asgi.contract)."""
    head = heads.of_whole(cycle, status, headers, len(body))
    if head is not None:
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(head + body)
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
