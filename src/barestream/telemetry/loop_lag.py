"""How late a loop comes to what is due: whatever holds it holds everything else up."""

import asyncio
from collections.abc import Awaitable, Callable

from barestream.telemetry.metrics import Metrics

# A wake of an idle worker costs up to 0.2 ms, most of it the kernel's: 0.2 % of a core. A hold is
# seen where a wake falls due in it: one of half this time every second time, a longer one always.
PERIOD_SECONDS = 0.1


class LoopLag:
    """Sleeps, and notes by how much it wakes late: so long anything else due then waited too.

    Args:
        now: A monotonic clock, in seconds.
        metrics: Where it is noted.
    """

    def __init__(self, now: Callable[[], float], metrics: Metrics) -> None:
        self._now = now
        self._metrics = metrics
        self._most_seconds = 0.0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look until cancelled."""
        while True:
            due = self._now() + PERIOD_SECONDS
            await sleep(PERIOD_SECONDS)
            # uvloop's timers count whole milliseconds, and so may come before their time.
            self._note(max(0.0, self._now() - due))

    def _note(self, late_seconds: float) -> None:
        self._metrics.loop_lag_seconds.observe(late_seconds)
        if late_seconds > self._most_seconds:
            self._most_seconds = late_seconds
            self._metrics.loop_lag_max_seconds.set(late_seconds)
