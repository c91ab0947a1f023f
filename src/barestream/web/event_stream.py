"""A response that stays open: the one way of every stream through bareASGI."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any

from bareasgi import HttpRequest, HttpResponse
from bareutils import header

from barestream.frames import Event, encode, frame
from barestream.hub import Hub, HubLimits
from barestream.metrics import Metrics
from barestream.slices import Slices
from barestream.stream import EndReason, Stream
from barestream.web.outlets import EXTENSION, BufferedOutlet, DirectOutlet

logger = logging.getLogger(__name__)

# Where an application's hub stands in bareASGI's info, and its sweeping task.
HUB = "barestream.hub"
_SWEEPING = "barestream.sweeping"

# The key in an ASGI lifespan state under which our server takes coroutine functions to await
# when it drains.
ON_DRAIN = "barestream.on_drain"

Source = Callable[[Stream], AbstractAsyncContextManager[None]]


def event_stream(request: HttpRequest, events: AsyncGenerator[Event]) -> HttpResponse:
    """Return a response that sends each event at once, for any handler of any bareASGI app.

    The stream gets heartbeats while the generator is silent, waits with the generator for a
    client that reads slowly, and takes part in the server's drain. When the client leaves, the
    generator is cancelled where it waits and its ``finally`` runs. An error in it is logged,
    and the stream ends so that the client comes back.

    Args:
        request: The request that is answered.
        events: The events; the generator starts when the response does.
    """
    return open_stream(request, partial(_pumped, events))


def open_stream(
    request: HttpRequest, source: Source, headers: Iterable[tuple[bytes, bytes]] = ()
) -> HttpResponse:
    """Return a response that stays open and is written to by a source.

    Args:
        request: The request that is answered.
        source: Called with the stream once the response has started; the context lasts as
            long as the stream.
        headers: Response headers beside those of every stream.
    """
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    open_response = extensions.get(EXTENSION)
    outlet = DirectOutlet(open_response()) if open_response else BufferedOutlet()
    return HttpResponse(
        200,
        [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            *headers,
        ],
        _body(request, outlet, source),
    )


async def _body(
    request: HttpRequest, outlet: DirectOutlet | BufferedOutlet, source: Source
) -> AsyncIterator[bytes]:
    hub = _hub_of(request)
    stream = Stream(outlet, hub.now, _labels(request))
    hub.open(stream)
    try:
        async with source(stream):
            async for chunk in outlet.chunks():
                yield chunk
                # bareASGI sends a chunk when the next one is there: an empty one is enough.
                yield b""
    finally:
        hub.close(stream)


def _labels(request: HttpRequest) -> dict[str, str]:
    request_id = header.find(b"x-request-id", request.scope["headers"])
    client = request.scope.get("client")
    return {
        "route": request.scope["path"],
        "request_id": request_id.decode("latin-1") if request_id else "",
        "client": client[0] if client else "",
    }


@asynccontextmanager
async def _pumped(events: AsyncGenerator[Event], stream: Stream) -> AsyncIterator[None]:
    pump = asyncio.create_task(_pump(events, stream))
    # However the pump ends, the stream does; the first reason stands.
    pump.add_done_callback(lambda _: stream.end(EndReason.ERROR))
    try:
        yield
    finally:
        stream.end(EndReason.CLIENT_LEFT)
        pump.cancel()
        await asyncio.wait([pump])


async def _pump(events: AsyncGenerator[Event], stream: Stream) -> None:
    writable = asyncio.Event()
    stream.on_resume(writable.set)
    try:
        async with aclosing(events):
            async for event in events:
                stream.write(frame(encode(event)), events=1)
                if stream.paused:
                    writable.clear()
                    await writable.wait()
                # A generator that never waits must still let its client leave.
                await asyncio.sleep(0)
        stream.end(EndReason.FINISHED)
    except Exception:
        logger.exception("event generator failed", extra=dict(stream.labels))
        stream.end(EndReason.ERROR)


def _hub_of(request: HttpRequest) -> Hub:
    """Return the application's hub; one that has none gets it with its first stream."""
    hub: Hub | None = request.info.get(HUB)
    if hub is None:
        hub = request.info[HUB] = Hub(HubLimits(), time.monotonic, Metrics())
        request.info[_SWEEPING] = asyncio.create_task(hub.run(Slices(time.monotonic)))
        take_part_in_drain(hub, request.scope)
    return hub


def take_part_in_drain(hub: Hub, scope: Any) -> None:
    """Have the hub drained by a server of ours; another one does not ask for it."""
    drains = scope.get("state", {}).get(ON_DRAIN)
    if drains is not None:
        drains.append(hub.drain)
