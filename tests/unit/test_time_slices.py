"""Long works share the time that may pass between two turns of the loop."""

import asyncio
from collections.abc import Generator

import pytest

from barestream.delivery.time_slices import LIVE_SHARE, Slices
from fake_writer import FakeClock

SLICE_SECONDS = 5.0
STEP_SECONDS = 1.0


class Works:
    """Works without an end, one step after the other."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.slices = Slices(self.clock, SLICE_SECONDS)
        self.done: list[int] = []
        self.held_seconds: list[float] = []

    async def _work(self, number: int, *, live: bool) -> None:
        while True:
            self.clock.seconds += STEP_SECONDS
            self.done[number] += 1
            await self.slices.step(live=live)

    async def run(self, *live: bool, turns: int = 200) -> None:
        """Run a work for each argument (live or not), for so many turns of the loop."""
        self.done = [0] * len(live)
        tasks = [
            asyncio.create_task(self._work(number, live=is_live))
            for number, is_live in enumerate(live)
        ]
        for _ in range(turns):
            before_seconds = self.clock()
            await asyncio.sleep(0)
            self.held_seconds.append(self.clock() - before_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize("works", [1, 2, 3, 400])
def test_all_works_together_take_one_slice_between_two_turns_of_the_loop(works: int) -> None:
    running = Works()
    asyncio.run(running.run(*[False] * works, turns=10 * works))
    # Each work takes a step before it asks; the one that has the slice ends with a step.
    first, *later = running.held_seconds
    assert first <= SLICE_SECONDS + works
    assert max(later) <= SLICE_SECONDS + STEP_SECONDS
    # None of them waits for ever.
    assert max(running.done) <= 1.5 * min(running.done)


def test_live_works_go_first_and_leave_the_others_their_share() -> None:
    running = Works()
    asyncio.run(running.run(True, *[False] * 10, turns=2000))
    live, *others = running.done
    assert live >= (LIVE_SHARE - 2) * sum(others)
    assert min(others) > 0
    assert max(others) <= 1.5 * min(others)


def test_a_work_without_live_works_beside_it_gets_every_slice() -> None:
    running = Works()
    asyncio.run(running.run(False, turns=100))
    assert running.done[0] >= 40 * SLICE_SECONDS


def test_a_work_that_yields_continues_in_later_turns() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        slices = Slices(clock, SLICE_SECONDS)

        def count() -> Generator[None, None, int]:
            for _ in range(16):
                clock.seconds += STEP_SECONDS
                if slices.is_over():
                    yield
            return 16

        working = asyncio.create_task(slices.work(count()))
        turns = 0
        while not working.done():
            before_seconds = clock()
            await asyncio.sleep(0)
            assert clock() - before_seconds <= SLICE_SECONDS + STEP_SECONDS
            turns += 1
        assert working.result() == 16
        assert turns >= 3

    asyncio.run(scenario())


def test_a_work_cancelled_while_it_waits_does_not_delay_another() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        slices = Slices(clock, SLICE_SECONDS)
        waiting = [asyncio.create_task(slices.next()) for _ in range(2)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await asyncio.wait_for(slices.next(), 5)

    asyncio.run(scenario())
