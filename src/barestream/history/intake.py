"""Gives updates to the history, and observes whether the history accepts them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from barestream.history.broker import Broker, BrokerAwayError
from barestream.history.producers import Accepted, Batch
from barestream.history.update import Update
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

# How often the history is asked whether it accepts updates, unless it has just accepted one. A
# history that is full, or a replica, can still be read, so reading proves nothing. A probe takes
# Valkey about 50 us and each worker about 300 us, and writes nothing.
PROBE_SECONDS = 2.0

# How soon the same cause is logged again: while it persists, and when it returns after another one.
REMIND_SECONDS = 60.0
RETURN_SECONDS = 1.0


class Intake:
    """Gives updates to the broker, and knows whether it accepted the last one.

    Args:
        broker: The broker.
        metrics: Where publishes that were not accepted are counted.
        now: A monotonic clock, in seconds.

    Attributes:
        words: Why the history accepts no updates (see BrokerAwayError).
    """

    def __init__(self, broker: Broker, metrics: Metrics, now: Callable[[], float]) -> None:
        self._broker = broker
        self._metrics = metrics
        self._now = now
        self._is_open: bool | None = None
        self.words = "has not answered yet"
        # Whether, since the last turn of run, a publish or a probe has succeeded, and whether one
        # has failed.
        self._has_taken = self._has_failed = False
        self._is_welcomed = False
        self._untaken = 0
        self._logged_cause = ""
        self._logged_at: dict[str, float] = {}

    @property
    def ready(self) -> bool:
        """Whether the history accepted the last update or probe."""
        return bool(self._is_open)

    async def publish(self, update: Update) -> str:
        """Give the broker an update (see Broker)."""
        try:
            event_id = await self._broker.publish(update)
        except BrokerAwayError as error:
            self._count_untaken(error)
            raise
        self._succeed()
        return event_id

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Give the broker some updates, all or none of them (see Broker)."""
        try:
            ids = await self._broker.publish_all(updates)
        except BrokerAwayError as error:
            self._count_untaken(error)
            raise
        self._succeed()
        return ids

    async def publish_batch(self, batch: Batch) -> Accepted:
        """Give the broker a producer's updates (see Broker)."""
        try:
            accepted = await self._broker.publish_batch(batch)
        except BrokerAwayError as error:
            self._count_untaken(error)
            raise
        self._succeed()
        return accepted

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Probe the history until cancelled, and log when it accepts updates again."""
        while True:
            if not (self._is_open and self._has_taken):
                await self._probe()
            if self._is_open and not self._has_failed and not self._is_welcomed:
                await self._welcome()
            self._has_taken = self._has_failed = False
            await sleep(PROBE_SECONDS)

    async def _probe(self) -> None:
        try:
            await self._broker.probe()
        except BrokerAwayError as error:
            self._fail(error)
        else:
            self._succeed()

    async def _welcome(self) -> None:
        """Log that updates are accepted, and each misfit of the history."""
        try:
            misfits = await self._broker.misfits()
        except BrokerAwayError as error:
            self._fail(error)
            return
        self._is_welcomed = True
        self._logged_cause = ""
        logger.info("broker accepts updates", extra={"untaken": self._untaken})
        self._untaken = 0
        for misfit in misfits:
            logger.warning(misfit.what, extra={**misfit.figures, "remedy": misfit.remedy})

    def _count_untaken(self, error: BrokerAwayError) -> None:
        """Count a publish that was not accepted because of the history, not of its content."""
        self._metrics.failed.labels(error.cause).inc()
        self._untaken += 1
        self._fail(error)

    def _succeed(self) -> None:
        self._has_taken = True
        if not self._is_open:
            self._is_open = True
            self._metrics.history_writable.set(1)
            self._metrics.history_changed.set_to_current_time()

    def _fail(self, error: BrokerAwayError) -> None:
        self._has_failed = True
        self._is_welcomed = False
        if self._is_open is not False:
            self._is_open = False
            self._metrics.history_writable.set(0)
            self._metrics.history_changed.set_to_current_time()
        self._metrics.history_failed.labels(error.cause).set_to_current_time()
        self.words = error.words
        now = self._now()
        is_known = error.cause == self._logged_cause
        least_seconds = REMIND_SECONDS if is_known else RETURN_SECONDS
        if now - self._logged_at.get(error.cause, -REMIND_SECONDS) >= least_seconds:
            self._logged_cause = error.cause
            self._logged_at[error.cause] = now
            logger.warning(
                "broker does not accept updates",
                extra={"cause": error.cause, "why": str(error), "untaken": self._untaken},
            )
            self._untaken = 0
