"""The deadlines of waits that may all take equally long.

One timer for all: asyncio.timeout makes one for each, and needs a task, which a publish may not
have. It took 5 % of a publish.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Wait(Protocol):
    """Something that waits."""

    @property
    def is_over(self) -> bool:
        """Whether it waits no longer."""


W = TypeVar("W", bound=Wait)


class Deadlines(Generic[W]):
    """The waits that are not over, oldest first.

    Args:
        seconds: How long each may take.
        be_overdue: Called with a wait that takes longer.
    """

    def __init__(self, seconds: float, be_overdue: Callable[[W], None]) -> None:
        self._seconds = seconds
        self._be_overdue = be_overdue
        # Each with its end, by the loop's clock.
        self._waits: deque[tuple[float, W]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, wait: W) -> None:
        """Add a wait that begins."""
        loop = asyncio.get_running_loop()
        self._drop_over()
        self._waits.append((loop.time() + self._seconds, wait))
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waits and self._waits[0][0] <= loop.time():
            _, wait = self._waits.popleft()
            if not wait.is_over:
                self._be_overdue(wait)
        self._drop_over()
        if self._waits:
            self._timer = loop.call_at(self._waits[0][0], self._look)

    def _drop_over(self) -> None:
        """Forget the oldest waits that are over: they hold what they waited with."""
        while self._waits and self._waits[0][1].is_over:
            self._waits.popleft()

    def close(self) -> None:
        """End all waits without a call."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
