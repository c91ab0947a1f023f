"""The two ways of a stream's bytes to its client: past the ASGI sends, or through them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from barestream.frames import Frame
from barestream.stream import MARK_BYTES

# The key of our extension in an ASGI scope's "extensions".
EXTENSION = "barestream.response"

# How often a closed outlet looks whether its last bytes have left: mostly they have at once.
FLUSH_POLL_SECONDS = 0.01


class OpenResponse(Protocol):
    """A response whose body the server lets the application write directly.

    ``scope["extensions"]["barestream.response"]`` is a callable that returns it, to be called
    before the response starts. Its start and its end go by ASGI's own sends.
    """

    on_resume: Callable[[], None]

    @property
    def paused(self) -> bool:
        """Whether more is waiting in the transport than its mark."""

    @property
    def pending_bytes(self) -> int:
        """How much is waiting in the transport."""

    def write(self, body: bytes, chunk: bytes) -> None:
        """Send bytes, given bare and as a chunk of HTTP/1.1; nothing happens once it is closed."""

    def abort(self) -> None:
        """Cut the connection."""


class DirectOutlet:
    """Writes to the server's transport."""

    def __init__(self, response: OpenResponse) -> None:
        self._response = response
        self._closed = asyncio.Event()

    @property
    def on_resume(self) -> Callable[[], None]:
        """Called when the transport has drained."""
        return self._response.on_resume

    @on_resume.setter
    def on_resume(self, callback: Callable[[], None]) -> None:
        self._response.on_resume = callback

    @property
    def paused(self) -> bool:
        """Whether more is waiting in the transport than its mark."""
        return self._response.paused

    @property
    def pending_bytes(self) -> int:
        """How much is waiting in the transport."""
        return self._response.pending_bytes

    def write(self, frame: Frame) -> None:
        """Send a frame."""
        self._response.write(frame.body, frame.chunk)

    def close(self) -> None:
        """Let the response end."""
        self._closed.set()

    def abort(self) -> None:
        """Cut the connection."""
        self._response.abort()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what must go by ASGI sends: nothing, until the response may end."""
        await self._closed.wait()
        # Open until its bytes have left, so that a client that does not read can still be cut.
        while self._response.pending_bytes:
            await asyncio.sleep(FLUSH_POLL_SECONDS)
        return
        yield  # an async generator has one


class BufferedOutlet:
    """Hands the bytes to ASGI sends, where the server offers nothing better."""

    def __init__(self) -> None:
        self.on_resume: Callable[[], None] = lambda: None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._closed = False
        self._stirred = asyncio.Event()

    @property
    def paused(self) -> bool:
        """Whether more is waiting than the mark."""
        return self._pending_bytes > MARK_BYTES

    @property
    def pending_bytes(self) -> int:
        """How much is waiting."""
        return self._pending_bytes

    def write(self, frame: Frame) -> None:
        """Queue a frame for the next send."""
        self._pending.append(frame.body)
        self._pending_bytes += len(frame.body)
        self._stirred.set()

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
                self._pending_bytes -= len(pending)
                if was_paused and not self.paused:
                    self.on_resume()
            if self._closed and not self._pending:
                return
