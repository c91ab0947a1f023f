"""Sweeps what is overdue in the history, by a clock that nobody can set."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from barestream.history.broker import BrokerAwayError

logger = logging.getLogger(__name__)

# How late something is ended at most, while workers have been answered for the whole time that it
# was given. A sweep that finds nothing takes Valkey about 20 us.
SWEEP_SECONDS = 1.0

# After a pause of the sweeps that is longer than this, nobody knows whether producers could reach
# the history meanwhile. A busy worker's loop may be late by a second.
MOST_PAUSE_SECONDS = 3 * SWEEP_SECONDS

# A clock that is ahead of this worker's by so much more than at the sweep before was set forward.
# A clock that is slewed gains half a millisecond in a second; the shortest lease is ten times this.
JUMP_SECONDS = 0.5


class Swept(Protocol):
    """What a sweep has found.

    Attributes:
        now_ms: The time, in milliseconds of the history's clock.
    """

    @property
    def now_ms(self) -> int: ...


Found = TypeVar("Found", bound=Swept)


class _Sweep(NamedTuple):
    """A sweep that was answered.

    Attributes:
        asked_at: When it began, by the worker's clock.
        answered_at: When its answer came.
        now_ms: What the history's clock said meanwhile.
        since: From when on the history has answered each sweep, and its clock has not jumped.
    """

    asked_at: float
    answered_at: float
    now_ms: int
    since: float


class Sweeps(Generic[Found]):
    """Sweeps what is overdue, about once a second.

    Nothing is overdue because the history was away, or because its clock was set forward: who was
    given a time gets the whole of it from then on. So only a worker that has been answered for that
    long ends it, and the time that has passed is that of the worker's own clock.

    Args:
        what: What is ended, in the plural.
        sweep: Has the history end what is overdue. It is given up to which time, in milliseconds of
            the history's clock, and how long the history has been steady, in milliseconds.
        note: Called with what each sweep has found.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        what: str,
        sweep: Callable[[int, int], Awaitable[Found]],
        note: Callable[[Found], None],
        now: Callable[[], float],
    ) -> None:
        self._what = what
        self._ask = sweep
        self._note = note
        self._now = now
        self._last: _Sweep | None = None
        # Of the last sweep, if it failed.
        self._cause: str | None = None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled."""
        while True:
            await self._sweep()
            await sleep(SWEEP_SECONDS)

    async def _sweep(self) -> None:
        asked_at = self._now()
        last = self._last
        if last is not None and asked_at - last.answered_at > MOST_PAUSE_SECONDS:
            last = None
        upto_ms = steady_ms = 0
        if last is not None:
            # The history's clock was read before the answer came.
            upto_ms = last.now_ms + int(1000 * (asked_at - last.answered_at))
            steady_ms = int(1000 * (asked_at - last.since))
        try:
            found = await self._ask(upto_ms, steady_ms)
        except BrokerAwayError as error:
            self._last = None
            self._note_failure(error)
            return
        answered_at = self._now()
        if self._cause is not None:
            self._cause = None
            logger.info("overdue %s are ended again", self._what)
        is_steady = (
            last is not None
            and answered_at - asked_at <= MOST_PAUSE_SECONDS
            and not _has_jumped(last, found, answered_at)
        )
        since = last.since if last is not None and is_steady else answered_at
        self._last = _Sweep(asked_at, answered_at, found.now_ms, since)
        self._note(found)

    def _note_failure(self, error: BrokerAwayError) -> None:
        # Most causes are those for which the tail or the intake logs a line of its own; an error in
        # the script of the sweep is noticed only here.
        if error.cause != self._cause:
            self._cause = error.cause
            logger.warning(
                "overdue %s are not ended",
                self._what,
                extra={"cause": error.cause, "why": str(error)},
            )


def _has_jumped(last: _Sweep, found: Swept, answered_at: float) -> bool:
    """Return whether the history's clock was set forward since the sweep before."""
    most_seconds = answered_at - last.asked_at
    return found.now_ms - last.now_ms > 1000 * (most_seconds + JUMP_SECONDS)
