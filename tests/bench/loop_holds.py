"""How long an event loop is held: how much its thread works between two turns."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

PERIOD_SECONDS = 0.001


def collect_as_workers_do() -> None:
    """Have the garbage collector of this process work as rarely as that of a worker."""
    gc.freeze()
    gc.set_threshold(5_000, 5, 1_000)


class LoopHolds:
    """A task that wakes again and again, and notes what the loop did between two wakes.

    Attributes:
        longest_seconds: The longest time between two wakes, without the task's own sleep.
        longest_cpu_seconds: The most CPU that the loop's thread took between two wakes. On a
            machine that others use too, this is what the program itself is answerable for.
    """

    def __init__(self) -> None:
        self.longest_seconds = self.longest_cpu_seconds = 0.0

    def forget(self) -> None:
        """Begin to measure again."""
        self.longest_seconds = self.longest_cpu_seconds = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            at, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(PERIOD_SECONDS)
            late_seconds = time.perf_counter() - at - PERIOD_SECONDS
            self.longest_seconds = max(self.longest_seconds, late_seconds)
            self.longest_cpu_seconds = max(self.longest_cpu_seconds, time.thread_time() - cpu)

    @contextlib.asynccontextmanager
    async def measuring(self) -> AsyncIterator["LoopHolds"]:
        """Measure while the context lasts."""
        running = asyncio.create_task(self.run())
        # The task's first wake begins the measurement.
        await asyncio.sleep(5 * PERIOD_SECONDS)
        self.forget()
        try:
            yield self
            await asyncio.sleep(5 * PERIOD_SECONDS)
        finally:
            running.cancel()
            await asyncio.wait([running])

    def around(self, app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return the ASGI application with this task in its loop."""
        running: list[asyncio.Task[None]] = []

        async def measured(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                running.append(asyncio.create_task(self.run()))
            await app(scope, receive, send)

        return measured
