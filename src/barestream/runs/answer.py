"""An answer to a follower, for any ASGI framework."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from barestream.mercure.header_text import is_name
from barestream.runs.formats import Writer
from barestream.runs.run import ClosedError
from barestream_client.event_reader import Received

_LAST_EVENT_ID = b"last-event-id"


class Answer(NamedTuple):
    """What a handler answers with.

    Attributes:
        status: 200, or 204 if there is nothing to follow; after 204 every EventSource stops, and
            the AI SDK resumes nothing.
        headers: The headers, by their names in lower case.
        body: The pieces of the body; none for 204.
        may_end_early: Whether a client comes back after a clean end before that of the run. The
            body raises ClosedError in place of such an end if it does not, so that the server cuts
            the connection.
    """

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes]
    may_end_early: bool = True


async def nothing() -> AsyncGenerator[bytes]:
    """Yield no bytes."""
    return
    yield b""


NOTHING_HEADERS = {"cache-control": "no-store"}


class Bodies:
    """The open bodies of a process; a drain ends them."""

    def __init__(self) -> None:
        self._is_draining = False
        self._waiting: set[asyncio.Timeout] = set()

    def drain(self) -> None:
        """End every body that is open, and those that come."""
        self._is_draining = True
        loop = asyncio.get_running_loop()
        for each in self._waiting:
            each.reschedule(loop.time())

    async def body(
        self,
        first: Received,
        events: AsyncGenerator[Received],
        writer: Writer,
        following: AbstractContextManager[None],
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a follower's events; the context lasts as long as it is read.

        Raises:
            ClosedError: The process stops before the run has ended, and the client would take a
                clean end for the run's. So the server cuts the connection.
        """
        with following:
            async with aclosing(events):
                event = first
                while True:
                    if piece := writer.write(event):
                        yield piece
                    if writer.is_over:
                        return
                    try:
                        event = await self._next(events)
                    except TimeoutError:
                        if writer.takes_cursor:
                            # The client comes back with its cursor.
                            return
                        raise ClosedError("the process stops before the run has ended") from None

    async def _next(self, events: AsyncGenerator[Received]) -> Received:
        async with asyncio.timeout(0 if self._is_draining else None) as waiting:
            self._waiting.add(waiting)
            try:
                return await anext(events)
            finally:
                self._waiting.discard(waiting)


def client_of(request: Any) -> str | None:
    """Return the address of a request's client; None if it is not known.

    Raises:
        TypeError: See scope_of.
    """
    client = scope_of(request).get("client")
    return client[0] if client else None


def last_event_id(request: Any) -> str | None:
    """Return the id that a client comes back with, from the header or from the query.

    What cannot be an id of the hub's counts as none, so that no client makes a request to the hub
    fail.

    Raises:
        TypeError: See scope_of.
    """
    scope = scope_of(request)
    for name, value in scope["headers"]:
        if name.lower() == _LAST_EVENT_ID and value:
            return _checked(value.decode("latin-1"))
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("last_event_id")
    return _checked(values[-1]) if values else None


def _checked(event_id: str) -> str | None:
    # The streams of runs do not ask for topics, which would make the hub's ids longer.
    return event_id if is_name(event_id) else None


def scope_of(request: Any) -> dict[str, Any]:
    """Return the ASGI scope of a request.

    Args:
        request: A request of Starlette, FastAPI, Django (ASGI) or bareASGI, or an ASGI scope.

    Raises:
        TypeError: It is none of them.
    """
    scope = request if isinstance(request, dict) else getattr(request, "scope", None)
    if not isinstance(scope, dict) or "headers" not in scope:
        raise TypeError(
            "expected a request of an ASGI framework (Starlette, FastAPI, Django on ASGI, "
            f"bareASGI) or an ASGI scope, got {type(request).__module__}."
            f"{type(request).__qualname__}"
        )
    return scope
