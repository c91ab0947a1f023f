"""What one stream wants, and what it may read. Pure."""

from dataclasses import dataclass

from barestream.event_log import Known, Record
from barestream.topics import Selectors


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events a stream gets.

    Attributes:
        topics: It wants the events that have one of these.
        readable: Of the private ones it gets those that have one of these too.
    """

    topics: Selectors
    readable: Selectors

    def may_read(self, record: Record | Known) -> bool:
        """Return whether the event is public, or one that the bearer has the right to."""
        return not record.private or self.readable.match_any(record.topics)

    def covers(self, record: Record) -> bool:
        """Return whether the stream gets the event."""
        is_wanted = not record.topics or self.topics.match_any(record.topics)
        return is_wanted and self.may_read(record)


EVERYTHING_PUBLIC = Subscription(Selectors(["*"]), Selectors(()))
