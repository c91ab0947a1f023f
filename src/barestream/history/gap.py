"""What clients are told where events are gone. Pure."""

import json

from barestream.history.record import Place, Record
from barestream.mercure.sse import Event, encode

GAP_TYPE = "barestream.gap"


def gap(seen: str | None, upto: Place, missed: int | None = None) -> Event:
    """Return the event that tells a client of a gap; its data is JSON.

    Args:
        seen: The id after which events are gone; None where it is not known.
        upto: The place up to which they are.
        missed: How many there were; None where nobody can know.
    """
    data = {"from": seen, "to": str(upto), "missed": missed}
    return Event(json.dumps(data), str(upto), GAP_TYPE)


def lost(upto: Place) -> Record:
    """Return what tells every stream that updates up to a place are gone; it has no topics."""
    return Record(upto, encode(gap(None, upto)), ())
