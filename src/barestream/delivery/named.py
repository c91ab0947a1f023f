"""Events for clients that ask for the topic of each event, or whose rewind is not over. Pure."""

from barestream.delivery.cursor import Cursor
from barestream.delivery.subscription import Subscription
from barestream.history.record import Record

_ID = b"\nid: "


def named(
    record: Record,
    subscription: Subscription,
    cursor: Cursor | None = None,
    *,
    is_end: bool = False,
) -> bytes:
    """Return an event's bytes with the id that this client gets.

    Args:
        record: The event.
        subscription: The client's subscription; it wants the event.
        cursor: Where the stream stands after the event; None for the event's own place.
        is_end: Whether it is the last event of its first topic.
    """
    at = cursor or Cursor(record.place)
    label = subscription.label(record, is_end=is_end) if subscription.names_topics else None
    given_id = str(at) if label is None else at.naming(record.place, label, record.own_id)
    # The id is the last field, and contains no line end.
    stem = record.body[: record.body.rindex(_ID)]
    return b"%b%b%b\n\n" % (stem, _ID, given_id.encode())
