"""Events for clients that ask for the topic of each event, or whose rewind is not over. Pure."""

from barestream.delivery.cursor import Cursor, Label
from barestream.history.record import Record

_ID = b"\nid: "


def named(record: Record, label: Label | None, cursor: Cursor | None = None) -> bytes:
    """Return an event's bytes with the id that this client gets.

    Args:
        record: The event.
        label: What its id says of its topics (see Subscription.label).
        cursor: Where the stream stands after the event; None for the event's own place.
    """
    at = cursor or Cursor(record.place)
    given_id = str(at) if label is None else at.naming(record.place, label, record.own_id)
    # The id is the last field, and contains no line end.
    stem = record.body[: record.body.rindex(_ID)]
    return b"%b%b%b\n\n" % (stem, _ID, given_id.encode())
