"""A response that stays open; every stream is one."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, cast

from bareasgi import HttpRequest, HttpResponse

from barestream.asgi.contract import EXTENSION, ON_DRAIN, Drain, OpenResponse
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.time_slices import Slices
from barestream.mercure.sse import Event, encode, frame
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import no_content
from barestream.web.buffered_writer import BufferedWriter
from barestream.web.cursor import last_event_ids
from barestream.web.refusals import Refused
from barestream.web.request_headers import header_value

logger = logging.getLogger(__name__)

# The keys in bareASGI's info of an application's streams, and of the task that sweeps them.
STREAMS = "barestream.streams"
_SWEEPING = "barestream.sweeping"

Source = Callable[[Stream], AbstractAsyncContextManager[None]]


# The last event of a generator that ends for good. A client that comes back sends its id. It has a
# type too, because some clients fire an event that has only an id, and others do not.
END = Event(id="barestream.end", type="barestream.end")


def event_stream(
    request: HttpRequest, events: AsyncGenerator[Event], *, ends: bool = False
) -> HttpResponse:
    """Return a response that sends each event at once, for any handler of any bareASGI app.

    The stream gets heartbeats while the generator is silent. The generator waits while the client
    reads slowly. The stream takes part in the server's drain. When the client leaves, the
    generator is cancelled where it waits, and its ``finally`` runs. An error in it is logged, and
    the stream ends so that the client comes back.

    An EventSource also comes back after the response has ended, and then the generator starts
    again. With ``ends`` a last event with the type and id ``barestream.end`` follows the
    generator's end; a client that comes back with that id gets 204, and does not come back again.

    Args:
        request: The request that is answered.
        events: The events; the generator starts when the response does.
        ends: Whether the client is not to come back after the generator's end.

    Raises:
        TypeError: The request is not bareASGI's.
    """
    if not isinstance(request, HttpRequest):
        raise TypeError(
            "event_stream: expected the bareasgi.HttpRequest of a bareASGI handler, got a "
            f"{type(request).__module__}.{type(request).__qualname__}; call it in such a handler, "
            "and return its response there"
        )
    if ends and END.id in _last_event_ids(request):
        return no_content()
    # The generator begins after the response has, and may read the request's headers then.
    source = partial(pumped, events, END if ends else None)
    return StreamResponse.opened(request, source, keeps_headers=True)


def _last_event_ids(request: HttpRequest) -> list[str]:
    try:
        return last_event_ids(request)
    except Refused:
        # The handler itself decides whether its query is valid.
        return []


class StreamResponse(HttpResponse):
    """A response that stays open.

    bareASGI sends its body like any other. This project's application sends it with ``respond`` if
    the server offers that, which saves two tasks for each stream.

    Args:
        request: The request that is answered; its application has Streams.
        source: Called with the stream once the response has started; the context lasts as
            long as the stream.
        headers: Response headers in addition to those of every stream.
        direct: The server's response if the application writes the body itself, else None.
        keeps_headers: Whether the source reads the request's headers.
    """

    def __init__(
        self,
        request: HttpRequest,
        source: Source,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        direct: OpenResponse | None,
        keeps_headers: bool,
    ) -> None:
        self._direct = direct
        self._streams: Streams = request.info[STREAMS]
        self._labels = labels(request)
        self._source = source
        self._scope: Any = request.scope
        self._keeps_headers = keeps_headers
        super().__init__(
            200,
            [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                # A compressing proxy, such as that of a development server, holds bytes back to
                # compress more of them, unless no-transform forbids it (RFC 9111, section 5.2.2.6).
                (b"cache-control", b"no-store, no-transform"),
                (b"x-accel-buffering", b"no"),
                *(turned_away(refusal) if (refusal := self._streams.refusal) else ()),
                *headers,
            ],
            # An application may have its own route for HEAD, whose answer has no body (RFC 9110,
            # section 9.3.2).
            None if request.scope["method"] == "HEAD" else self._body(),
        )

    @classmethod
    def opened(
        cls,
        request: HttpRequest,
        source: Source,
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        keeps_headers: bool = False,
    ) -> "StreamResponse":
        """Return the response; the application writes its body directly if the server offers it.

        Only this project's server does. The arguments are those of the class.
        """
        if STREAMS not in request.info:
            _begin_streams(request)
        extensions: dict[str, Any] = request.scope.get("extensions") or {}
        is_offered = EXTENSION in extensions and request.scope["method"] != "HEAD"
        return cls(
            request,
            source,
            headers,
            direct=extensions[EXTENSION]() if is_offered else None,
            keeps_headers=keeps_headers,
        )

    @property
    def is_direct(self) -> bool:
        """Whether its bytes bypass the ASGI sends."""
        return self._direct is not None

    async def respond(self, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send the response, which must be direct, and return when it is over."""
        direct = cast("OpenResponse", self._direct)
        if not direct.begin(self.headers or ()):
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        # A browser's headers take as much memory as the rest of a stream.
        if not self._keeps_headers:
            self._scope["headers"].clear()
        self._scope.pop("extensions")
        self.body = None
        await self._stay_open(direct)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self) -> AsyncIterator[bytes]:
        if self._direct is not None:
            await self._stay_open(self._direct)
            return
        writer = BufferedWriter()
        stream = Stream(writer, self._streams.now, self._labels)
        self._streams.open(stream)
        try:
            async with self._source(stream):
                async for chunk in writer.chunks():
                    yield chunk
                    # bareASGI sends a chunk only once it has the next one; an empty one is enough.
                    yield b""
        finally:
            self._streams.close(stream)

    async def _stay_open(self, direct: OpenResponse) -> None:
        stream = Stream(direct, self._streams.now, self._labels)
        self._streams.open(stream)
        try:
            async with self._source(stream):
                await direct.over()
                # Thousands of streams may end at once, for example when a proxy stops.
                await self._streams.slices.step()
        finally:
            self._streams.close(stream)


