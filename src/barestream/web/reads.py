"""Answers that end, with the events that a stream would be sent."""

import asyncio
import json
import re
from collections.abc import Coroutine
from functools import partial
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import Streams
from barestream.web.answers import whole
from barestream.web.body import JSON_TYPE
from barestream.web.event_stream import STREAMS, labels
from barestream.web.follow import Following
from barestream.web.form import Form
from barestream.web.leaving import noticing
from barestream.web.page_writer import PageWriter
from barestream.web.refusals import RETRY_AFTER, Refused, bad_request
from barestream.web.request_headers import header_value

# Long enough for a client that asks again at once to cost little, and below the time after which
# proxies end a silent request (60 s by default).
MOST_WAIT_SECONDS = 50

# How long the history may take for what is there already. Together with the wait it is below the
# time after which nginx gives up.
MOST_REPLAY_SECONDS = 5

# An answer is in memory as a whole.
MOST_EVENTS = 1000
_DEFAULT_EVENTS = 100

_NUMBER = re.compile(r"[0-9]{1,4}")

# Why there was no answer, in words for its client.
_REFUSALS = {
    EndReason.DRAINED: "This worker stops.",
    EndReason.FULL: "The worker has as many streams as BARESTREAM_STREAMS_PER_WORKER allows.",
    EndReason.NGINX_STOPPED: "nginx stops.",
    EndReason.UNREADY: "The history does not answer.",
    EndReason.ERROR: "The events could not be read.",
}


class ReadBounds:
    """How many events an answer has, and how long it waits for the first.

    Args:
        form: The request's parameters.

    Raises:
        Refused: 400 for parameters that are malformed.
    """

    def __init__(self, form: Form) -> None:
        self.events = _number(form, "limit", 1, MOST_EVENTS) or _DEFAULT_EVENTS
        self.wait_seconds = _number(form, "wait", 0, MOST_WAIT_SECONDS) or 0


async def read(request: HttpRequest, following: Following, bounds: ReadBounds) -> HttpResponse:
    """Return the events that follow, once there are some or the time is over.

    The request counts as a stream meanwhile.

    Args:
        request: The request.
        following: The source of the stream that is read; it names topics, and tells when its
            replay is over.
        bounds: How much is read.

    Raises:
        Refused: 503 if the worker cannot serve the request.
    """
    streams: Streams = request.info[STREAMS]
    writer = PageWriter(bounds.events)
    stream = Stream(writer, streams.now, labels(request))
    streams.open(stream)
    try:
        async with following(stream):
            if not await _in_time(writer.replayed(), MOST_REPLAY_SECONDS):
                stream.end(EndReason.UNREADY)
            if bounds.wait_seconds:
                async with noticing(request, partial(stream.end, EndReason.CLIENT_LEFT)):
                    await _in_time(writer.some(), bounds.wait_seconds)
            reason = stream.end_reason
            stream.end(EndReason.FINISHED)
    finally:
        streams.close(stream)
    if reason in _REFUSALS:
        raise unready(_REFUSALS[reason])
    return _answer(writer, is_over=reason is EndReason.ENDED)


def unready(why: str) -> Refused:
    """Return the refusal of a request that can be served a moment later.

    Args:
        why: The reason, in a sentence.
    """
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{why} Try again in a moment.", [RETRY_AFTER])


def newest(name: bytes, cursor: str) -> HttpResponse:
    """Return the answer to HEAD: the newest cursor, in a header of this name."""
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (name, cursor.encode()),
    ]
    return HttpResponse(HTTPStatus.OK, headers)


def ended(cursor: str) -> HttpResponse:
    """Return the answer for topics that have ended, all of whose events the client has."""
    return _json({"events": [], "gap": None, "more": False, "ended": True, "cursor": cursor})


def wants_page(request: HttpRequest) -> bool:
    """Return whether a request asks for an answer that ends, by its Accept header."""
    accepted = header_value(request, b"accept").lower()
    return b"application/json" in accepted and b"event-stream" not in accepted


async def _in_time(waiting: Coroutine[None, None, None], seconds: float) -> bool:
    """Wait for something, but not longer; return whether it is done."""
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return False
    return True


def _answer(writer: PageWriter, *, is_over: bool) -> HttpResponse:
    gap = writer.gap
    if writer.is_cut and gap is None:
        gap = {"from": None, "to": writer.cursor, "missed": None}
    return _json(
        {
            "events": writer.events(),
            "gap": gap,
            "more": writer.has_more,
            "ended": is_over and not writer.has_more,
            "cursor": writer.cursor,
        }
    )


def _json(content: dict[str, object]) -> HttpResponse:
    return whole(JSON_TYPE, json.dumps(content).encode())


def _number(form: Form, name: str, least: int, most: int) -> int | None:
    values = form.get(name)
    if not values:
        return None
    is_number = len(values) == 1 and _NUMBER.fullmatch(values[0])
    if not is_number or not least <= int(values[0]) <= most:
        raise bad_request(f"{name}: expected one whole number from {least} to {most}.")
    return int(values[0])
