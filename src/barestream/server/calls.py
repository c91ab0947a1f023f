"""Calls of an application that begin outside of a task (see BEGINS_AT_ONCE in the contract).

A task for each request, and the turn of the loop that it waits for, took 5 % of a publish.
"""

from asyncio import AbstractEventLoop, Task
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


def begin(call: Coroutine[Any, Any, None], loop: AbstractEventLoop) -> Task[None] | None:
    """Begin a call; return the task for the rest of it, None if it is over already."""
    try:
        awaited = call.send(None)
    except StopIteration:
        return None
    return loop.create_task(_rest(call, awaited))


@coroutine
def _rest(call: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, None, None]:
    """Wait for what a call awaits, and go on with it."""
    while True:
        try:
            # The task waits for it as if the call had been its own from the beginning.
            yield awaited
        except BaseException as error:
            try:
                awaited = call.throw(error)
            except StopIteration:
                return
        else:
            yield from call
            return
