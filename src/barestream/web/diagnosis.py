"""GET /.well-known/mercure/diagnosis: streams and answers whose course a client chooses.

`barestream doctor` asks for them, and compares what the app sent, and when, with what arrives. They
echo nothing of the request.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Self

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.stream import EndReason, Stream
from barestream.mercure.bearer import Bearer
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.sse import Event, Frame
from barestream.mercure.topics import PATH
from barestream.web.answers import UNSTORED, whole
from barestream.web.body import JSON_TYPE
from barestream.web.event_stream import StreamResponse, pumped
from barestream.web.form import Form, query
from barestream.web.refusals import Refused, bad_request, problem, too_many_patterns

DIAGNOSIS = f"{PATH}/diagnosis"

# The type of its events.
TYPE = "barestream.diagnosis"

# The longest silence that a proxy of the manual allows is 120 s, and a probe of a duration's limit
# takes as long as some of them together.
_MOST_SECONDS = 600

# Above the largest buffer of a proxy that is tried, 64 KB.
_MOST_PADDING_BYTES = 128 * 1024

# More than the kernels between two machines hold for a client that does not read.
_MOST_BYTES = 32 * 1024 * 1024

_MOST_EVENTS = 1000
_MOST_PAUSES = 16

# What a proxy may send in place of the app's answer, or pass on.
_STATUSES = (200, 401, 403, 404, 429, 500, 502, 503, 504)

# It sends nothing: some proxies end a silent stream, and this finds out which.
_SILENCE = Frame(b"", b"")


class DiagnosticRequest:
    """What a request asks for.

    Attributes:
        status: The status of an answer that is no stream; None for a stream.
        events: How many events the stream sends.
        pauses: The seconds before each event, in turn; none before the first by default.
        padding_bytes: How much is added to each event.
        silent_seconds: How long the stream stays open after its last event.
        heartbeats: Whether a silent stream gets heartbeats.
        cut: Whether the connection is cut at the end, in place of a proper end.
        transform: Whether a proxy may change the stream (without no-transform).

    Raises:
        Refused: 400 for a parameter that is not a number, or above its bound.
    """

    def __init__(self, form: Form) -> None:
        self.status = _number(form, "status", 0, max(_STATUSES)) or None
        if self.status is not None and self.status not in _STATUSES:
            raise bad_request(f"status must be one of {', '.join(map(str, _STATUSES))}.")
        self.events = _number(form, "events", 10, _MOST_EVENTS)
        self.pauses = [ms / 1000 for ms in _pauses_ms(form)]
        self.padding_bytes = _number(form, "padding", 0, _MOST_PADDING_BYTES)
        self.silent_seconds = _number(form, "silent_seconds", 0, _MOST_SECONDS)
        self.heartbeats = _number(form, "heartbeats", 1, 1) == 1
        self.cut = _number(form, "cut", 0, 1) == 1
        self.transform = _number(form, "transform", 0, 1) == 1
        if self.events * self.padding_bytes > _MOST_BYTES:
            raise bad_request(f"events times padding must be at most {_MOST_BYTES} bytes.")
        if sum(map(self.pause, range(self.events))) + self.silent_seconds > _MOST_SECONDS:
            raise bad_request(f"The stream must last at most {_MOST_SECONDS} s.")

    @classmethod
    def read(cls, request: HttpRequest) -> Self:
        """Read a request's query; it raises what the class does."""
        return cls(query(request))

    def pause(self, number: int) -> float:
        """Return the seconds before an event; the first has the number 0."""
        return self.pauses[number % len(self.pauses)]


class Diagnosis:
    """The handler.

    Args:
        operator: Returns what the sender of a request may do; refuses one that may not operate.
        heartbeat_seconds: After how long a silent stream gets a heartbeat.
    """

    def __init__(
        self,
        operator: Callable[[HttpRequest], Awaitable[Bearer]],
        heartbeat_seconds: float,
    ) -> None:
        self._operator = operator
        self._facts = {"heartbeat_seconds": heartbeat_seconds}

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a stream, or with a status and the end of the connection."""
        received_at = time.time()
        try:
            await self._operator(request)
            asked = DiagnosticRequest.read(request)
        except Refused as refused:
            return refused.response()
        except TooManyPatternsError:
            return too_many_patterns("Try again later.").response()
        stamp = {**self._facts, "http_version": request.scope["http_version"]}
        if asked.status is None:
            return _stream(request, asked, stamp)
        if asked.status == HTTPStatus.OK:
            # The stamps of two clocks: what lies between them took place here.
            stamp |= {"received_at": received_at, "at": time.time()}
            return whole(JSON_TYPE, json.dumps(stamp).encode() + b"\n")
        return problem(
            HTTPStatus(asked.status),
            "The diagnosis asked for this status.",
            [(b"connection", b"close")],
        )


def _stream(
    request: HttpRequest, asked: DiagnosticRequest, stamp: dict[str, object]
) -> HttpResponse:
    @asynccontextmanager
    async def source(stream: Stream) -> AsyncIterator[None]:
        if not asked.heartbeats:
            stream.heartbeat = lambda: _SILENCE
        async with pumped(_events(asked, stamp, stream), None, stream):
            yield

    response = StreamResponse.opened(request, source)
    if asked.transform:
        response.headers = [each for each in response.headers or () if each[0] != UNSTORED[0]] + [
            UNSTORED
        ]
    return response


async def _events(
    asked: DiagnosticRequest, stamp: dict[str, object], stream: Stream
) -> AsyncGenerator[Event]:
    # It tells whether a cache gave one stream to two clients.
    run = secrets.token_hex(8)
    # Random, so that compression does not make it small.
    padding = secrets.token_hex(asked.padding_bytes // 2)
    opened_at = time.monotonic()
    for number in range(asked.events):
        await asyncio.sleep(asked.pause(number))
        fields = {
            **(stamp if number == 0 else {}),
            "run": run,
            "number": number,
            "at": time.time(),
            "after_seconds": round(time.monotonic() - opened_at, 6),
            "padding": padding,
        }
        yield Event(json.dumps(fields), type=TYPE)
    await asyncio.sleep(asked.silent_seconds)
    if asked.cut:
        stream.abort(EndReason.FINISHED)


def _pauses_ms(form: Form) -> list[int]:
    texts = form.get("pauses_ms", ["0"])[-1].split(",")
    if len(texts) > _MOST_PAUSES:
        raise bad_request(f"pauses_ms must have at most {_MOST_PAUSES} numbers.")
    return [_checked("pauses_ms", text, _MOST_SECONDS * 1000) for text in texts]


def _number(form: Form, name: str, default: int, most: int) -> int:
    return _checked(name, form[name][-1], most) if name in form else default


def _checked(name: str, text: str, most: int) -> int:
    # A longer text of digits would take int() long.
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    raise bad_request(f"{name} must be a whole number from 0 to {most}.")
