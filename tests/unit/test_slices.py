"""Long works share the time that may pass between two turns of the loop."""

import asyncio

import pytest

from barestream.slices import Slices
from fake_outlet import FakeClock

SLICE_SECONDS = 5.0


@pytest.mark.parametrize("works", [1, 2, 3])
def test_all_works_together_take_a_slice_between_two_turns(works: int) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        slices = Slices(clock, SLICE_SECONDS)
        done = [0] * works
        held_seconds: list[float] = []

        async def work(number: int) -> None:
            while True:
                await clock.sleep(1)
                done[number] += 1
                await slices.step()

        async def everything_else() -> None:
            for _ in range(100):
                before_seconds = clock()
                await asyncio.sleep(0)
                held_seconds.append(clock() - before_seconds)

        tasks = [asyncio.create_task(work(number)) for number in range(works)]
        await everything_else()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        # One step of each may begin before it is known that the slice is over.
        assert max(held_seconds) <= SLICE_SECONDS + works - 1
        # None of them waits for ever.
        assert max(done) <= 1.5 * min(done)

    asyncio.run(scenario())


def test_a_work_that_is_cancelled_while_it_waits_holds_up_no_other() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        slices = Slices(clock, SLICE_SECONDS)
        clock.seconds += SLICE_SECONDS
        waiting = [asyncio.create_task(slices.step()) for _ in range(2)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await asyncio.wait_for(slices.step(), 5)

    asyncio.run(scenario())
