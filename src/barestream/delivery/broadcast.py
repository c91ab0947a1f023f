"""One pass over the streams, with one write to each that wants some of the events. Pure."""

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence

from barestream.delivery.cursor import Label
from barestream.delivery.index import Index
from barestream.delivery.named import named
from barestream.delivery.stream import write_to_many
from barestream.delivery.subscriber import Subscriber
from barestream.history.record import Place, Record
from barestream.mercure.sse import frame
from barestream.mercure.time_budget import Budget

# The bodies of events, and the subscribers that get them; at least one.
_Part = tuple[Sequence[bytes], Sequence[Subscriber]]


class Broadcast:
    """Sends a batch of events to all live subscribers that want some of them.

    A subscriber that joins while it runs is not written to; one that leaves is no longer live.

    Args:
        records: The events, oldest first; at least one.
        index: The subscribers.
        start: The place of the live subscribers.
        budget: The slices of the work; its clock is that of the subscribers' streams.
        is_end: Returns whether an event is the last one of its first topic; None if no subscriber
            gets the topic of each event in its id.

    Attributes:
        end: The place of the live subscribers after it.
        sent_events: How many events were written, over all streams.
        sent_bytes: How many bytes.
    """

    def __init__(
        self,
        records: Sequence[Record],
        index: Index[Subscriber],
        start: Place,
        budget: Budget,
        is_end: Callable[[Record], bool] | None = None,
    ) -> None:
        self.records = records
        self.start = start
        self.end = records[-1].place
        self.sent_events = 0
        self.sent_bytes = 0
        self._index = index
        self._budget = budget
        self._is_end = is_end

    def steps(self) -> Iterator[None]:
        """Write to the subscribers; yield when the slice is over."""
        by_wish: dict[int, list[Subscriber]] = {}
        if self._is_of_one_kind:
            everything = (1 << len(self.records)) - 1
            by_wish[everything] = yield from self._wanting(self.records[0])
        else:
            wishes: dict[Subscriber, int] = {}
            for kind, numbers in self._kinds().items():
                for subscriber in (yield from self._wanting(self.records[kind])):
                    wishes[subscriber] = wishes.get(subscriber, 0) | numbers
                if self._budget.is_over():
                    yield
            for subscriber, numbers in wishes.items():
                by_wish.setdefault(numbers, []).append(subscriber)
        for numbers, subscribers in by_wish.items():
            if subscribers:
                yield from self._send(numbers, subscribers)

    def _send(self, numbers: int, subscribers: Sequence[Subscriber]) -> Iterator[None]:
        records = [record for n, record in enumerate(self.records) if numbers >> n & 1]
        parts: list[_Part] = [([record.body for record in records], subscribers)]
        if self._is_end is not None:
            each = [(record, self._is_end(record)) for record in records]
            parts = yield from self._parts(each, subscribers)
        span = (self.start, self.end)
        for bodies, members in parts:
            joined = frame(b"".join(bodies))
            sent = yield from write_to_many(members, joined, len(bodies), span, self._budget)
            self.sent_events += sent * len(bodies)
            self.sent_bytes += sent * len(joined.body)

    def _parts(
        self, each: Sequence[tuple[Record, bool]], subscribers: Sequence[Subscriber]
    ) -> Generator[None, None, list[_Part]]:
        """Divide the subscribers by the bytes that they get: those with the same ids share them.

        Args:
            each: The events, each with whether it is the last one of its first topic.
            subscribers: The subscribers, who want them.
        """
        # First by a key that takes less time than the label.
        by_keys: dict[tuple[Hashable, ...] | None, list[Subscriber]] = {}
        for subscriber in subscribers:
            subscription = subscriber.subscription
            key = subscription.label_key
            keys = tuple(key(record) for record, _ in each) if subscription.names_topics else None
            by_keys.setdefault(keys, []).append(subscriber)
            if self._budget.is_over():
                yield
        alike: dict[tuple[Label | None, ...] | None, list[Subscriber]] = {}
        for keys, members in by_keys.items():
            labels = None
            if keys is not None:
                wanted = members[0].subscription
                labels = tuple(wanted.label(record, is_end=end) for record, end in each)
            alike.setdefault(labels, []).extend(members)
            if self._budget.is_over():
                yield
        parts: list[_Part] = []
        for labels, members in alike.items():
            bodies = [record.body for record, _ in each]
            if labels is not None:
                bodies = [
                    named(record, label) for (record, _), label in zip(each, labels, strict=True)
                ]
            parts.append((bodies, members))
        return parts

    @property
    def _is_of_one_kind(self) -> bool:
        first = self.records[0]
        return all(
            record.topics == first.topics and record.private == first.private
            for record in self.records
        )

    def _kinds(self) -> dict[int, int]:
        """Group the events that the same subscribers get.

        Returns:
            For the number of the first event of each group, the numbers of all its events, as the
            bits of an integer.
        """
        firsts: dict[tuple[tuple[str, ...], bool], int] = {}
        kinds: dict[int, int] = {}
        for number, record in enumerate(self.records):
            first = firsts.setdefault((record.topics, record.private), number)
            kinds[first] = kinds.get(first, 0) | 1 << number
        return kinds

    def _wanting(self, record: Record) -> Generator[None, None, list[Subscriber]]:
        budget = self._budget
        subscribers = yield from self._index.wanting(record.topics, budget)
        if not record.private:
            return subscribers
        readers: list[Subscriber] = []
        for subscriber in subscribers:
            if (yield from subscriber.subscription.may_read(record, budget)):
                readers.append(subscriber)
            if budget.is_over():
                yield
        return readers
