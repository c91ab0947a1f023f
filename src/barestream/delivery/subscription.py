"""The subscription of a stream: the topics that it wants, and those that it may read. Pure."""

from collections.abc import Generator, Hashable
from dataclasses import dataclass, field

from barestream.delivery.cursor import Label
from barestream.delivery.numbering import Numbering
from barestream.history.record import Known, Record
from barestream.history.topic_state import Reader
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import UNBOUNDED, Budget, at_once


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events a stream gets.

    Attributes:
        topics: It wants the events with one of these topics.
        readable: It gets a private event only if the event also has one of these topics.
        names_topics: Whether the id of each event has the topic that the stream wants it for.
        numbering: The numbers of its request's topics, if each id has those that matched, too.
    """

    topics: Selectors
    readable: Selectors
    names_topics: bool = False
    numbering: Numbering | None = None
    _reader: Reader | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def reader(self) -> Reader:
        """What a history has to know of the stream's client."""
        return at_once(self.finding_reader(UNBOUNDED))

    @property
    def has_reader(self) -> bool:
        """Whether the reader was found already."""
        return self._reader is not None

    def finding_reader(self, budget: Budget) -> Generator[None, None, Reader]:
        """Find out, in the budget's slices, what a history has to know of the stream's client.

        A token's patterns are tried for each topic once; the result stays.
        """
        if self._reader is None:
            # The object counts as unchanged: this follows from its other attributes.
            object.__setattr__(self, "_reader", (yield from self._find_reader(budget)))
            assert self._reader is not None  # noqa: S101 (it was set)
        return self._reader

    @property
    def has_rights(self) -> bool:
        """Whether the bearer may read any private updates."""
        return not self.readable.is_empty

    def finding_covered(self, budget: Budget) -> Generator[None, None, frozenset[str]]:
        """Find the exact topics all of whose private updates the bearer may read, in slices."""
        covered: set[str] = set()
        for topic in self.topics.exact if self.has_rights else ():
            if (yield from self.readable.matching_any((topic,), budget)):
                covered.add(topic)
        return frozenset(covered)

    def _find_reader(self, budget: Budget) -> Generator[None, None, Reader]:
        if not self.topics.is_exact:
            return Reader(None, has_rights=self.has_rights)
        covered = yield from self.finding_covered(budget)
        # Streams of the same topics share what is read for one of them.
        return Reader(tuple(sorted(self.topics.exact)), covered, self.has_rights)

    def label(self, record: Record, *, is_end: bool) -> Label | None:
        """Return what the id of an event says of its topics; None for nothing.

        Args:
            record: The event; the stream wants it.
            is_end: Whether it is the last one of its first topic.
        """
        if not self.names_topics:
            return None
        if self.numbering is None:
            topic = next(filter(self.topics.match, record.topics), None)
            return None if topic is None else Label(topic)
        found = self.numbering.matching(record.topics)
        if found is None:
            return None
        return Label(*found, is_end=is_end and record.topics[0] in self.topics.exact)

    def label_key(self, record: Record) -> Hashable:
        """Return a key: subscriptions with the same one give an event the same label."""
        if self.numbering is None:
            return self.label(record, is_end=False)
        return self.numbering.key(record.topics)

    def may_read(self, record: Record | Known, budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether the bearer may read the event."""
        return not record.private or (yield from self.readable.matching_any(record.topics, budget))

    def covers(self, record: Record, budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether the stream gets the event."""
        if record.topics and not (yield from self.topics.matching_any(record.topics, budget)):
            return False
        return (yield from self.may_read(record, budget))


EVERYTHING_PUBLIC = Subscription(Selectors(["*"]), Selectors(()))
