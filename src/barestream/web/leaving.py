"""Notices that a client leaves before it has its answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from bareasgi import HttpRequest

from barestream.asgi.contract import EXTENSION, OpenResponse

# The key in a request's context of the server's function that returns what comes from the client.
RECEIVE = "barestream.receive"


@asynccontextmanager
async def noticing(request: HttpRequest, left: Callable[[], None]) -> AsyncIterator[None]:
    """Call back if the client leaves while the context lasts; the request's body has come.

    For this project's server the answer is open meanwhile, as that of a stream is: so a client
    that has closed its sending half counts as one that has left.
    """
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    answer: OpenResponse | None = extensions[EXTENSION]() if EXTENSION in extensions else None
    leaving = partial(_disconnected, request) if answer is None else answer.over
    watching = asyncio.create_task(_watch(leaving, left))
    # Only once it has begun, the server passes on what is sent otherwise.
    await asyncio.sleep(0)
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        if answer is not None:
            answer.close()


async def _watch(leaving: Callable[[], Awaitable[None]], left: Callable[[], None]) -> None:
    await leaving()
    left()


async def _disconnected(request: HttpRequest) -> None:
    receive = request.context[RECEIVE]
    while (await receive())["type"] != "http.disconnect":
        pass
