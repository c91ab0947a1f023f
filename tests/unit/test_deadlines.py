"""The deadlines of waits that may all take equally long."""

import asyncio
from collections.abc import Callable
from typing import Any

from barestream.history.valkey.deadlines import Deadlines

SECONDS = 5.0


class Wait:
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_over = False


class Clock:
    """The clock and the timers of a loop; a test moves it on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        loop.time = lambda: self.now  # type: ignore[method-assign]
        loop.call_at = self._call_at  # type: ignore[method-assign, assignment]

    def _call_at(self, when: float, call: Callable[[], None], **_: Any) -> asyncio.TimerHandle:
        self.timers.append((when, call))
        return asyncio.TimerHandle(when, call, (), asyncio.get_running_loop())

    def move_on(self, seconds: float) -> None:
        self.now += seconds
        due = [call for when, call in self.timers if when <= self.now]
        self.timers = [each for each in self.timers if each[0] > self.now]
        for call in due:
            call()


def deadlines_with_a_clock(test: Callable[[Deadlines[Wait], Clock, list[str]], None]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        names = loop.time, loop.call_at
        overdue: list[str] = []
        clock = Clock(loop)
        try:
            test(Deadlines(SECONDS, lambda wait: overdue.append(wait.name)), clock, overdue)
        finally:
            loop.time, loop.call_at = names  # type: ignore[method-assign]

    asyncio.run(main())


def test_each_wait_is_overdue_after_its_own_time() -> None:
    def check(deadlines: Deadlines[Wait], clock: Clock, overdue: list[str]) -> None:
        deadlines.add(Wait("first"))
        clock.move_on(2)
        deadlines.add(Wait("second"))
        clock.move_on(2.9)
        assert overdue == []
        clock.move_on(0.1)
        assert overdue == ["first"]
        clock.move_on(1.9)
        assert overdue == ["first"]
        clock.move_on(0.1)
        assert overdue == ["first", "second"]
        assert clock.timers == []

    deadlines_with_a_clock(check)


def test_a_wait_that_is_over_is_never_overdue() -> None:
    def check(deadlines: Deadlines[Wait], clock: Clock, overdue: list[str]) -> None:
        first, second = Wait("first"), Wait("second")
        deadlines.add(first)
        deadlines.add(second)
        second.is_over = True
        clock.move_on(SECONDS)
        assert overdue == ["first"]

    deadlines_with_a_clock(check)


def test_all_waits_have_one_timer() -> None:
    def check(deadlines: Deadlines[Wait], clock: Clock, overdue: list[str]) -> None:
        for number in range(100):
            wait = Wait(str(number))
            deadlines.add(wait)
            wait.is_over = True
            clock.move_on(0.01)
        assert len(clock.timers) == 1
        clock.move_on(SECONDS)
        assert overdue == []
        assert clock.timers == []

    deadlines_with_a_clock(check)
