"""The part of a request's body that its handler has not read.

bareASGI would read the whole body into memory before it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from bareasgi import HttpRequest, HttpResponse

from barestream.web.refusals import problem

# How much of an unread body is read so that the connection can serve the next request. No client
# of the hub sends more by mistake.
MOST_UNREAD_BYTES = 64 * 1024

_END = {"type": "http.request", "body": b"", "more_body": False}

_CLOSE = (b"connection", b"close")


class UnreadBody:
    """A request's body.

    Args:
        receive: The server's callable that returns the next piece.

    Attributes:
        is_left: Whether the answer is sent before the whole body has come. The connection must
            end after the answer, because the rest of the body would be read as a request.
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self._has_more = True
        self.is_left = False

    async def receive(self) -> Any:
        """Return the next piece; an empty last piece if the rest of the body is not read."""
        if self.is_left:
            return _END
        event = await self._receive()
        self._has_more = event.get("more_body", False)
        return event

    async def settle(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Read the rest of the body, or give it up, and return the answer.

        An error does not wait for a body that it does not depend on (RFC 9112, section 9.3). The
        part that has come already is read, so that the connection can serve the next request.
        """
        if not self._has_more:
            return response
        if response.status >= HTTPStatus.BAD_REQUEST:
            # A client that sent "Expect: 100-continue" gets the error in place of the 100.
            if not _expects_leave(request):
                try:
                    async with asyncio.timeout(0):
                        if await self._is_short(request):
                            return response
                except TimeoutError:
                    pass
        elif await self._is_short(request):
            return response
        else:
            response = problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{request.scope['method']} {request.scope['path']} accepts a body of at most "
                f"{MOST_UNREAD_BYTES} bytes.",
            )
        self.is_left = True
        return HttpResponse(
            response.status, [*(response.headers or ()), _CLOSE], response.body, response.pushes
        )

    async def _is_short(self, request: HttpRequest) -> bool:
        """Read the body, and return whether it ended within MOST_UNREAD_BYTES."""
        size = 0
        async for piece in request.body:
            size += len(piece)
            if size > MOST_UNREAD_BYTES:
                return False
        return True


def _expects_leave(request: HttpRequest) -> bool:
    return any(name == b"expect" for name, _ in request.scope["headers"])
