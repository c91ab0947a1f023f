"""A run's events as the bodies of answers: Server-Sent Events, and the AI SDK's stream. Pure.

Source of the AI SDK's: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

import json
from collections.abc import Iterator
from typing import Literal, Protocol

from barestream.mercure.reserved import END_TYPE, GAP_TYPE
from barestream.mercure.sse import HEARTBEAT, Event, encode, retry
from barestream.runs.following import outcome_of
from barestream.runs.outbox import as_json
from barestream.runs.run import Outcome, Status, well_formed
from barestream.runs.runner import SNAPSHOT_TYPE
from barestream_client.event_reader import Received

Format = Literal["sse", "ai-sdk"]

# The headers of every stream. A compressing proxy would hold bytes back.
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
}

_LACKING = "The beginning of this answer is no longer there."
_ERRORS = {
    Status.FAILED: "The answer has failed.",
    Status.INTERRUPTED: "The answer was interrupted.",
}


class Writer(Protocol):
    """Writes one follower's stream.

    Attributes:
        headers: The headers of the answer.
        takes_cursor: Whether its clients come back with the id of their last event.
        is_over: Whether nothing more is to be written.
    """

    headers: dict[str, str]
    takes_cursor: bool
    is_over: bool

    def write(self, event: Received) -> bytes:
        """Return the bytes of an event or a heartbeat; none for one that is not told."""


class SseWriter:
    """Server-Sent Events as the hub writes them."""

    takes_cursor = True
    headers = _HEADERS

    def __init__(self) -> None:
        self.is_over = False

    def write(self, event: Received) -> bytes:
        if event.data is None:
            # The hub spreads the delays of many clients.
            return HEARTBEAT.body if event.retry_ms is None else retry(event.retry_ms).body
        self.is_over = event.type == END_TYPE
        kind = None if event.type == "message" else event.type
        return encode(Event(event.data, event.id, kind))


class AiSdkWriter:
    """The AI SDK's UI message stream: each chunk is an object of JSON that the app has made."""

    takes_cursor = False

    def __init__(self) -> None:
        self.headers = {**_HEADERS, "x-vercel-ai-ui-message-stream": "v1"}
        self.is_over = False
        self._has_begun = False

    def write(self, event: Received) -> bytes:
        if event.data is None:
            return HEARTBEAT.body
        chunks = [encode(Event(chunk)) for chunk in self._chunks(event)]
        self._has_begun = True
        return b"".join(chunks)

    def _chunks(self, event: Received) -> Iterator[str]:
        if event.type == END_TYPE:
            self.is_over = True
            yield from _last_chunks(outcome_of(event))
        elif event.type == GAP_TYPE:
            # The client cannot join what follows to what it has.
            self.is_over = True
            yield from _last_chunks(Outcome(Status.FAILED, _LACKING))
        elif event.type == SNAPSHOT_TYPE:
            # A snapshot has the chunks that stand for all before it.
            if not self._has_begun:
                yield from (well_formed(as_json(chunk)) for chunk in _list(event))
        elif event.type == "message" and event.data:
            yield event.data


def writer(name: Format) -> Writer:
    """Return the writer of a format.

    Raises:
        ValueError: There is no such format.
    """
    if name == "sse":
        return SseWriter()
    if name == "ai-sdk":
        return AiSdkWriter()
    raise ValueError(f"format: expected sse or ai-sdk, got {name!r}")


def _last_chunks(outcome: Outcome) -> Iterator[str]:
    if outcome.status in _ERRORS:
        error = outcome.error or _ERRORS[outcome.status]
        yield as_json({"type": "error", "errorText": error})
    elif outcome.status is Status.STOPPED:
        yield as_json({"type": "abort"})
    yield "[DONE]"


def _list(event: Received) -> list[object]:
    value = json.loads(event.data or "[]")
    return value if isinstance(value, list) else [value]
