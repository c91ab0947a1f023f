"""A stream's writer that uses ordinary ASGI sends."""

import asyncio
from collections.abc import AsyncIterator, Callable

from barestream.delivery.writer import MARK_BYTES, nothing
from barestream.mercure.sse import Frame


class BufferedWriter:
    """Buffers the bytes for ASGI sends, on servers without this project's extension."""

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
        """Return 0: plain ASGI gives no access to the socket."""
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
        """End the response without the waiting bytes: plain ASGI cannot cut a connection."""
        self._pending.clear()
        self.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield all waiting bytes, again and again, until the writer is closed."""
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
