"""The application, wired: the only place where the parts meet."""

import asyncio
import time
from typing import Any

from bareasgi import Application, LifespanRequest

from barestream.clock import Clock
from barestream.hub import Hub, HubLimits
from barestream.settings import Settings, load
from barestream.web.clock_stream import ClockStream
from barestream.web.event_stream import HUB, take_part_in_drain
from barestream.web.health import Health
from barestream.web.pages import Pages
from barestream.web.router import Router


def create_app(settings: Settings | None = None) -> Application:
    """Return the ASGI application.

    Args:
        settings: Those of the environment where none are given.

    Raises:
        SettingsError: The environment's are not of their expected form.
    """
    settings = settings or load()
    limits = HubLimits(
        heartbeat_seconds=settings.heartbeat_seconds,
        slow_seconds=settings.slow_seconds,
        drain_seconds=settings.drain_seconds,
        retry_ms=settings.retry_ms,
    )
    hub = Hub(limits, time.monotonic)
    clock = Clock(settings.clock_seconds, settings.clock_history, time.time)
    health = Health(hub)
    pages = Pages()
    running: list[asyncio.Task[None]] = []

    async def start(request: LifespanRequest) -> None:
        take_part_in_drain(hub, request.scope)
        running.extend(asyncio.create_task(work.run()) for work in (clock, hub))

    async def stop(_request: LifespanRequest) -> None:
        # Another server than ours asks for no drain; what it left open ends here.
        if not hub.draining:
            await hub.drain(quick=True)
        for task in running:
            task.cancel()

    info: dict[str, Any] = {HUB: hub}
    app = Application(
        http_router=Router(), startup_handlers=[start], shutdown_handlers=[stop], info=info
    )
    for path, handler in (
        ("/", pages.index),
        ("/test", pages.test),
        ("/static/{version}/{name}", pages.static),
        ("/events", ClockStream(clock.feed)),
        ("/healthz", health.alive),
        ("/readyz", health.ready),
    ):
        app.http_router.add({"GET"}, path, handler)
    return app
