"""uvicorn's HTTP protocol, with an end to all that it waits for.

nginx does the same for its clients; without it (BARESTREAM_BIND) clients come here.
"""

import time
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from barestream.server import request_head
from barestream.server.awaited import Awaited
from barestream.server.notices import Notices
from barestream.server.request_head import RequestRefusedError
from barestream.web.problems import CONTENT_TYPE, content
from barestream.web.unread_body import WHOLE_BODY

_NO_HTTP = "Invalid HTTP request received."


class ConnectionsState(ServerState):
    """What the server and all its connections tell each other.

    Attributes:
        draining: Whether the server stops.
        most_connections: How many may be open; None for as many as the kernel allows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.draining = False
        self.most_connections: int | None = None
        self.awaited = Awaited()
        self.notices = Notices(time.monotonic)


class _LingeringTransport:
    """What a response writes to while its client may still send: closing waits for that."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: "BoundedProtocol") -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.close_after_reading()


class _BodyBehindUpgrade:
    """What a parser calls that reads a body alone.

    The parser of heads takes an Upgrade for granted: what follows is another protocol to it.
    """

    def __init__(self, protocol: "BoundedProtocol") -> None:
        self._protocol = protocol
        self.on_body = protocol.on_body

    def on_message_complete(self) -> None:
        self._protocol.on_message_complete()
        self._protocol.ignore_input()


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is read only so far, and waited for only so long.

    Attributes:
        head_seconds: For a request's head, from the connection's or its own first byte. It and
            body_seconds are what nginx is set to here (client_header_timeout, client_body_timeout).
        body_seconds: From one piece of a body to the next.
        linger_seconds: For a client to take an answer that came before all that it sends. A
            round trip is enough where it reads meanwhile, and else what it sends has to be
            through.
        answer_seconds: For an answer to a client that has closed its half: as long as nginx
            waits for one. Whether it is still there, its connection does not tell.
    """

    head_seconds: ClassVar[int] = 10
    body_seconds: ClassVar[int] = 10
    linger_seconds: ClassVar[int] = 10
    answer_seconds: ClassVar[int] = 60

    server_state: ConnectionsState

    # See the subclass on attributes.
    __slots__ = (
        "_has_body",
        "_ignores_input",
        "_is_lingering",
        "_unanswered",
        "_unparsed_bytes",
        "is_half_closed",
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # uvicorn knows the newest alone.
        self._unanswered: list[RequestResponseCycle] = []
        # An upper bound of what came since a head, or a piece of a body, was whole.
        self._unparsed_bytes = 0
        self._has_body = False
        self._ignores_input = False
        self._is_lingering = False
        self.is_half_closed = False

    def connection_made(self, transport: Any) -> None:
        """Await a request."""
        super().connection_made(transport)
        state = self.server_state
        if state.most_connections is not None and len(self.connections) > state.most_connections:
            # At the limit itself the kernel would refuse connections to Valkey as well.
            self._notice(f"more than {state.most_connections} connections: the next are closed")
            self._ignores_input = True
            transport.abort()
            return
        state.awaited.begin(self, self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._ignores_input:
            return
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        try:
            self._parse(data)
            if self._unparsed_bytes > request_head.MOST_UNPARSED_BYTES:
                raise request_head.head_too_large()
        except (RequestRefusedError, httptools.HttpParserError) as error:
            # What a callback raises, the parser wraps.
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
                # It is answered as if it had not asked (RFC 9110, section 7.8).
                data = data[upgrade.args[0] :]
                if self.scope["method"] == "CONNECT":
                    # What follows is no HTTP.
                    self.cycle.keep_alive = False
                    self.ignore_input()
                    return
                if self._has_body:
                    self.cycle.keep_alive = False
                    self.parser = self._body_parser()
            else:
                return

    def _body_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(_BodyBehindUpgrade(self))
        framing = next(
            b"%b: %b" % (name, value)
            for name, value in self.headers
            if name in {b"content-length", b"transfer-encoding"}
        )
        parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        return parser

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
            self.cycle.transport = _LingeringTransport(self)  # type: ignore[assignment]
            self.server_state.awaited.renew(self, self.body_seconds)
            # What comes behind a chunked body is no part of the scope, which has its list.
            self.headers = self.headers[:]
        # They are answered in their order. Looked through whole, 13,000 requests that came as one
        # read held up the loop for 5 s.
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.pop(0)
        self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and await the next."""
        super().on_body(body)
        self._unparsed_bytes = 0
        self.server_state.awaited.renew(self, self.body_seconds)

    def on_message_complete(self) -> None:
        """Await no more of a request."""
        if self._has_body:
            if self.parser.should_upgrade():
                # Its body comes yet.
                return
            self.cycle.scope.setdefault("extensions", {})[WHOLE_BODY] = {}
        super().on_message_complete()
        self._unparsed_bytes = 0
        self.server_state.awaited.end(self)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes one
        """Answer what was asked, then close; close at once where nothing is to be answered.

        A client may close its half and read on (RFC 9112, section 9.6). nginx, behind a unix
        socket, never does: there its client has left.

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
        """End the connection, or its request: what is awaited took too long."""
        if self.transport.get_write_buffer_size():
            # Its client takes something of an answer, or is cut for it (stalled_connections.py).
            self.server_state.awaited.renew(self, self.linger_seconds)
        elif self._is_lingering:
            self.transport.abort()
        elif self.is_half_closed:
            self._notice(f"no answer within {self.answer_seconds} s to a client that only reads")
            self.transport.abort()
        elif self.flow.read_paused:
            # The application holds it up.
            self.server_state.awaited.renew(self, self.body_seconds)
        elif self.cycle is not None and self.cycle.more_body:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"Nothing more of the body came within {self.body_seconds} s.",
            )
        elif self._unparsed_bytes or self._unanswered:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The request's head did not come within {self.head_seconds} s.",
            )
        else:
            self._notice(f"nothing came within {self.head_seconds} s: closed")
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer in the form of every other error, and close.

        The requests before it are answered first, and the connection ends with the last of them.
        """
        self._notice(f"{status.value}: {detail}")
        self.ignore_input()
        if self._end_with_the_last():
            return
        if any(each.response_started and not each.response_complete for each in self._unanswered):
            # Its client would read this as a part of that answer.
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
        """Close with the last answer to a whole request, and return whether one is due."""
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
        """Take what else comes as if it had not come."""
        self._ignores_input = True
        self.server_state.awaited.end(self)

    def close_after_reading(self) -> None:
        """Close; where the client still sends, only once it has taken the answer."""
        if self.is_half_closed or not (self._ignores_input or self.cycle.more_body):
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close this half, and the other one once the client has.

        With bytes unread, the kernel would send a RST, and with it the client loses the answer
        (RFC 9112, section 9.6).
        """
        if not self._is_lingering and not self.transport.is_closing():
            self._is_lingering = True
            self._ignores_input = True
            self.transport.write_eof()
            # A reader that waited for its application must see the end.
            self.flow.resume_reading()
            self.server_state.awaited.renew(self, self.linger_seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, but not one whose next request has begun."""
        if self not in self.server_state.awaited:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Go on with the next request, but not behind a body that nobody wants."""
        if self.cycle.response_complete and self.cycle.more_body:
            self._linger()
        if self._is_lingering:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let every open response know, also where a pipelined request came behind it."""
        super().connection_lost(exc)
        self.server_state.awaited.end(self)
        for cycle in self._unanswered:
            disconnect(cycle)

    def _notice(self, what: str) -> None:
        self.server_state.notices.say(what, self.client[0] if self.client else "")


def disconnect(cycle: RequestResponseCycle) -> None:
    """Tell a response that its client is gone, unless it is complete."""
    cycle.disconnected = not cycle.response_complete
    cycle.message_event.set()
