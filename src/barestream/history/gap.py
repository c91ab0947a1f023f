"""Gaps: events that tell clients that updates are gone. Pure."""

import json

from barestream.history.record import Place, Record
from barestream.mercure.reserved import GAP_TYPE
from barestream.mercure.sse import Event, encode


def gap(seen: str | None, upto: Place, missed: int | None = None, cursor: object = None) -> Event:
    """Return the event of a gap; its data is JSON.

    Args:
        seen: The id after which events are gone; None if it is not known.
        upto: The place up to which they are gone.
        missed: How many there were; None if that is not known.
        cursor: Where the stream stands after the gap, as its client sends it back; None for the
            place up to which events are gone.
    """
    data = {"from": seen, "to": str(upto), "missed": missed}
    return Event(json.dumps(data), str(upto if cursor is None else cursor), GAP_TYPE)


def lost(upto: Place) -> Record:
    """Return the record of a gap for every stream, up to a place; it has no topics."""
    return Record(upto, encode(gap(None, upto)), ())