def turned_away(reason: EndReason) -> list[tuple[bytes, bytes]]:
    """Return the header that says why a stream ends at once; an EventSource ignores it."""
    return [(b"barestream-turned-away", reason.encode())]


def labels(request: HttpRequest) -> dict[str, str]:
    """Return the fields of a stream's log line that describe its request."""
    request_id = header_value(request, b"x-request-id")
    client = request.scope.get("client")
    return {
        "route": request.scope["path"],
        "request_id": request_id.decode("latin-1"),
        "client": client[0] if client else "",
    }


@asynccontextmanager
async def pumped(
    events: AsyncGenerator[Event], end: Event | None, stream: Stream
) -> AsyncIterator[None]:
    """Send a stream the events of a generator, and end it after the last, until the context ends.

    Args:
        events: The events; it is closed at the end.
        end: A last event after them; None for none.
        stream: The stream.
    """
    pump = asyncio.create_task(_pump(events, end, stream))
    # The stream ends whenever the pump does; the first reason counts.
    pump.add_done_callback(lambda _: stream.end(EndReason.ERROR))
    try:
        yield
    finally:
        stream.end(EndReason.CLIENT_LEFT)
        pump.cancel()
        await asyncio.wait([pump])


async def _pump(events: AsyncGenerator[Event], end: Event | None, stream: Stream) -> None:
    writable = asyncio.Event()
    stream.on_resume(writable.set)
    try:
        async with aclosing(events):
            async for event in events:
                stream.write(frame(encode(event)), events=1)
                if stream.paused:
                    writable.clear()
                    await writable.wait()
                # Without this, a generator that never waits would not notice that its client left.
                await asyncio.sleep(0)
        if end is not None:
            stream.write(frame(encode(end)), events=1)
        stream.end(EndReason.FINISHED)
    except Exception:
        logger.exception("event generator failed", extra=dict(stream.labels))
        stream.end(EndReason.ERROR)


def _begin_streams(request: HttpRequest) -> None:
    """Give an application Streams, and start their work: its first stream opens."""
    slices = Slices(time.monotonic)
    streams = request.info[STREAMS] = Streams(StreamLimits(), time.monotonic, Metrics(), slices)
    request.info[_SWEEPING] = asyncio.create_task(streams.run())
    take_part_in_drain(streams.drain, request.scope)


def take_part_in_drain(drain: Drain, scope: Any) -> None:
    """Have this project's server call the drain when it stops; other servers offer none."""
    drains = scope.get("state", {}).get(ON_DRAIN)
    if drains is not None:
        drains.append(drain)
