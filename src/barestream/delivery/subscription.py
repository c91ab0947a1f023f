"""The subscription of a stream: the topics that it wants, and those that it may read. Pure."""

from collections.abc import Generator
from dataclasses import dataclass

from barestream.history.record import Known, Record
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import Budget


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events a stream gets.

    Attributes:
        topics: It wants the events with one of these topics.
        readable: It gets a private event only if the event also has one of these topics.
    """

    topics: Selectors
    readable: Selectors

    def may_read(self, record: Record | Known, budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether the bearer may read the event."""
        return not record.private or (yield from self.readable.matching_any(record.topics, budget))

    def covers(self, record: Record, budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether the stream gets the event."""
        if record.topics and not (yield from self.topics.matching_any(record.topics, budget)):
            return False
        return (yield from self.may_read(record, budget))


EVERYTHING_PUBLIC = Subscription(Selectors(["*"]), Selectors(()))
