"""One pass over the streams: each is written to once, whatever there is for it. Pure."""

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from barestream.audience import Audience
from barestream.event_log import Place, Record
from barestream.frames import frame
from barestream.stream import Stream
from barestream.subscription import Subscription

# Writes between two looks at the time: some 0.2 ms, which a slice may be longer by.
STEP_WRITES = 16

# Looks at whether a stream may read a private event: as long.
STEP_READERS = 50


class Listener(Protocol):
    """Whoever may be written to in a broadcast.

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

    Attributes:
        end: Where they stand after it.
        sent_events: How many events were written, over all streams.
        sent_bytes: How many bytes.
    """

    def __init__(
        self, records: Sequence[Record], audience: Audience[Listener], start: Place
    ) -> None:
        self.records = records
        self.start = start
        self.end = records[-1].place
        self.sent_events = 0
        self.sent_bytes = 0
        self._audience = audience

    def steps(self) -> Iterator[None]:
        """Go through the listeners, a few at a time."""
        by_wish: dict[int, list[Listener]] = {}
        if self._is_of_one_kind:
            everything = (1 << len(self.records)) - 1
            by_wish[everything] = yield from self._wanting(self.records[0])
        else:
            wishes: dict[Listener, int] = {}
            for kind, numbers in self._kinds().items():
                for listener in (yield from self._wanting(self.records[kind])):
                    wishes[listener] = wishes.get(listener, 0) | numbers
                yield
            for listener, numbers in wishes.items():
                by_wish.setdefault(numbers, []).append(listener)
        for numbers, listeners in by_wish.items():
            yield from self._send(numbers, listeners)

    def _send(self, numbers: int, listeners: Sequence[Listener]) -> Iterator[None]:
        bodies = [record.body for n, record in enumerate(self.records) if numbers >> n & 1]
        joined = frame(b"".join(bodies))
        events, size_bytes, end = len(bodies), len(joined.body), self.end
        for first in range(0, len(listeners), STEP_WRITES):
            at = listeners[first].stream.now()
            sent = 0
            # What Stream.write does, without the calls: with them Python took as long again.
            for listener in listeners[first : first + STEP_WRITES]:
                stream = listener.stream
                if not listener.is_live or stream.end_reason is not None:
                    continue
                outlet = stream.outlet
                if outlet.paused:
                    listener.fall_behind(self.start)
                    continue
                listener.place = end
                outlet.write(joined)
                stream.written_at = at
                stream.sent_events += events
                stream.sent_bytes += size_bytes
                sent += 1
            self.sent_events += sent * events
            self.sent_bytes += sent * size_bytes
            yield

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
        listeners = yield from self._audience.wanting(record.topics)
        if not record.private:
            return listeners
        # Up to 5 us each, where the right is a template.
        readers: list[Listener] = []
        for first in range(0, len(listeners), STEP_READERS):
            some = listeners[first : first + STEP_READERS]
            readers.extend(each for each in some if each.subscription.may_read(record))
            yield
        return readers
