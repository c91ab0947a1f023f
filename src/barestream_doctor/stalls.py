"""Notes when this process itself did not run, so that nothing else is blamed for it."""

import asyncio
import time

_STEP_SECONDS = 0.02

# Shorter ones make no event late.
_LEAST_SECONDS = 0.05


class StallWatch:
    """A context that notes the stalls of the running loop.

    Attributes:
        stalls: The begin and the end of each, on the wall clock.
    """

    def __init__(self) -> None:
        self.stalls: list[tuple[float, float]] = []
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> "StallWatch":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            before = time.time()
            await asyncio.sleep(_STEP_SECONDS)
            after = time.time()
            if after - before > _STEP_SECONDS + _LEAST_SECONDS:
                self.stalls.append((before, after))
