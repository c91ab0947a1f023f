"""Calls of an application that begin outside of a task (see BEGINS_AT_ONCE in the contract).

A task for each request, and its turns of the loop, took 5 % of a publish. A stream has a task only
when it is over, and so takes less memory.
"""

from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any


def begin(
    call: Coroutine[Any, Any, None],
    loop: AbstractEventLoop,
    on_task: Callable[[Task[None]], None],
) -> None:
    """Begin a call; it becomes a task once there is what it first waits for.

    Args:
        call: The call.
        loop: The event loop, which runs.
        on_task: Called with its task, if it becomes one.
    """
    try:
        awaited: Future[Any] | None = call.send(None)
    except StopIteration:
        return
    if awaited is None:
        # It gives other work a turn.
        _go_on(call, loop, on_task)
    else:
        # The callback keeps the call in memory.
        awaited.add_done_callback(partial(_go_on, call, loop, on_task))


def _go_on(
    call: Coroutine[Any, Any, None],
    loop: AbstractEventLoop,
    on_task: Callable[[Task[None]], None],
    _awaited: object = None,
) -> None:
    # The first step of a task sends None, as a task does to go on after a wait.
    on_task(loop.create_task(call))
