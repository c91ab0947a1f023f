"""bareASGI's application, with a shorter path for answers.

For each response bareASGI runs two tasks in addition to the server's: one sends, the other waits
for the client to leave. A stream whose bytes bypass the ASGI sends needs neither, and takes half
the memory without them. Any other answer is short, and sent at once: the tasks took 15 % of a
publish. Handlers and routes are ordinary ones of bareASGI.

bareASGI also waits for the whole body before it answers, so a client without a token could make it
read megabytes. Only this module avoids both, by overriding methods of bareASGI that are not public.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from bareasgi import HttpRequest, HttpRequestCallback, HttpResponse

from barestream.asgi.contract import ANSWER, AT_ONCE, BEGINS_AT_ONCE, WHOLE_BODY
from barestream.web import bareasgi_parts
from barestream.web.bareasgi_parts import HttpDisconnectError, HttpInstance, HttpInternalError
from barestream.web.event_stream import StreamResponse
from barestream.web.leaving import RECEIVE
from barestream.web.refusals import RETRY_AFTER, Refused
from barestream.web.unread_body import UnreadBody
from barestream.web.whole_body import WholeBody


class Application(bareasgi_parts.Application):
    """bareASGI's application with those two changes.

    Args:
        at_once: By method and path: those handlers of the router that may begin outside of a task
            (see BEGINS_AT_ONCE in the contract).
        options: As for bareASGI's.
    """

    def __init__(
        self,
        *,
        at_once: Mapping[tuple[str, str], HttpRequestCallback] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._at_once = at_once or {}
        setattr(self, BEGINS_AT_ONCE, True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a call of the server."""
        body = (scope.get("extensions") or {}).get(AT_ONCE)
        if body is not None:
            handler = self._at_once.get((scope["method"], scope["path"]))
            if handler is not None and not self.middlewares:
                with suppress(asyncio.CancelledError):
                    request = HttpRequest(scope, self.info, {}, {}, WholeBody(body))
                    response = await handler(request)
                    if isinstance(response, StreamResponse):
                        await response.respond(send)
                    else:
                        await _send_short(scope, send, response)
                return
            # The rest is in a task.
            await asyncio.sleep(0)
        await super().__call__(scope, receive, send)

    async def _handle_http_request(self, scope: Any, receive: Any, send: Any) -> None:
        # bareASGI raises these if a client has left before its request was whole; the server would
        # log that as an error of the application. If the client is still connected, the server
        # itself logs that no answer came.
        with suppress(HttpDisconnectError, HttpInternalError):
            instance = _Instance(scope, self.http_router, self.middlewares, self.info)
            await instance.process(receive, send)


_STOPPING = Refused(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The worker stops, and the history did not answer in time. The request may have been carried "
    "out.",
    [RETRY_AFTER],
)

# Requests with these methods mostly have no body.
_BODILESS = ("GET", "HEAD", "OPTIONS")


class _Instance(HttpInstance):
    async def _receive_request(self, receive: Any) -> Any:
        if self.scope["method"] in _BODILESS or WHOLE_BODY in (self.scope.get("extensions") or ()):
            return await super()._receive_request(receive)
        # The handler begins before the first piece of the body has come. Awaiting a piece would
        # make the server ask a client with "Expect: 100-continue" to send the body (RFC 9110,
        # section 10.1.1).
        return {"type": "http.request", "body": b"", "more_body": True}

    async def _handle_request(self, receive: Any, request_event: Any) -> Any:
        try:
            return await self._handled(receive, request_event)
        except asyncio.CancelledError:
            # A server that stops cancels what has not ended in time, and answers by itself with a
            # 500 in plain text where nothing else is sent.
            return _STOPPING.response()

    async def _handled(self, receive: Any, request_event: Any) -> Any:
        if not request_event["more_body"]:
            # bareASGI would make a queue for the pieces of the body, which takes 5 % of a publish.
            whole = WholeBody(request_event["body"])
            context = {RECEIVE: receive}
            return await self.handler(
                HttpRequest(self.scope, self.info, context, self.matches, whole)
            )
        body = UnreadBody(receive)
        handler = self.handler

        async def handle(request: HttpRequest) -> HttpResponse:
            request.context[RECEIVE] = receive
            return await body.settle(request, await handler(request))

        self.handler = handle
        return await super()._handle_request(body.receive, request_event)

    def _send_response(self, receive: Any, send: Any, response: Any) -> Any:
        if not isinstance(response, StreamResponse):
            return _send_short(self.scope, send, response)
        if response.is_direct:
            return response.respond(send)
        return super()._send_response(receive, send, response)


async def _send_short(scope: Any, send: Any, response: HttpResponse) -> None:
    status, headers, written = response.status, response.headers or [], response.body
    if isinstance(written, WholeBody):
        body = written.content
    else:
        body = b"".join([piece async for piece in written]) if written else b""
    extensions: Any = scope.get("extensions") or {}
    if ANSWER in extensions:
        await extensions[ANSWER](status, headers, body)
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
