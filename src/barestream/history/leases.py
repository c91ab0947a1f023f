"""Has the history end the topics whose producers did not come back in time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from barestream.history.broker import Broker
from barestream.history.producers import Swept
from barestream.history.sweeps import Sweeps
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class Leases:
    """Sweeps overdue leases (see Sweeps).

    Args:
        broker: The broker.
        metrics: Where the topics and the leases are counted.
        now: A monotonic clock, in seconds.
    """

    def __init__(self, broker: Broker, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._sweeps = Sweeps("leases", broker.end_overdue, self._note, now)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled."""
        await self._sweeps.run(sleep)

    def _note(self, swept: Swept) -> None:
        self._metrics.leases.set(swept.leases)
        for topic in swept.topics:
            self._metrics.interrupted.inc()
            logger.warning(
                "a topic was ended: its producer did not come back in time", extra={"topic": topic}
            )
