"""One time budget for the long work of an event loop: other work waits for one slice at most."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import TypeVar

# Shorter than 10 ms, a delay that is not noticed, and much longer than a turn of the loop (0.1 ms).
SLICE_SECONDS = 0.005

# Live events go first, but one of this many slices is for other work: otherwise a burst would keep
# clients from catching up.
LIVE_SHARE = 5

Result = TypeVar("Result")


class Slices:
    """The time that all long work of a loop may take together between two turns.

    The first work that asks in a turn of the loop begins the turn's slice. Work that waits for
    another slice gets one in a later turn; one waiter goes at a time, live events first.

    Args:
        now: A monotonic clock, in seconds.
        slice_seconds: How long a slice is.
    """

    def __init__(self, now: Callable[[], float], slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice_seconds = slice_seconds
        self._now = now
        self._ends_at: float | None = None
        self._is_turn_due = False
        self._live: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._live_in_a_row = 0
        self._is_live_at_work = False

    def begin(self) -> float:
        """Return when this turn's slice ends; begin the slice if it has not begun."""
        if self._ends_at is None:
            self._ends_at = self._now() + self._slice_seconds
            self._await_turn()
        return self._ends_at

    def is_over(self) -> bool:
        """Return whether this turn's slice is over."""
        return self._now() >= (self._ends_at or self.begin())

    async def next(self, *, live: bool = False) -> None:
        """Wait for a slice of a later turn.

        Args:
            live: Whether it is for live events, which go first.
        """
        waiter = asyncio.get_running_loop().create_future()
        (self._live if live else self._others).append(waiter)
        self._await_turn()
        await waiter

    async def step(self, *, live: bool = False) -> None:
        """Call this after each step of the work: if the slice is over, it waits for another."""
        if self.is_over():
            await self.next(live=live)

    async def work(self, steps: Generator[None, None, Result]) -> Result:
        """Run a generator that yields when the slice is over; return its result."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            await self.next()

    def _await_turn(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """End the previous turn's slice, and wake one waiter, which runs in the next turn."""
        self._is_turn_due = False
        self._ends_at = None
        was_live_at_work, self._is_live_at_work = self._is_live_at_work, False
        may_live = not self._others or self._live_in_a_row < LIVE_SHARE - 1
        if self._live and may_live:
            self._is_live_at_work = _let_in(self._live)
            self._live_in_a_row += 1
        elif not (was_live_at_work and may_live) and _let_in(self._others):
            self._live_in_a_row = 0
        if self._live or self._others:
            self._await_turn()


def _let_in(waiters: deque[asyncio.Future[None]]) -> bool:
    """Wake the first waiter that still waits; return whether there was one."""
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return True
    return False
