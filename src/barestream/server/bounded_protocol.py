"""uvicorn's HTTP protocol, with limits on each wait and on the size of a request.

nginx has the same limits; without nginx (BARESTREAM_BIND) clients connect here directly.
"""

from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

import httptools

from barestream.asgi.contract import ANSWER, LET_PAUSE, WHOLE_BODY
from barestream.asgi.problem import CONTENT_TYPE, content
from barestream.server import request_head
from barestream.server.body_behind_upgrade import body_parser
from barestream.server.connection import Connection
from barestream.server.connections_state import ConnectionsState
from barestream.server.held_transport import send_whole
from barestream.server.request_head import RequestRefusedError
from barestream.server.uvicorn_parts import RequestResponseCycle

_NO_HTTP = "The request is not valid HTTP/1.1."


class _LingeringTransport:
    """The transport of a response whose client may still send; close waits for the client."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: "BoundedProtocol") -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.close_after_reading()


class BoundedProtocol(Connection):
    """A connection with limits on the bytes that it holds, and on each wait.

    Attributes:
        head_seconds: How long a request's head may take, from the start of the connection or the
            head's first byte; the same as in this project's nginx (client_header_timeout).
        body_seconds: How long a body may pause, unless its handler lets it (LetPause); the same as
            in this project's nginx (client_body_timeout).
        linger_seconds: How long a client that still sends may take to read its answer. A client
            that reads while it sends needs one round trip; others first send everything.
        answer_seconds: How long an answer may take for a client that has closed its sending half,
            because the connection does not show whether that client is still there. nginx waits
            as long.
    """

    head_seconds: ClassVar[int] = 10
    body_seconds: ClassVar[int] = 10
    linger_seconds: ClassVar[int] = 10
    answer_seconds: ClassVar[int] = 60

    server_state: ConnectionsState
    # protocol.py says why these are slots.
    __slots__ = (
        "_has_body",
        "_ignores_input",
        "_is_lingering",
        "_pause_seconds",
        "_unanswered",
        "_unparsed_bytes",
        "is_half_closed",
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # uvicorn keeps only the newest request.
        self._unanswered: list[RequestResponseCycle] = []
        # An upper bound of the bytes that came after the last complete head or piece of a body.
        self._unparsed_bytes = 0
        self._has_body = False
        self._pause_seconds = self.body_seconds
        self._ignores_input = False
        self._is_lingering = False
        self.is_half_closed = False

    def connection_made(self, transport: Any) -> None:
        """Await a request."""
        super().connection_made(transport)
        state = self.server_state
        if state.most_connections is not None and len(self.connections) > state.most_connections:
            # At the limit itself the kernel would refuse connections to Valkey as well.
            self._notice(f"more than {state.most_connections} connections: further ones are closed")
            self._ignores_input = True
            transport.abort()
            return
        state.awaited.begin(self, self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, within the limits."""
        if self._ignores_input:
            return
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        try:
            self._parse(data)
            if self._unparsed_bytes > request_head.MOST_UNPARSED_BYTES:
                raise request_head.head_too_large()
        except (RequestRefusedError, httptools.HttpParserError) as error:
            # The parser wraps the exceptions of its callbacks.
            for cause in (error, error.__context__):
                if isinstance(cause, RequestRefusedError):
                    self._refuse(cause.status, cause.detail)
                    return
            self._refuse(HTTPStatus.BAD_REQUEST, _NO_HTTP)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The request is answered as if it had no Upgrade (RFC 9110, section 7.8).
                data = data[upgrade.args[0] :]
                if self.scope["method"] == "CONNECT":
                    # The bytes after it are not HTTP.
                    self.cycle.keep_alive = False
                    self.ignore_input()
                    return
                if self._has_body:
                    self.cycle.keep_alive = False
                    self.parser = body_parser(self, self.headers)
            else:
                return

    def on_message_begin(self) -> None:
        """Await the head of a request."""
        super().on_message_begin()
        self.server_state.awaited.begin(self, self.head_seconds)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        super().on_url(url)
        if len(self.url) > request_head.MOST_TARGET_BYTES:
            raise request_head.target_too_long()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._has_body = request_head.check(
            self.parser.get_http_version(),
            self.url,
            self.headers,
            # A unix socket has no address.
            is_behind_nginx=self.client is None,
        )
        super().on_headers_complete()
        self._unparsed_bytes = 0
        if self._has_body:
            self.cycle.transport = _LingeringTransport(self)
            self._pause_seconds = self.body_seconds
            self.server_state.awaited.renew(self, self.body_seconds)
            extensions: dict[str, Any] = {LET_PAUSE: partial(self._let_pause, self.cycle)}
            self.scope["extensions"] = extensions
            # The scope has the first list, and the trailers of a chunked body must not be added to
            # it.
            self.headers = self.headers[:]
        # Requests are answered in their order, so only the first ones can be complete. Checking the
        # whole list held the loop for 5 s when 13,000 requests came in one read.
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.pop(0)
        self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and await the next."""
        super().on_body(body)
        self._unparsed_bytes = 0
        self.server_state.awaited.renew(self, self._pause_seconds)

    def _let_pause(self, cycle: RequestResponseCycle, seconds: int) -> None:
        """Let a body pause for longer; one that has come is no matter any more (see LetPause)."""
        if cycle is self.cycle and cycle.more_body:
            self._pause_seconds = seconds
            self.server_state.awaited.renew(self, seconds)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if self._has_body:
            if self.parser.should_upgrade():
                # Its body is still to come.
                return
            extensions: dict[str, Any] = self.cycle.scope.setdefault("extensions", {})
            extensions[WHOLE_BODY] = {}
            extensions[ANSWER] = partial(send_whole, self.cycle)
        super().on_message_complete()
        self._unparsed_bytes = 0
        self.server_state.awaited.end(self)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes one
        """Answer the complete requests, then close; close at once if there are none.

        A client may close its sending half and still read (RFC 9112, section 9.6). nginx, which
        connects by a unix socket, closes only after its own client has left.

        Returns:
            Whether the connection stays open.
        """
        if self._is_lingering or self.client is None:
            return False
        if not self._end_with_the_last():
            return False
        self.is_half_closed = True
        self.server_state.awaited.renew(self, self.answer_seconds)
        return True

    def be_overdue(self) -> None:
        """End the connection, or its request: the awaited bytes took too long."""
        if self.transport.get_write_buffer_size():
            # stalled_connections.py cuts a client that does not read its answer.
            self.server_state.awaited.renew(self, self.linger_seconds)
        elif self._is_lingering:
            self.transport.abort()
        elif self.is_half_closed:
            self._notice(
                f"connection cut: no answer within {self.answer_seconds} s, and the client has "
                "closed its sending half"
            )
            self.transport.abort()
        elif self.flow.read_paused:
            # The application does not read the body.
            self.server_state.awaited.renew(self, self._pause_seconds)
        elif self.cycle is not None and self.cycle.more_body:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"No further part of the body came within {self._pause_seconds} s.",
            )
        elif self._unparsed_bytes or self._unanswered:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The request's head did not come within {self.head_seconds} s.",
            )
        else:
            self._notice(f"no request came within {self.head_seconds} s: connection closed")
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem, as for every other error, and close.

        Earlier requests are answered first, and then the connection ends without this answer.
        """
        self._notice(f"{status.value}: {detail}")
        self.ignore_input()
        if self._end_with_the_last():
            return
        if any(each.response_started and not each.response_complete for each in self._unanswered):
            # The client would read the error as a part of the answer that has begun.
            self.transport.abort()
            return
        body = content(status, detail)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nconnection: close\r\n"
            b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (status, status.phrase.encode(), CONTENT_TYPE, len(body), body)
        )
        self._linger()

    def _end_with_the_last(self) -> bool:
        """Close after the last answer to a complete request; return whether there is one."""
        last = None
        for cycle in self._unanswered:
            if cycle.more_body:
                disconnect(cycle)
            elif not cycle.response_complete:
                last = cycle
        if last is None:
            return False
        last.keep_alive = False
        last.transport = _LingeringTransport(self)  # type: ignore[assignment]
        return True

    def ignore_input(self) -> None:
        """Ignore all further input."""
        self._ignores_input = True
        self.server_state.awaited.end(self)

    def close_after_reading(self) -> None:
        """Close; if the client still sends, only once it has read the answer."""
        if self.is_half_closed or not (self._ignores_input or self.cycle.more_body):
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close the sending half, and the connection once the client has closed its half.

        A close with unread bytes would make the kernel send a RST, and the client would lose the
        answer (RFC 9112, section 9.6).
        """
        if not self._is_lingering and not self.transport.is_closing():
            self._is_lingering = True
            self._ignores_input = True
            self.transport.write_eof()
            # Reading may be paused; the end of the input must still be seen.
            self.flow.resume_reading()
            self.server_state.awaited.renew(self, self.linger_seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless its next request has begun."""
        if self not in self.server_state.awaited:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Continue with the next request, unless the body of this one is unread."""
        if self.cycle.response_complete and self.cycle.more_body:
            self._linger()
        if self._is_lingering:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify every open response, also one before a pipelined request."""
        super().connection_lost(exc)
        self.server_state.awaited.end(self)
        for cycle in self._unanswered:
            disconnect(cycle)

    def _notice(self, what: str) -> None:
        self.server_state.notices.say(what, self.client[0] if self.client else "")


def disconnect(cycle: RequestResponseCycle) -> None:
    """Notify a response that its client has left, unless it is complete."""
    cycle.disconnected = not cycle.response_complete
    # Its handler may still ask for the body: the client must not be told to send it.
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
