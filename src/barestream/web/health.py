"""The health of a worker: whether it is alive, and whether it is ready for streams."""

from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.streams import Streams
from barestream.delivery.tail import Tail
from barestream.history.intake import Intake
from barestream.history.standing import Standings
from barestream.web.refusals import problem


class Health:
    """The handlers of /healthz and /readyz."""

    def __init__(self, streams: Streams, tail: Tail, intake: Intake, standings: Standings) -> None:
        self._streams = streams
        self._tail = tail
        self._intake = intake
        self._standings = standings

    async def alive(self, _request: HttpRequest) -> HttpResponse:
        """Answer 200: the process is alive."""
        return _ok()

    async def ready(self, _request: HttpRequest) -> HttpResponse:
        """Answer 200 if the worker serves everything; 503 while it drains or the broker fails.

        A history that can be read but accepts no updates is not ready either, for example if
        Valkey is full or a replica.
        """
        if self._streams.draining:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "This worker is draining.")
        for part in (self._tail, self._intake):
            if not part.ready:
                return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"The history {part.words}.")
        return _ok(self._standings.words)


def _ok(more: str = "") -> HttpResponse:
    text = f"ok\n{more}"
    return HttpResponse.from_text(
        text,
        content_type=b"text/plain; charset=utf-8",
        headers=[(b"content-length", b"%d" % len(text)), (b"cache-control", b"no-store")],
    )
