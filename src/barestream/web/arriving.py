"""The pieces of a request's body as they arrive, awaited beside other things."""

import asyncio
from collections.abc import AsyncIterator


class Arriving:
    """Waits for pieces; a wait that is given up loses none.

    Args:
        body: The body; it is not read further than the pieces that were asked for.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._next: asyncio.Task[bytes | None] | None = None

    async def next(self, other: asyncio.Future[None], seconds: float) -> bytes | None:
        """Return the next piece; None after the last one.

        Args:
            other: Is awaited beside it.
            seconds: How long to wait at most.

        Raises:
            TimeoutError: The other came, or the time is over.
        """
        if self._next is None:
            self._next = asyncio.create_task(_next(self._body))
        await asyncio.wait(
            (self._next, other), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if not self._next.done():
            raise TimeoutError
        piece = self._next.result()
        self._next = None
        return piece

    async def leave(self) -> None:
        """Give up the wait, so that the rest of the body can be read by others."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
            if not self._next.cancelled():
                # Its error, if it is one, is no news: the request is answered already.
                self._next.exception()
            self._next = None


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    return await anext(body, None)
