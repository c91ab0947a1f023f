"""Work that goes in slices, with turns for other work between them."""

import asyncio
from collections.abc import Iterable

# How many steps of a removal (an update, or a lane that it leaves) go without a turn for other
# work: they take about 1 ms.
SLICE_STEPS = 500


async def in_slices(steps: Iterable[int]) -> None:
    """Do work that yields its steps, and give other work its turn between slices."""
    left = SLICE_STEPS
    for done in steps:
        left -= done
        if left <= 0:
            await asyncio.sleep(0)
            left = SLICE_STEPS
