"""One pass over the streams: each is written to once, whatever there is for it. Pure."""

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from barestream.delivery.index import Audience
from barestream.delivery.stream import Stream
from barestream.delivery.subscription import Subscription
from barestream.history.record import Place, Record
from barestream.mercure.budget import Budget
from barestream.mercure.sse import frame


class Listener(Protocol):
    """A stream that a broadcast may write to.

    Attributes:
        is_live: Whether it has had everything up to the broadcast's start, and nothing after it.
        place: Up to where it has been sent the log, once it was written to.
    """

    is_live: bool
    place: Place
    stream: Stream
    subscription: Subscription

    def __hash__(self) -> int:
        """Return what tells it from others."""

    def fall_behind(self, place: Place) -> None:
        """Go on from this place later: the client takes less than it is sent."""


class Broadcast:
    """Sends a batch of events to all that want some of them, and are live.

    Who comes while it runs is none of its listeners, and who leaves is not live any more.

    Args:
        records: The events, oldest first; at least one.
        audience: The listeners.
        start: Where the live listeners stand.
        budget: The slices that it takes; by the clock of the listeners' streams.

    Attributes:
        end: Where they stand after it.
        sent_events: How many events were written, over all streams.
        sent_bytes: How many bytes.
    """

    def __init__(
        self,
        records: Sequence[Record],
        audience: Audience[Listener],
        start: Place,
        budget: Budget,
    ) -> None:
        self.records = records
        self.start = start
        self.end = records[-1].place
        self.sent_events = 0
        self.sent_bytes = 0
        self._audience = audience
        self._budget = budget

    def steps(self) -> Iterator[None]:
        """Go through the listeners; yield where the slice is over."""
        by_wish: dict[int, list[Listener]] = {}
        if self._is_of_one_kind:
            everything = (1 << len(self.records)) - 1
            by_wish[everything] = yield from self._wanting(self.records[0])
        else:
            wishes: dict[Listener, int] = {}
            for kind, numbers in self._kinds().items():
                for listener in (yield from self._wanting(self.records[kind])):
                    wishes[listener] = wishes.get(listener, 0) | numbers
                if self._budget.is_over():
                    yield
            for listener, numbers in wishes.items():
                by_wish.setdefault(numbers, []).append(listener)
        for numbers, listeners in by_wish.items():
            if listeners:
                yield from self._send(numbers, listeners)

    def _send(self, numbers: int, listeners: Sequence[Listener]) -> Iterator[None]:
        bodies = [record.body for n, record in enumerate(self.records) if numbers >> n & 1]
        joined = frame(b"".join(bodies))
        events, size_bytes, end = len(bodies), len(joined.body), self.end
        sent = 0
        now = listeners[0].stream.now
        ends_at = self._budget.begin()
        # What Stream.write and Budget.is_over do, without the calls: with them Python took as long
        # again.
        for listener in listeners:
            stream = listener.stream
            if not listener.is_live or stream.end_reason is not None:
                continue
            outlet = stream.outlet
            if outlet.paused:
                listener.fall_behind(self.start)
                continue
            listener.place = end
            is_written = outlet.write(joined)
            at = now()
            if is_written:
                stream.written_at = at
                stream.sent_events += events
                stream.sent_bytes += size_bytes
                sent += 1
            if at >= ends_at:
                yield
                ends_at = self._budget.begin()
        self.sent_events += sent * events
        self.sent_bytes += sent * size_bytes

    @property
    def _is_of_one_kind(self) -> bool:
        first = self.records[0]
        return all(
            record.topics == first.topics and record.private == first.private
            for record in self.records
        )

    def _kinds(self) -> dict[int, int]:
        """Return for the first of all events that the same listeners get, which these are.

        Both as numbers of events: the one plain, the others as the bits of an integer.
        """
        firsts: dict[tuple[tuple[str, ...], bool], int] = {}
        kinds: dict[int, int] = {}
        for number, record in enumerate(self.records):
            first = firsts.setdefault((record.topics, record.private), number)
            kinds[first] = kinds.get(first, 0) | 1 << number
        return kinds

    def _wanting(self, record: Record) -> Generator[None, None, list[Listener]]:
        budget = self._budget
        listeners = yield from self._audience.wanting(record.topics, budget)
        if not record.private:
            return listeners
        readers: list[Listener] = []
        for listener in listeners:
            if (yield from listener.subscription.may_read(record, budget)):
                readers.append(listener)
            if budget.is_over():
                yield
        return readers
