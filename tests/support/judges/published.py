"""What was published, read back from what a history keeps of it."""

from barestream.history.record import Record
from barestream.history.update import Update
from barestream.mercure.sse import Event


def update_of(record: Record) -> Update:
    """Return the update that a record was made of."""
    fields: dict[str, list[str]] = {}
    for line in record.body.decode().removesuffix("\n\n").split("\n"):
        name, _, value = line.partition(": ")
        fields.setdefault(name, []).append(value)
    retry = fields.get("retry")
    event = Event(
        data="\n".join(fields["data"]),
        id=record.own_id,
        type=fields["event"][0] if "event" in fields else None,
        retry_ms=int(retry[0]) if retry else None,
    )
    return Update(record.topics, event, record.private)


def data_of(record: Record) -> str:
    """Return the data of a record's event."""
    return update_of(record).event.data


def id_of(record: Record) -> str:
    """Return the id that its readers see."""
    return record.own_id or str(record.place)
