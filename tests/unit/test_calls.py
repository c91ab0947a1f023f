"""Calls that begin outside of a task."""

import asyncio
from collections.abc import Awaitable

import pytest

from barestream.server import calls


def test_a_call_that_waits_for_nothing_is_over_without_a_task() -> None:
    done = []

    async def call() -> None:
        done.append("done")

    async def main() -> None:
        assert calls.begin(call(), asyncio.get_running_loop()) is None
        assert done == ["done"]

    asyncio.run(main())


def test_a_call_becomes_a_task_when_it_first_waits() -> None:
    tasks = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        async def call() -> None:
            tasks.append(await first)
            tasks.append(asyncio.current_task())
            # This needs a task.
            async with asyncio.timeout(60):
                tasks.append(await second)

        task = calls.begin(call(), loop)
        assert task is not None
        assert not tasks
        first.set_result("first")
        loop.call_soon(loop.call_soon, loop.call_soon, second.set_result, "second")
        await task
        assert tasks == ["first", task, "second"]

    asyncio.run(main())


def test_what_a_call_waits_for_may_be_there_before_its_task_runs() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        found = []

        async def call() -> None:
            found.append(await waiter)

        task = calls.begin(call(), loop)
        waiter.set_result("at once")
        assert task is not None
        await task
        assert found == ["at once"]

    asyncio.run(main())


def test_a_turn_of_the_loop_is_enough_to_become_a_task() -> None:
    async def main() -> None:
        found = []

        async def call() -> None:
            await asyncio.sleep(0)
            found.append(asyncio.current_task())

        task = calls.begin(call(), asyncio.get_running_loop())
        assert task is not None
        await task
        assert found == [task]

    asyncio.run(main())


@pytest.mark.parametrize("waits_again", [False, True])
def test_a_call_that_is_cancelled_where_it_first_waits_does_its_cleanup(waits_again: bool) -> None:
    done = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        never: Awaitable[None] = loop.create_future()

        async def call() -> None:
            try:
                await never
            except asyncio.CancelledError:
                done.append("cancelled")
            finally:
                if waits_again:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                done.append("cleaned up")

        task = calls.begin(call(), loop)
        assert task is not None
        await asyncio.sleep(0)
        task.cancel()
        await task
        assert done == ["cancelled", "cleaned up"]

    asyncio.run(main())


def test_a_call_gets_the_error_of_what_it_waits_for_and_may_raise_one() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        async def call() -> None:
            try:
                await waiter
            except ValueError as error:
                raise KeyError("another") from error

        task = calls.begin(call(), loop)
        assert task is not None
        waiter.set_exception(ValueError("one"))
        with pytest.raises(KeyError, match="another"):
            await task

    asyncio.run(main())
