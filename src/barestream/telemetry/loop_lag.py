"""How late the event loop runs what is due: long work in it delays everything else."""

import asyncio
from collections.abc import Awaitable, Callable

from barestream.telemetry.metrics import Metrics

# A wake of an idle worker takes up to 0.2 ms, most of it in the kernel: 0.2 % of a core. A delay is
# noticed if a wake falls due in it: every delay that is longer than this period, and every second
# one of half its length.
PERIOD_SECONDS = 0.1


class LoopLag:
    """Sleeps again and again, and measures how late it wakes: other due work waited as long.

    Args:
        now: A monotonic clock, in seconds.
        metrics: Where the lag is recorded.
    """

    def __init__(self, now: Callable[[], float], metrics: Metrics) -> None:
        self._now = now
        self._metrics = metrics
        self._most_seconds = 0.0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Measure until cancelled."""
        while True:
            due = self._now() + PERIOD_SECONDS
            await sleep(PERIOD_SECONDS)
            # Each worker reports the figures of all, so these must not wait for a scrape of this
            # one. They are here because this loop runs ten times a second anyway.
            self._metrics.flush()
            # uvloop's timers count whole milliseconds, so one may fire early.
            self._note(max(0.0, self._now() - due))

    def _note(self, late_seconds: float) -> None:
        self._metrics.loop_lag_seconds.observe(late_seconds)
        if late_seconds > self._most_seconds:
            self._most_seconds = late_seconds
            self._metrics.loop_lag_max_seconds.set(late_seconds)
