"""uvicorn's HTTP protocol, with the open response offered to the application.

The extension's contract is OpenResponse in barestream.web.outlets.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from barestream.web.outlets import EXTENSION
from barestream.web.problems import CONTENT_TYPE, content


class DrainState(ServerState):
    """What the server tells all its connections."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False


class DirectResponse:
    """One response whose bytes are written straight to the transport."""

    def __init__(self, protocol: "Protocol", cycle: RequestResponseCycle) -> None:
        self.on_resume: Callable[[], None] = lambda: None
        self.cycle = cycle
        self._transport = protocol.transport
        self._flow = protocol.flow
        protocol.direct_response = self
        if cycle.scope["http_version"] == "1.0":
            # uvicorn would chunk, which a client of HTTP/1.0 cannot read (RFC 9112, section 6.1):
            # the end of the connection ends this body.
            cycle.chunked_encoding = False

    @property
    def paused(self) -> bool:
        """Whether more is waiting in the transport than its mark."""
        return self._flow.write_paused

    @property
    def pending_bytes(self) -> int:
        """How much is waiting in the transport; nothing once it is closed."""
        # uvloop raises on a closed transport.
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def write(self, body: bytes, chunk: bytes) -> None:
        """Send bytes, given bare and as a chunk; nothing happens once the connection closes."""
        if not self._transport.is_closing():
            self._transport.write(chunk if self.cycle.chunked_encoding else body)

    def abort(self) -> None:
        """Cut the connection: close() would wait for a client that does not read."""
        self._transport.abort()


class Protocol(HttpToolsProtocol):
    """A connection of our server."""

    server_state: DrainState
    direct_response: DirectResponse | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # uvicorn knows the newest alone.
        self._unanswered: list[RequestResponseCycle] = []

    def on_headers_complete(self) -> None:
        """Begin a request, with our extension in its scope."""
        super().on_headers_complete()
        # uvicorn makes no cycle for a request that asks for another protocol.
        if self.cycle is not None and self.cycle.scope is self.scope:
            extensions: dict[str, Any] = {EXTENSION: partial(DirectResponse, self, self.cycle)}
            self.scope["extensions"] = extensions
            if self.server_state.draining:
                self.cycle.keep_alive = False
            open_before = [cycle for cycle in self._unanswered if not cycle.response_complete]
            self._unanswered = [*open_before, self.cycle]

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the form of every other error, and close.

        The requests before it are answered first, and the connection ends with the last of them.
        """
        whole = None
        for cycle in self._unanswered:
            if cycle.more_body:
                _disconnect(cycle)
            elif not cycle.response_complete:
                whole = cycle
        if whole is not None:
            whole.keep_alive = False
            return
        body = content(HTTPStatus.BAD_REQUEST, msg)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
            b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (CONTENT_TYPE, len(body), body)
        )
        self.transport.close()

    def resume_writing(self) -> None:
        """Let the response go on: the transport has drained."""
        super().resume_writing()
        if self.direct_response is not None:
            self.direct_response.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let every open response know, also where a pipelined request came behind it."""
        super().connection_lost(exc)
        for cycle in self._unanswered:
            _disconnect(cycle)
        self.direct_response = None

    @property
    def is_awaited(self) -> bool:
        """Whether a request may be on its way: the connection has had none so far."""
        return self.cycle is None and not self.transport.is_closing()


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = not cycle.response_complete
    cycle.message_event.set()
