"""An update in the history of one process. Pure."""

from typing import NamedTuple

from barestream.history.record import Record


class Entry(NamedTuple):
    """An update in the history of one process.

    Attributes:
        record: Its record.
        size_bytes: Its size (Update.size_bytes).
        digest: Distinguishes updates with the same id of a publisher; empty without such an id.
    """

    record: Record
    size_bytes: int
    digest: bytes
