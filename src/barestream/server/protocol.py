"""uvicorn's HTTP protocol, which offers the application an open response.

The extension's contract is OpenResponse in barestream.asgi.contract.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from barestream.asgi.contract import AT_ONCE, BEGINS_AT_ONCE, EXTENSION
from barestream.delivery.writer import nothing
from barestream.mercure.sse import Frame
from barestream.server import calls, heads
from barestream.server.bounded_protocol import BoundedProtocol
from barestream.server.heads import Headers
from barestream.server.held_transport import HeldTransport
from barestream.server.kernel_queue import untaken_bytes
from barestream.server.uvicorn_parts import RequestResponseCycle

# How often a closed response checks whether its last bytes have left; one check is mostly enough.
FLUSH_POLL_SECONDS = 0.01


class DirectResponse:
    """One response whose bytes are written directly to the socket.

    They go through the transport only while earlier bytes wait there: a write by the transport
    takes 9.1 us, and a direct one 7.1 us, nearly all of it in the kernel.

    Args:
        transport: The transport of the connection.
        over: A future that is done once the response is over.
        held: Has the response's head, which goes with the first frame.
        is_chunked: Whether the body is sent in chunks.
        paused: Whether more bytes than the transport's mark wait there.
    """

    __slots__ = (
        "_fd",
        "_held",
        "_is_behind_transport",
        "_is_chunked",
        "_over",
        "_transport",
        "on_resume",
        "paused",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        over: asyncio.Future[None],
        held: HeldTransport,
        *,
        is_chunked: bool,
        paused: bool,
    ) -> None:
        self.on_resume: Callable[[], None] = nothing
        self.paused = paused
        self._transport = transport
        # The head may wait in the transport; with TLS all bytes have to go through it.
        self._is_behind_transport = True
        self._fd: int | None = None
        # A connection that is lost may have no socket.
        socket = transport.get_extra_info("socket")
        if socket is not None and transport.get_extra_info("sslcontext") is None:
            self._fd = socket.fileno()
        self._is_chunked = is_chunked
        self._over = over
        self._held: HeldTransport | None = held

    def begin(self, headers: Headers) -> bool:
        """Start the response; return False if a send has to start it."""
        return self._held is not None and self._held.begin(headers)

    @property
    def pending_bytes(self) -> int:
        """How much is waiting in the transport; 0 once it is closed."""
        if not self._is_behind_transport or self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size()

    def kernel_bytes(self) -> int:
        """Return how much the kernel holds that the client has not received; 0 if unknown."""
        return 0 if self._fd is None else untaken_bytes(self._fd)

    def write(self, frame: Frame) -> bool:
        """Send a frame; return False if the connection is closing and nothing was sent."""
        data = frame.chunk if self._is_chunked else frame.body
        if self._is_behind_transport:
            if self._transport.is_closing() or self._over.done():
                # uvloop raises on a transport that is closed, or has ended its output. The end of
                # the response writes a held head, if that is still possible.
                return False
            if self._held is not None:
                data = self._held.take() + data
                self._held = None
            if self._fd is None or self._transport.get_write_buffer_size():
                self._transport.write(data)
                return True
            self._is_behind_transport = False
        try:
            sent_bytes = os.write(self._fd, data)  # type: ignore[arg-type]  # it was seen above
        except BlockingIOError:
            sent_bytes = 0
        except OSError:
            # The transport may never see this error: it does not read while a request waits behind
            # this one, and the kernel reports an error only once.
            self._transport.abort()
            return False
        if sent_bytes < len(data):
            self._is_behind_transport = True
            # A view, so that a large event that waits for many clients is in memory only once.
            self._transport.write(memoryview(data)[sent_bytes:])
        return True

    @property
    def is_open(self) -> bool:
        """Whether more may be written."""
        return not self._over.done()

    def close(self) -> None:
        """Let the response end."""
        if not self._over.done():
            self._over.set_result(None)

    def abort(self) -> None:
        """Cut the connection: close() would wait for a client that does not read."""
        self._transport.abort()

    def lose(self) -> None:
        """Note that the connection is lost: its descriptor may be reused at any moment."""
        self._is_behind_transport = True
        self._fd = None
        self.close()

    async def over(self) -> None:
        """Wait until the response was closed and its bytes have left, or the client has gone."""
        if self._held is not None:
            if not self._transport.is_closing():
                self._held.flush()
            self._held = None
        await self._over
        # The stream stays open until its bytes have left, so that a client that does not read can
        # still be cut.
        while self.pending_bytes:
            await asyncio.sleep(FLUSH_POLL_SECONDS)


class _Pipeline(list[Any]):
    """Replaces uvicorn's deque, which takes 700 bytes although hardly any client pipelines."""

    def appendleft(self, item: Any) -> None:
        self.insert(0, item)


