"""Calls that begin outside of a task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from barestream.server import calls


class Begun:
    """A call that has begun, and its task."""

    def __init__(self, call: Coroutine[Any, Any, None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._has_task = asyncio.Event()
        calls.begin(call, asyncio.get_running_loop(), self._on_task)

    def _on_task(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self._has_task.set()

    async def becomes_a_task(self) -> asyncio.Task[None]:
        await self._has_task.wait()
        assert self.task is not None
        return self.task


def void(_: object) -> None:
    """Return nothing."""


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


@in_a_loop
async def test_a_call_that_waits_for_nothing_is_over_without_a_task() -> None:
    done = []

    async def call() -> None:
        done.append("done")

    begun = Begun(call())
    assert done == ["done"]
    assert begun.task is None


@in_a_loop
async def test_a_call_becomes_a_task_when_there_is_what_it_waits_for() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    found: list[Any] = []

    async def call() -> None:
        found.append(await first)
        found.append(asyncio.current_task())
        # This needs a task.
        async with asyncio.timeout(60):
            found.append(await second)

    begun = Begun(call())
    await asyncio.sleep(0)
    assert begun.task is None
    first.set_result("first")
    task = await begun.becomes_a_task()
    loop.call_soon(second.set_result, "second")
    await task
    assert found == ["first", task, "second"]


@in_a_loop
async def test_a_turn_of_the_loop_is_enough_to_become_a_task() -> None:
    found = []

    async def call() -> None:
        await asyncio.sleep(0)
        found.append(asyncio.current_task())

    begun = Begun(call())
    assert begun.task is not None
    await begun.task
    assert found == [begun.task]


@in_a_loop
async def test_a_call_that_is_cancelled_before_its_task_goes_on_does_its_cleanup() -> None:
    loop = asyncio.get_running_loop()
    waiter, is_over = loop.create_future(), asyncio.Event()
    done = []

    async def call() -> None:
        try:
            await waiter
            done.append("went on")
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")
            is_over.set()

    calls.begin(call(), loop, lambda task: void(task.cancel()))
    waiter.set_result(None)
    await is_over.wait()
    assert done == ["cleaned up"]


@in_a_loop
async def test_a_call_gets_the_error_of_what_it_waits_for_and_may_raise_one() -> None:
    waiter = asyncio.get_running_loop().create_future()

    async def call() -> None:
        try:
            await waiter
        except ValueError as error:
            raise KeyError("another") from error

    begun = Begun(call())
    waiter.set_exception(ValueError("one"))
    task = await begun.becomes_a_task()
    with pytest.raises(KeyError, match="another"):
        await task


@in_a_loop
async def test_a_call_whose_wait_is_cancelled_is_cancelled() -> None:
    waiter = asyncio.get_running_loop().create_future()
    done = []

    async def call() -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            done.append("cancelled")

    begun = Begun(call())
    waiter.cancel()
    await (await begun.becomes_a_task())
    assert done == ["cancelled"]
