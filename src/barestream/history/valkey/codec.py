"""The form of updates and places in Valkey.

A release reads what every other has written: unknown fields are passed over.
"""

import json
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from barestream.history.gap import lost
from barestream.history.record import Known, Place, Record
from barestream.history.update import Update, topics_json
from barestream.mercure.sse import Event

logger = logging.getLogger(__name__)

_VERSION = b"1"
_MOST_SEQ = 2**64 - 1

# The size that the history's script counts is that of these fields.
_COUNTED = {b"topics", b"data", b"id", b"type"}


def fields(update: Update) -> list[bytes]:
    """Return the fields of an update's entry in the stream, each name followed by its value."""
    event = update.event
    fields = [b"v", _VERSION, b"topics", topics_json(update.topics), b"data", event.data.encode()]
    if event.id is not None:
        fields += [b"id", event.id.encode()]
    if event.type is not None:
        fields += [b"type", event.type.encode()]
    if event.retry_ms is not None:
        fields += [b"retry", b"%d" % event.retry_ms]
    if update.private:
        fields += [b"private", b"1"]
    return fields


def size_bytes(row: Any) -> int:
    """Return what the update of an entry counts for in the history (Update.size_bytes)."""
    return sum(len(value) for name, value in _values(row).items() if name in _COUNTED)


def records(rows: Sequence[Any]) -> list[Record]:
    """Return the records of entries, in their order; of those lost in a row the last, which tells
    of all.
    """
    found = [_record(row) for row in rows]
    return [
        each
        for each, following in zip(found, [*found, None][1:], strict=True)
        if each.topics or following is None or following.topics
    ]


def known(answer: Sequence[bytes]) -> Known | None:
    """Return what is known of an entry of which the history has told place, topics and privacy."""
    stream_id, topics, private = answer
    try:
        return Known(place(stream_id), _topics(topics), private == b"1")
    except (TypeError, ValueError, RecursionError):
        return None


def place(stream_id: bytes) -> Place:
    """Return the place that an entry's id is."""
    ms, _, seq = stream_id.partition(b"-")
    return Place(int(ms), int(seq))


def stream_id(place: Place) -> bytes:
    """Return the id of an entry at a place."""
    # A place comes from a client, and may name more than Valkey can count to.
    return b"%d-%d" % (place.ms, min(place.seq, _MOST_SEQ))


def _values(row: Any) -> dict[bytes, bytes]:
    return dict(zip(row[1][::2], row[1][1::2], strict=True))


def _record(row: Any) -> Record:
    """Return the record of an entry.

    One that cannot be read is a gap to everybody, and so is what restores a history of before,
    where updates are lost (deploy/restore).
    """
    at = place(row[0])
    values = _values(row)
    if b"lost" in values:
        return lost(at)
    try:
        return _update(values).at(at)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        _complain(at, type(error).__name__)
        return lost(at)


def _update(values: dict[bytes, bytes]) -> Update:
    topics = _topics(values[b"topics"])
    event = Event(
        values[b"data"].decode(),
        values[b"id"].decode() if b"id" in values else None,
        values[b"type"].decode() if b"type" in values else None,
        int(values[b"retry"]) if b"retry" in values else None,
    )
    return Update(topics, event, values.get(b"private") == b"1")


def _topics(written: bytes) -> tuple[str, ...]:
    topics = json.loads(written)
    if not isinstance(topics, list) or not topics:
        raise TypeError
    # Raises where one is no text, or none that UTF-8 can carry: a client would get it.
    "".join(topics).encode()
    return tuple(topics)


# Pages are read again and again: once a process is enough.
@lru_cache(maxsize=1024)
def _complain(place: Place, why: str) -> None:
    logger.error("an entry of the history cannot be read", extra={"place": str(place), "why": why})
