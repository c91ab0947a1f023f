"""Measures the history for the metrics."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from barestream.history.broker import Broker, BrokerAwayError
from barestream.telemetry.history_metrics import HistoryMetrics

logger = logging.getLogger(__name__)

# How often each worker measures, which takes Valkey 65 us (Redis 7.0).
MEASURE_SECONDS = 5.0


class Measuring:
    """Asks the broker again and again how much the history has.

    While it does not answer, the last figures stay: barestream_history_up says so.

    Args:
        broker: The broker.
        metrics: Where the figures are noted.
    """

    def __init__(self, broker: Broker, metrics: HistoryMetrics) -> None:
        self._broker = broker
        self._metrics = metrics
        # Of the last measurement, if it failed.
        self._cause: str | None = None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Measure until cancelled."""
        while True:
            await self._measure()
            await sleep(MEASURE_SECONDS)

    async def _measure(self) -> None:
        try:
            extent = await self._broker.extent()
        except BrokerAwayError as error:
            if error.cause != self._cause:
                self._cause = error.cause
                logger.warning(
                    "the history cannot be measured: its figures stay as they were",
                    extra={"cause": error.cause, "why": str(error)},
                )
            return
        if self._cause is not None:
            self._cause = None
            logger.info("the history is measured again")
        metrics = self._metrics
        metrics.updates.set(extent.updates)
        metrics.bytes.set(extent.bytes)
        metrics.oldest_seconds.set(extent.oldest_seconds)
        metrics.valkey_bytes.set(extent.used_bytes)
        metrics.most_valkey_bytes.set(extent.most_used_bytes)
