"""Runs in a bareASGI app on this server, in the same process as its hub.

The app's routes stand beside the hub's::

    app = create_app()
    runs = runs_of(app)

    @app.on_http_request({"POST"}, "/chats/{chat}")
    async def ask(request: HttpRequest) -> HttpResponse:
        key = f"chat/{request.matches['chat']}"
        run = await runs.start(key, lambda: answer_of_the_model(key))
        return respond(request, await runs.follow(request, run))
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from http import HTTPStatus

from bareasgi import Application, HttpRequest, HttpResponse, LifespanRequest

from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.writer import Writer
from barestream.mercure.sse import Frame, frame
from barestream.runs.answer import Answer
from barestream.runs.local_hub import LOCAL_HUB
from barestream.runs.run import ClosedError
from barestream.runs.runner import LEASE_SECONDS
from barestream.runs.runs import Runs
from barestream.web.answers import no_content
from barestream.web.event_stream import STREAMS, StreamResponse, take_part_in_drain
from barestream.web.refusals import RETRY_AFTER, problem

logger = logging.getLogger(__name__)

# What a heartbeat and a reconnection delay begin with.
_NO_EVENTS = (b":", b"retry:")


def runs_of(
    app: Application, *, drain_seconds: float = 1, lease_seconds: int = LEASE_SECONDS
) -> Runs:
    """Return the runs of an application that ``barestream.app.create_app`` has returned.

    They take part in the server's drain.

    Args:
        app: The application.
        drain_seconds: How long its runs may go on when the worker stops. Gunicorn's
            graceful_timeout must be longer.
        lease_seconds: See Runs.
    """
    runs = Runs(app.info[LOCAL_HUB], lease_seconds=lease_seconds)

    async def drain(*, quick: bool) -> None:
        await runs.drain(0 if quick else drain_seconds)

    async def start(request: LifespanRequest) -> None:
        take_part_in_drain(drain, request.scope)

    app.startup_handlers.append(start)
    return runs


def respond(request: HttpRequest, answer: Answer) -> HttpResponse:
    """Return an answer to a follower as bareASGI's response."""
    if answer.status == HTTPStatus.NO_CONTENT:
        return no_content()
    if not answer.may_end_early and request.info[STREAMS].refusal is not None:
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The worker stops, or has as many streams as it may have. Try again in a moment.",
            [RETRY_AFTER],
        )
    # The others are those of every stream.
    headers = [
        (name.encode(), value.encode())
        for name, value in answer.headers.items()
        if name.startswith("x-vercel-")
    ]
    return StreamResponse.opened(request, partial(_pumped, answer), headers)


class _CuttingWriter:
    """A writer that cuts the connection where another one would end the response.

    Args:
        writer: Writes to the client.

    Attributes:
        has_all: Whether the response is whole, and may end.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.has_all = False

    @property
    def on_resume(self) -> Callable[[], None]:
        """See Writer."""
        return self._writer.on_resume

    @on_resume.setter
    def on_resume(self, callback: Callable[[], None]) -> None:
        self._writer.on_resume = callback

    @property
    def paused(self) -> bool:
        """See Writer."""
        return self._writer.paused

    @property
    def pending_bytes(self) -> int:
        """See Writer."""
        return self._writer.pending_bytes

    def kernel_bytes(self) -> int:
        """See Writer."""
        return self._writer.kernel_bytes()

    def write(self, frame: Frame) -> bool:
        """See Writer."""
        return self._writer.write(frame)

    def close(self) -> None:
        """End the response if it is whole; else cut the connection."""
        if self.has_all:
            self._writer.close()
        else:
            self._writer.abort()

    def abort(self) -> None:
        """See Writer."""
        self._writer.abort()


@asynccontextmanager
async def _pumped(answer: Answer, stream: Stream) -> AsyncIterator[None]:
    cutting = None
    if not answer.may_end_early:
        stream.writer = cutting = _CuttingWriter(stream.writer)
    pump = asyncio.create_task(_pump(answer, stream, cutting))
    try:
        yield
    finally:
        stream.end(EndReason.CLIENT_LEFT)
        pump.cancel()
        await asyncio.wait([pump])
        stream.forget()


async def _pump(answer: Answer, stream: Stream, cutting: _CuttingWriter | None) -> None:
    writable = asyncio.Event()
    stream.on_resume(writable.set)
    try:
        async with aclosing(answer.body) as body:
            async for piece in body:
                stream.write(frame(piece), events=not piece.startswith(_NO_EVENTS))
                if stream.paused:
                    writable.clear()
                    await writable.wait()
        if cutting is not None:
            cutting.has_all = True
        stream.end(EndReason.FINISHED)
    except ClosedError:
        stream.end(EndReason.DRAINED)
    except Exception:
        logger.exception("a run's follower failed", extra=dict(stream.labels))
        stream.end(EndReason.ERROR)
