"""Gaps: events that tell clients that updates are gone. Pure."""

import json

from barestream.history.record import Place, Record
from barestream.mercure.sse import Event, encode

GAP_TYPE = "barestream.gap"


def gap(seen: str | None, upto: Place, missed: int | None = None) -> Event:
    """Return the event of a gap; its data is JSON.

    Args:
        seen: The id after which events are gone; None if it is not known.
        upto: The place up to which they are gone.
        missed: How many there were; None if that is not known.
    """
    data = {"from": seen, "to": str(upto), "missed": missed}
    return Event(json.dumps(data), str(upto), GAP_TYPE)


def lost(upto: Place) -> Record:
    """Return the record of a gap for every stream, up to a place; it has no topics."""
    return Record(upto, encode(gap(None, upto)), ())
