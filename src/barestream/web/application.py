"""bareASGI's application, for clients that leave in the middle of their request."""

from contextlib import suppress
from typing import Any

import bareasgi
from bareasgi.http.http_errors import HttpDisconnectError, HttpInternalError


class Application(bareasgi.Application):
    """As bareASGI's own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a connection."""
        # Raised where a client has left before its request was whole: the server would log it
        # as an error of ours. Where the client is still there, it says itself that no answer came.
        with suppress(HttpDisconnectError, HttpInternalError):
            await super().__call__(scope, receive, send)
