"""Updates that carry the trace context of their publish. Pure.

Only these have it: with traces off, no update takes memory or time for them.
"""

from dataclasses import dataclass, fields
from typing import Self

from barestream.history.record import Place, Record
from barestream.history.update import Update


class TracedRecord(Record):
    """A record with the trace context of its publish.

    Attributes:
        trace: The context, in the form of a traceparent header (W3C Trace Context).
    """

    trace: str

    @classmethod
    def of(cls, record: Record, trace: str) -> Self:
        """Return the record with a trace context."""
        traced = cls(*record)
        traced.trace = trace
        return traced


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedUpdate(Update):
    """An update with the trace context of its publish.

    Attributes:
        trace: See TracedRecord.
    """

    trace: str

    @classmethod
    def of(cls, update: Update, trace: str) -> Self:
        """Return the update with a trace context."""
        parts = {each.name: getattr(update, each.name) for each in fields(update)}
        return cls(**parts | {"trace": trace})

    def at(self, place: Place, repeats: bool = False) -> Record:
        """Return its record at a place (see Update), with the trace context."""
        return TracedRecord.of(Update.at(self, place, repeats), self.trace)
