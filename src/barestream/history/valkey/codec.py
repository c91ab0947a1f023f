"""The form of updates and places in Valkey.

Several releases may share the stream, during a rollout and after a rollback. The field ``v`` of an
entry has the number of its form:

- A field may be added without a new number: every release ignores the fields that it does not know.
- A change that older releases would misread gets a higher number.
- An entry with a higher number than a release knows is unreadable to it: its streams are sent a gap
  there, and nobody may resume from its id. Releases that refused an id that was used again do not
  check the number. So a higher one may only be written once none of these can share the stream.

An entry without ``v`` has the first form.
"""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from barestream.history.gap import lost
from barestream.history.producers import Accepted, Batch, Lease, Position, Run, Status
from barestream.history.record import BEGIN, MOST_SEQ, Known, Place, Record
from barestream.history.topic_state import End
from barestream.history.update import Update, topics_json
from barestream.mercure.sse import encode_stored

logger = logging.getLogger(__name__)

# The number of the form that is written, and the highest that can be read.
_FORM = b"1"

# The fields whose size the history's script counts.
_COUNTED = {b"topics", b"data", b"id", b"type"}

# The topics that are kept to be shared take 1 MB at most.
_SHARED_MOST_BYTES = 256


def fields(update: Update) -> list[bytes]:
    """Return the fields of an update's entry in the stream, each name followed by its value."""
    event = update.event
    fields = [b"v", _FORM, b"topics", topics_json(update.topics), b"data", event.data.encode()]
    if event.id is not None:
        fields += [b"id", event.id.encode()]
    if event.type is not None:
        fields += [b"type", event.type.encode()]
    if event.retry_ms is not None:
        fields += [b"retry", b"%d" % event.retry_ms]
    if update.private:
        fields += [b"private", b"1"]
    if update.end_seconds is not None:
        fields += [b"end", b"%d" % _ms(update.end_seconds)]
    return fields


def arguments(update: Update) -> list[bytes]:
    """Return the arguments of an update for the script that publishes it, with their number."""
    own_id = update.event.id
    # Without an id the script has nothing to compare.
    identity = [own_id.encode(), update.digest] if own_id else [b"", b""]
    keep = b"" if update.keep_seconds is None else b"%d" % _ms(update.keep_seconds)
    end = b"" if update.end_seconds is None else b"%d" % _ms(update.end_seconds)
    arguments = [*identity, keep, end, *fields(update)]
    return [b"%d" % len(arguments), *arguments]


def producer_name(topic: str, producer_id: str) -> bytes:
    """Return the name of what Valkey knows of a producer and its topic (lua/producers.lua)."""
    whole = producer_id.encode(errors="replace") + b"\0" + topic_bytes(topic)
    return hashlib.sha256(whole).hexdigest()[:32].encode()


def batch_arguments(batch: Batch) -> list[bytes]:
    """Return the arguments of a producer's batch for the script that publishes it."""
    topics = topics_json((batch.topic,))
    name = producer_name(batch.topic, batch.producer.id)
    arguments = [name, batch.topic.encode(), topics]
    arguments += [b"%d" % number for number in (batch.producer.epoch, batch.first)]
    arguments += [b"%d" % len(batch.updates), b"1" if batch.is_run else b"0"]
    arguments.append((batch.status or "done").encode())
    arguments += lease_arguments(batch.lease)
    for update in batch.updates:
        arguments += _short_arguments(update)
    return arguments


def lease_arguments(lease: Lease | None) -> list[bytes]:
    """Return a lease as the arguments of scripts (lua/producers.lua)."""
    if lease is None:
        return [b"", b"", b""]
    ended = b"%d" % _ms(lease.ended_seconds)
    return [b"%d" % _ms(lease.seconds), b"1" if lease.private else b"0", ended]


def _short_arguments(update: Update) -> list[bytes]:
    """Return the arguments of an update in a batch, whose topic they lack if they can."""
    event = update.event
    if (
        event.id
        or event.retry_ms is not None
        or update.keep_seconds is not None
        or update.end_seconds is not None
    ):
        return arguments(update)
    data = event.data.encode()
    if event.type is None:
        return [b"D" if update.private else b"d", data]
    return [b"T" if update.private else b"t", event.type.encode(), data]


def size_bytes(row: Any) -> int:
    """Return the size of an entry's update, as the history counts it (Update.size_bytes)."""
    written = row[1]
    return sum(
        len(value)
        for name, value in zip(written[::2], written[1::2], strict=True)
        if name in _COUNTED
    )


def records(rows: Sequence[Any]) -> list[Record]:
    """Return the records of entries, in their order. Of successive gaps only the last is returned,
    because it covers all of them.
    """
    found = [_record(row) for row in rows]
    return [
        each
        for each, following in zip(found, [*found, None][1:], strict=True)
        if each.topics or following is None or following.topics
    ]


