"""bareASGI's application, with streams that go around its response loop.

bareASGI 4.4.1 runs two tasks beside the server's own for each response, one that sends and one
that waits for the client to leave. A response that lasts for hours, and whose bytes go past the
ASGI sends, needs neither: without them a stream costs half the memory. Its handler and its route
are bareASGI's like all others; this is the one place where it is gone around, by overriding a
method of its own that is not public.
"""

from contextlib import suppress
from typing import Any

import bareasgi
from bareasgi.http import HttpInstance
from bareasgi.http.http_errors import HttpDisconnectError, HttpInternalError

from barestream.web.event_stream import StreamResponse


class Application(bareasgi.Application):
    """As bareASGI's own."""

    async def _handle_http_request(self, scope: Any, receive: Any, send: Any) -> None:
        # Raised where a client has left before its request was whole: the server would log it
        # as an error of ours. Where the client is still there, it says itself that no answer came.
        with suppress(HttpDisconnectError, HttpInternalError):
            instance = _Instance(scope, self.http_router, self.middlewares, self.info)
            await instance.process(receive, send)


class _Instance(HttpInstance):
    def _send_response(self, receive: Any, send: Any, response: Any) -> Any:
        if isinstance(response, StreamResponse) and response.is_direct:
            return response.respond(send)
        return super()._send_response(receive, send, response)
