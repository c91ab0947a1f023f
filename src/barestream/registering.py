"""What registers streams as subscriptions and shows them, made from the settings."""

import logging
import time
import uuid
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

from bareasgi import HttpRequestCallback

from barestream.delivery.attendance import Attendance, AttendanceRules
from barestream.delivery.time_slices import Slices
from barestream.history.broker import Broker
from barestream.history.subscriptions import SweptSubscriptions
from barestream.history.sweeps import Sweeps
from barestream.mercure.subscription_topics import LEAVE, PRESENCE, SUBSCRIPTIONS
from barestream.settings.settings import Settings
from barestream.telemetry.metrics import Metrics
from barestream.web.attending import Attending
from barestream.web.authorization import Authorization
from barestream.web.cors import Cors
from barestream.web.presence import Presence
from barestream.web.subscriptions import Subscriptions

logger = logging.getLogger(__name__)


class Registering:
    """The parts of presence; with BARESTREAM_SUBSCRIPTIONS off there are none.

    Args:
        settings: The settings.
        broker: Has the registry.
        metrics: Where subscriptions are counted.
        slices: The slices of long work.
        authorization: Determines what a client may read.

    Attributes:
        attending: Has the streams of requests be registered; None if it is off.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        metrics: Metrics,
        slices: Slices,
        authorization: Authorization,
    ) -> None:
        self._broker = broker
        self._metrics = metrics
        self._slices = slices
        self._authorization = authorization
        self._grace_ms = round(1000 * settings.presence_grace_seconds)
        self._attendance: Attendance | None = None
        self.attending: Attending | None = None
        if settings.subscriptions:
            rules = AttendanceRules(uuid.uuid4().hex, self._grace_ms, settings.versions)
            self._attendance = Attendance(broker.registry, rules, metrics, slices, time.monotonic)
            self.attending = Attending(self._attendance, time.time)

    def works(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what runs as long as the worker."""
        if self._attendance is not None:
            yield self._attendance.run()
            sweep = partial(self._broker.registry.sweep, grace_ms=self._grace_ms)
            yield Sweeps("subscriptions", sweep, self._note, time.monotonic).run()

    def _note(self, swept: SweptSubscriptions) -> None:
        self._metrics.subscriptions.set(swept.subscriptions)
        for worker in swept.lapsed:
            logger.warning(
                "a worker's subscriptions went away: it did not renew its lease",
                extra={"worker": worker},
            )

    async def settle(self) -> None:
        """Tell the registry of the last ends, when the streams have ended and the works too."""
        if self._attendance is not None:
            await self._attendance.settle()

    def routes(self, cors: Cors) -> Iterator[tuple[str, str, HttpRequestCallback]]:
        """Yield the method, the path and the handler of each endpoint."""
        if self._attendance is None:
            return
        parts = (self._broker.registry, self._authorization, self._slices)
        subscriptions, presence = cors.allowing(Subscriptions(*parts)), Presence(*parts)
        below = f"{SUBSCRIPTIONS}/{{rest:path}}"
        yield "GET", SUBSCRIPTIONS, subscriptions
        yield "GET", below, subscriptions
        yield "GET", PRESENCE, cors.allowing(presence.read)
        yield "POST", LEAVE, cors.allowing(presence.leave)
        yield from cors.preflights(SUBSCRIPTIONS, below, PRESENCE, LEAVE)
