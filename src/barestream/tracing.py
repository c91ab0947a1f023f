"""Traces, made from the settings."""

import logging
import os
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from bareasgi import HttpRequestCallback

from barestream.delivery.broadcast import Broadcast
from barestream.history.valkey.coding import PLAIN
from barestream.history.valkey.traced_coding import TRACED
from barestream.settings.settings import Settings
from barestream.telemetry.metrics import Metrics
from barestream.web.publish import Keeper

logger = logging.getLogger(__name__)


class Tracing:
    """The traces of a worker; with BARESTREAM_TRACES_URL empty there are none.

    Args:
        settings: The settings.
        metrics: Where spans are counted.

    Attributes:
        coding: How updates are written to Valkey and read back.
        broadcasts: Makes the broadcasts of the feed.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._traces = None
        self.coding = PLAIN
        self.broadcasts: Callable[..., Broadcast] = Broadcast
        if not settings.traces_url:
            return
        # OpenTelemetry takes memory, and may not be installed.
        from barestream.traces.traces import Traces  # noqa: PLC0415

        host = socket.gethostname()
        names = {
            "service.name": "barestream",
            "service.instance.id": f"{host}/{settings.instance}/{os.getpid()}",
            "host.name": host,
        }
        self._traces = Traces(settings.traces_url, settings.traces_ratio, names, metrics)
        self.coding = TRACED
        self.broadcasts = self._traces.broadcasts
        collector = urlsplit(settings.traces_url).netloc
        logger.info(
            "publishes are traced", extra={"collector": collector, "ratio": settings.traces_ratio}
        )

    def publishing(
        self, keeper: Keeper, make: Callable[[Keeper], HttpRequestCallback]
    ) -> HttpRequestCallback:
        """Return the handler of publishes.

        Args:
            keeper: Gives updates to the history.
            make: Returns the handler that gives its updates to a keeper.
        """
        return self._traces.publishing(keeper, make) if self._traces else make(keeper)

    async def settle(self) -> None:
        """Send the last spans, once no others are made; it takes half a second at most."""
        if self._traces:
            await self._traces.settle()
