"""The two ways of a stream's bytes to its client: past the ASGI sends, or through them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from barestream.frames import Frame
from barestream.stream import MARK_BYTES, Outlet, nothing

# The key of our extension in an ASGI scope's "extensions".
EXTENSION = "barestream.response"


class OpenResponse(Outlet, Protocol):
    """A response whose body the server lets the application write directly.

    ``scope["extensions"]["barestream.response"]`` is a callable that returns it, to be called
    before the response starts. Its start and its end go by ASGI's own sends.
    """

    async def over(self) -> None:
        """Wait until the response may end: it was closed and its bytes have left, or the client
        has gone.
        """


class BufferedOutlet:
    """Hands the bytes to ASGI sends, where the server offers nothing better."""

    def __init__(self) -> None:
        self.on_resume: Callable[[], None] = nothing
        self._pending: list[bytes] = []
        self.pending_bytes = 0
        self._closed = False
        self._stirred = asyncio.Event()

    @property
    def paused(self) -> bool:
        """Whether more is waiting than the mark."""
        return self.pending_bytes > MARK_BYTES

    def kernel_bytes(self) -> int:
        """Return 0: plain ASGI knows nothing of the kernel."""
        return 0

    def write(self, frame: Frame) -> bool:
        """Queue a frame for the next send; return False once it is closed."""
        if self._closed:
            return False
        self._pending.append(frame.body)
        self.pending_bytes += len(frame.body)
        self._stirred.set()
        return True

    def close(self) -> None:
        """Let the response end once all has been sent."""
        self._closed = True
        self._stirred.set()

    def abort(self) -> None:
        """End the response without what waits: plain ASGI has no way to cut a connection."""
        self._pending.clear()
        self.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield all that waits, again and again, until the outlet is closed."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            pending = b"".join(self._pending)
            self._pending.clear()
            if pending:
                yield pending
                was_paused = self.paused
                self.pending_bytes -= len(pending)
                if was_paused and not self.paused:
                    self.on_resume()
            if self._closed and not self._pending:
                return
