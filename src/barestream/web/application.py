"""bareASGI's application, with streams and early errors that go around its loops.

bareASGI runs two tasks beside the server's own for each response, one that sends and one
that waits for the client to leave. A response that lasts for hours, and whose bytes go past the
ASGI sends, needs neither: without them a stream costs half the memory. Its handler and its route
are bareASGI's like all others.

It also waits for the whole body before it answers, so that a client without a token could make it
read megabytes. Only this module avoids both, by overriding methods of bareASGI that are not public.
"""

from contextlib import suppress
from typing import Any

from bareasgi import HttpRequest, HttpResponse

from barestream.asgi.contract import WHOLE_BODY
from barestream.web import bareasgi_parts
from barestream.web.bareasgi_parts import HttpDisconnectError, HttpInstance, HttpInternalError
from barestream.web.event_stream import StreamResponse
from barestream.web.unread_body import UnreadBody


class Application(bareasgi_parts.Application):
    """As bareASGI's own."""

    async def _handle_http_request(self, scope: Any, receive: Any, send: Any) -> None:
        # Raised where a client has left before its request was whole: the server would log it
        # as an error of ours. Where the client is still there, it says itself that no answer came.
        with suppress(HttpDisconnectError, HttpInternalError):
            instance = _Instance(scope, self.http_router, self.middlewares, self.info)
            await instance.process(receive, send)


# Mostly they have no body.
_BODILESS = ("GET", "HEAD", "OPTIONS")


class _Instance(HttpInstance):
    _is_early = False

    async def _receive_request(self, receive: Any) -> Any:
        if self.scope["method"] in _BODILESS or WHOLE_BODY in (self.scope.get("extensions") or ()):
            return await super()._receive_request(receive)
        # The handler begins before the first piece of the body has come: to ask for a piece tells a
        # client with "Expect: 100-continue" to send it (RFC 9110, section 10.1.1).
        return {"type": "http.request", "body": b"", "more_body": True}

    async def _handle_request(self, receive: Any, request_event: Any) -> Any:
        if not request_event["more_body"]:
            return await super()._handle_request(receive, request_event)
        body = UnreadBody(receive)
        handler = self.handler

        async def handle(request: HttpRequest) -> HttpResponse:
            return await body.settle(request, await handler(request))

        self.handler = handle
        response = await super()._handle_request(body.receive, request_event)
        self._is_early = body.is_left
        return response

    def _send_response(self, receive: Any, send: Any, response: Any) -> Any:
        if isinstance(response, StreamResponse) and response.is_direct:
            return response.respond(send)
        if self._is_early:
            # The loop would take further pieces of the body for an error.
            return self._send_response_events(send, response)
        return super()._send_response(receive, send, response)
