"""Long work in slices: what else a loop has to do is never kept waiting for longer than one."""

import asyncio
from collections.abc import Awaitable, Callable

# Short beside the 10 ms that nobody notices, long beside the 0.1 ms of a turn of the loop.
SLICE_SECONDS = 0.005


class Slices:
    """The time that long work may take before accepts, publishes and heartbeats have their turn.

    All the long work of a loop shares one: together it takes a slice between two turns.

    Args:
        now: A monotonic clock, in seconds.
        slice_seconds: How long a slice is.
        sleep: Lets the others in.
    """

    def __init__(
        self,
        now: Callable[[], float],
        slice_seconds: float = SLICE_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slice_seconds = slice_seconds
        self._now = now
        self._sleep = sleep
        self._ends_at = now() + slice_seconds
        # One after the other, or each work would begin a slice of its own in the same turn.
        self._turn = asyncio.Lock()

    async def step(self) -> None:
        """Say that a step of the work is done; where the slice is over, wait for the next one."""
        if self._now() >= self._ends_at:
            async with self._turn:
                await self._sleep(0)
                self._ends_at = self._now() + self._slice_seconds