def known(answer: Sequence[bytes]) -> Known:
    """Return what is known of an entry; one that cannot be read has no topic, and is private.

    Args:
        answer: The history's answer: place, topics, privacy and the number of its form.
    """
    stream_id, topics, private, form = answer
    at = place(stream_id)
    try:
        _check_form(form)
        return Known(at, _topics(topics), private == b"1")
    except (TypeError, ValueError, RecursionError):
        return Known(at, (), private=True)


def place(stream_id: bytes) -> Place:
    """Return the place of the entry with this id."""
    ms, _, seq = stream_id.partition(b"-")
    return Place(int(ms), int(seq))


def stream_id(place: Place) -> bytes:
    """Return the id of an entry at a place."""
    # A client may send a place with a number that is too large for Valkey.
    return b"%d-%d" % (place.ms, min(place.seq, MOST_SEQ))


def topic_bytes(topic: str) -> bytes:
    """Return a topic as the history has it. No update has one with a lone surrogate."""
    return topic.encode(errors="replace")


def position(answer: Sequence[Any]) -> Position:
    """Return a producer's position: epoch, next and perhaps last_id (fn.position_of)."""
    epoch, following, *last_id = answer
    return Position(epoch, following, last_id[0].decode() if last_id else None)


def accepted(answer: Sequence[Any]) -> tuple[Accepted, Place]:
    """Return what became of a batch (lua/batch.lua).

    Also the place of its last update that was added; BEGIN if none was.
    """
    new, added, *of_position = answer
    return Accepted(position(of_position), new), place(added) if added else BEGIN


def run(key: str, answer: Sequence[bytes]) -> Run:
    """Return a run (fn.answer_of in lua/runs.lua)."""
    run_id, topic, fence, runner, started_ms, status = (each.decode() for each in answer)
    return Run(key, run_id, topic, int(fence), runner, int(started_ms), cast(Status, status))


def end(value: bytes) -> End:
    """Return the end of a topic (lua/ends.lua)."""
    until_ms, kind_and_place, _, topics = value.split(b" ", 3)
    kind, stream_id = kind_and_place[:1], kind_and_place[1:]
    return End(Known(place(stream_id), _topics(topics), kind == b"-"), int(until_ms))


def unpacked(value: bytes) -> tuple[int, Record]:
    """Return a packed kept value (lua/packed.lua).

    Returns:
        In milliseconds until when it stays, 0 if for ever; and its record.
    """
    head, _, _ = value.partition(b"\n")
    until_ms, stream_id, _, *lengths = head.split(b" ")
    fields = []
    start = len(head) + 1
    for length in map(int, lengths):
        fields.append(value[start : start + length])
        start += length
    return int(until_ms), _record((stream_id, fields))


def _ms(seconds: float) -> int:
    """Return milliseconds; -1 if there is no limit."""
    return -1 if math.isinf(seconds) else math.ceil(seconds * 1000)


def _record(row: Any) -> Record:
    """Return the record of an entry.

    An entry that cannot be read becomes a gap for every stream, as does the entry that marks lost
    updates after an older history was restored (deploy/restore).
    """
    at = place(row[0])
    values = dict(zip(row[1][::2], row[1][1::2], strict=True))
    if b"lost" in values:
        return lost(at)
    try:
        return _readable(at, row[0], values)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        _complain(at, type(error).__name__)
        return lost(at)


def _check_form(form: bytes) -> None:
    if int(form) > int(_FORM):
        raise ValueError(f"an entry of the form {form!r}")


def _readable(at: Place, stream_id: bytes, values: dict[bytes, bytes]) -> Record:
    """Return the record of an entry that can be read; this is Update.at without the update."""
    _check_form(values.get(b"v", b"1"))
    topics = _topics(values[b"topics"])
    own_id = values.get(b"id")
    retry_ms = int(values[b"retry"]) if b"retry" in values else None
    wire_id = own_id or b"#" + stream_id
    body = encode_stored(values[b"data"], wire_id, values.get(b"type"), retry_ms)
    return Record(
        at,
        body,
        topics,
        values.get(b"private") == b"1",
        own_id.decode() if own_id else None,
        b"again" in values,
        int(values[b"end"]) if b"end" in values else None,
    )


def _topics(written: bytes) -> tuple[str, ...]:
    return _same_topics(written) if len(written) <= _SHARED_MOST_BYTES else _parsed(written)


def _parsed(written: bytes) -> tuple[str, ...]:
    topics = json.loads(written)
    if not isinstance(topics, list) or not topics:
        raise TypeError
    # This raises if one is not a string, or contains a lone surrogate, which would reach a client.
    "".join(topics).encode()
    return tuple(topics)


# Many updates have the same topics: they are parsed once, and the records share them.
_same_topics = lru_cache(maxsize=1024)(_parsed)


# The same entry is read many times; the cache makes each process log it once.
@lru_cache(maxsize=1024)
def _complain(place: Place, why: str) -> None:
    logger.error("an entry of the history cannot be read", extra={"place": str(place), "why": why})
