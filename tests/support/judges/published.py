"""The published update, read back from its record."""

from barestream.history.record import Record
from barestream.history.update import Update
from barestream.mercure.sse import Event
from support.clients.event_parser import EventParser


def update_of(record: Record) -> Update:
    """Return the update that a record was made of."""
    [parsed] = EventParser().feed(record.body)
    kind = None if parsed.type == "message" else parsed.type
    event = Event(parsed.data, record.own_id, kind, parsed.retry_ms)
    return Update(record.topics, event, record.private)


def data_of(record: Record) -> str:
    """Return the data of a record's event."""
    return update_of(record).event.data


def id_of(record: Record) -> str:
    """Return the id that its readers see."""
    return record.own_id or str(record.place)