class Protocol(BoundedProtocol):
    """A connection of this project's server."""

    # CPython shares the keys of at most 30 attributes between instances, and uvicorn uses 28. With
    # more attributes each connection has a dictionary of its own, of 1.6 KB; so these are slots.
    __slots__ = ("_begins_at_once", "_held_call", "_holds_calls", "direct_response", "drained")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pipeline: Any = _Pipeline()
        self.direct_response: DirectResponse | None = None
        # How often the transport has drained after it was above its mark.
        self.drained = 0
        self._begins_at_once: bool = (
            getattr(self.config.app, BEGINS_AT_ONCE, False) and not self.config.reset_contextvars
        )
        self._holds_calls = False
        self._held_call: tuple[RequestResponseCycle, Any] | None = None

    def _parse(self, data: bytes) -> None:
        """Begin a request that has come as a whole in these bytes, once they are parsed."""
        self._holds_calls = self._begins_at_once
        is_parsed = False
        try:
            super()._parse(data)
            is_parsed = True
        finally:
            self._holds_calls = False
            held, self._held_call = self._held_call, None
            if held is not None:
                self._begin(*held, at_once=is_parsed and not held[0].more_body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._holds_calls:
            self._held_call = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _begin(self, cycle: RequestResponseCycle, app: Any, *, at_once: bool) -> None:
        if not at_once:
            super()._start_asgi_task(cycle, app)
            return
        extensions: dict[str, Any] = cycle.scope["extensions"]
        extensions[AT_ONCE] = bytes(cycle.body)
        calls.begin(cycle.run_asgi(app), self.loop, self._note_task)

    def _note_task(self, task: asyncio.Task[None]) -> None:
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_headers_complete(self) -> None:
        """Begin a request, with the extension in its scope."""
        super().on_headers_complete()
        extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
        extensions[EXTENSION] = partial(self.open_response, self.cycle)
        if self.server_state.draining:
            self.cycle.keep_alive = False

    def open_response(self, cycle: RequestResponseCycle) -> DirectResponse:
        """Let the application write the body of this answer, which has not started."""
        is_chunked = cycle.scope["http_version"] != "1.0"
        if not is_chunked:
            # uvicorn would send chunks, which a client of HTTP/1.0 cannot read (RFC 9112, section
            # 6.1). The end of the connection ends this body.
            cycle.chunked_encoding = False
        held = HeldTransport(cycle.transport, partial(heads.of_stream, cycle))
        cycle.transport = held  # type: ignore[assignment]
        response = self.direct_response = DirectResponse(
            self.transport,
            self.loop.create_future(),
            held,
            is_chunked=is_chunked,
            paused=self.flow.write_paused,
        )
        if cycle.disconnected or self.is_half_closed:
            # The client left before the handler came here, and connection_lost is not called again.
            response.lose()
        return response

    def pause_writing(self) -> None:
        """Pause the response: the transport is above its mark."""
        super().pause_writing()
        if self.direct_response is not None:
            self.direct_response.paused = True

    def resume_writing(self) -> None:
        """Resume the response: the transport has drained."""
        super().resume_writing()
        self.drained += 1
        if self.direct_response is not None:
            self.direct_response.paused = False
            self.direct_response.on_resume()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes one
        """End an open stream, because its client has most likely left.

        A client may also have closed only its sending half. But if streams were left open here,
        those of clients that have left would remain until a write fails. So a stream over TCP ends
        as a whole; nginx closes only after its own client has left.
        """
        if self.direct_response is not None and self.direct_response.is_open:
            if self.client is None:
                return False
            self.direct_response.close()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the open stream."""
        super().connection_lost(exc)
        if self.direct_response is not None:
            self.direct_response.lose()
            self.direct_response = None

    @property
    def is_awaited(self) -> bool:
        """Whether a request may be on its way: the connection has had none so far."""
        return self.cycle is None and not self.transport.is_closing()

    @property
    def awaits_client(self) -> bool:
        """Whether nothing more is written until the client reads some of the waiting bytes."""
        if self.transport.is_closing():
            return True
        if self.direct_response is not None and self.direct_response.is_open:
            # Streams checks open streams.
            return False
        return bool(self.flow.write_paused or self.cycle is None or self.cycle.response_complete)
