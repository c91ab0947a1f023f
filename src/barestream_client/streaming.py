"""A streamed publish of any length, as steps. Pure.

It is a chain of short requests, each with what the source has ready by then: the answer of each
says what became of it, so that after a cut exactly this part is sent again. The hub knows it by its
numbers, and publishes nothing twice.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from barestream_client.answers import Answer, RefusedError, json_object, not_a_hub
from barestream_client.retries import Retries
from barestream_client.steps import Request, Steps, Take, asking
from barestream_client.updates import Update

# So many updates are sent again at most, and held in memory meanwhile.
MOST_OF_A_PART = 500

# A part whose body is larger is sent in several requests.
_MOST_PART_BYTES = 1_000_000


class Streamed(NamedTuple):
    """What became of a streamed publish.

    Attributes:
        producer: The producer's name.
        next: The number that the hub expects next.
        last_id: The id of the newest update; None if there is none.
    """

    producer: str
    next: int
    last_id: str | None


class Stream(NamedTuple):
    """A streamed publish.

    Attributes:
        topic: The topic of all updates.
        producer: The producer's name.
        epoch: The producer's epoch.
        first: The number of the first update that the source gives.
        type: The type of the updates that name none; None for ``message``.
        private: Whether the updates are private.
        end: Whether the topic ends after the last one; or for how many seconds it stays ended.
    """

    topic: str
    producer: str
    epoch: int
    first: int
    type: str | None
    private: bool
    end: bool | float


def streaming(url: str, stream: Stream, retries: Retries) -> Steps[Streamed]:
    """Publish all that a source gives, and return how far it came."""
    done = Streamed(stream.producer, stream.first, None)
    while taken := (yield Take(MOST_OF_A_PART)):
        for body, count in _bodies(taken):
            done = yield from _sending(url, stream, done, body, count, retries)
    if stream.end:
        # The hub publishes the end itself; it has a number of its own.
        done = yield from _sending(url, stream, done, b"", 1, retries, end=stream.end)
    return done


def _sending(  # noqa: PLR0913, PLR0917 (a part, and what it is a part of)
    url: str,
    stream: Stream,
    before: Streamed,
    body: bytes,
    count: int,
    retries: Retries,
    end: bool | float = False,
) -> Steps[Streamed]:
    params = [("topic", stream.topic)]
    params += [("private", "on")] if stream.private else []
    params += [("type", stream.type)] if stream.type else []
    params += [("end", "true" if end is True else f"{end:g}")] if end else []
    headers = {
        "Content-Type": "application/x-ndjson",
        "Producer-Id": stream.producer,
        "Producer-Epoch": str(stream.epoch),
        "Producer-Seq": str(before.next),
    }
    request = Request("POST", f"{url}/publish-stream", tuple(params), headers, body)
    try:
        answer: Answer = yield from asking(request, {200}, retries)
    except RefusedError as error:
        # The hub counts the lines of this request.
        error.add_note(f"Line 1 is number {before.next} of the producer.")
        raise
    found = json_object(answer.body) or {}
    # A producer whose topic has ended is done.
    if found.get("next") not in {before.next + count, None} or "accepted" not in found:
        raise not_a_hub(answer)
    return Streamed(stream.producer, before.next + count, found.get("last_id"))


def _bodies(taken: Sequence[Any]) -> list[tuple[bytes, int]]:
    """Return the bodies of the requests for what was taken, each with its number of updates."""
    found: list[tuple[bytes, int]] = []
    for line in map(_line, taken):
        if found and len(found[-1][0]) + len(line) <= _MOST_PART_BYTES:
            found[-1] = (found[-1][0] + line, found[-1][1] + 1)
        else:
            found.append((line, 1))
    return found


def _line(item: Any) -> bytes:
    """Return the line of an update; anything else is the data of one."""
    fields = item.fields() if isinstance(item, Update) else {"data": item}
    for name in ("topic", "private"):
        if name in fields:
            raise ValueError(f"an update of a streamed publish has no {name} of its own")
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
