"""How updates with a trace context are written to Valkey and read back.

The context is in the field ``trace`` of an entry, which a worker without traces does not read.
"""

from collections.abc import Sequence
from typing import Any

from barestream.history.record import Record
from barestream.history.traced import TracedRecord, TracedUpdate
from barestream.history.update import Update
from barestream.history.valkey import codec
from barestream.history.valkey.coding import Coding

_TRACE = b"trace"


def _arguments(update: Update) -> list[bytes]:
    if not isinstance(update, TracedUpdate):
        return codec.arguments(update)
    _, *plain = codec.arguments(update)
    arguments = [*plain, _TRACE, update.trace.encode()]
    return [b"%d" % len(arguments), *arguments]


def _records(rows: Sequence[Any]) -> list[Record]:
    records = codec.records(rows)
    traces = {}
    for stream_id, written in rows:
        # Names and values take turns.
        if _TRACE in written[::2]:
            values = dict(zip(written[::2], written[1::2], strict=True))
            traces[codec.place(stream_id)] = values[_TRACE].decode(errors="replace")
    if not traces:
        return records
    return [
        TracedRecord.of(record, traces[record.place]) if record.place in traces else record
        for record in records
    ]


TRACED = Coding(_arguments, _records)
