"""A queue a stream, by sse-starlette's example of broadcasting, on Starlette alone."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queues: defaultdict[str, set[asyncio.Queue[ServerSentEvent]]] = defaultdict(set)


async def events(topic: str) -> AsyncIterator[ServerSentEvent]:
    # The example asks before each event whether the client is there; the response sees to it too,
    # and without the question an event costs less.
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
    queues[topic].add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        queues[topic].discard(queue)


async def subscribe(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events(request.query_params["topic"]))


async def publish(request: Request) -> Response:
    event = ServerSentEvent((await request.body()).decode())
    for queue in queues[request.query_params["topic"]]:
        queue.put_nowait(event)
    return Response(status_code=204)


PATH = "/.well-known/mercure"

app = Starlette(
    routes=[
        Route(PATH, subscribe, methods=["GET"]),
        Route(PATH, publish, methods=["POST"]),
    ]
)
