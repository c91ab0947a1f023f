"""The spans of deliveries: one for each broadcast of a traced publish, not one for each stream."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any

from opentelemetry.trace import Link, SpanKind, Tracer, get_current_span

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.subscriber import Subscriber
from barestream.history.record import Record
from barestream.history.traced import TracedRecord
from barestream.traces import context


def broadcasts(tracer: Tracer) -> Callable[..., Broadcast]:
    """Return what makes the broadcasts of a feed; one with traced events makes spans."""

    def make(records: Sequence[Record], *arguments: Any) -> Broadcast:
        if any(isinstance(record, TracedRecord) for record in records):
            return _TracedBroadcast(tracer, records, *arguments)
        return Broadcast(records, *arguments)

    return make


@dataclass(slots=True)
class _Publish:
    """A traced publish in a broadcast.

    Attributes:
        first: The first of its events.
        numbers: The numbers of its events, as the bits of an integer.
        streams: To how many streams some of them were written.
    """

    first: TracedRecord
    numbers: int = 0
    streams: int = 0


class _TracedBroadcast(Broadcast):
    """A broadcast with the events of traced publishes.

    A burst may have a thousand of them, so no step takes longer for each further one. Their spans
    are made after the events are written, which wait for none of them.

    Args:
        tracer: Makes the spans.
        records, arguments: See Broadcast.
    """

    def __init__(self, tracer: Tracer, records: Sequence[Record], *arguments: Any) -> None:
        super().__init__(records, *arguments)
        self._tracer = tracer
        # By their trace contexts.
        self._publishes: dict[str, _Publish] = {}
        # By the numbers of their events, which the bits are.
        self._publish_of: dict[int, _Publish] = {}
        self._traced = 0
        for number, record in enumerate(records):
            if isinstance(record, TracedRecord):
                publish = self._publishes.setdefault(record.trace, _Publish(record))
                publish.numbers |= 1 << number
                self._publish_of[number] = publish
                self._traced |= 1 << number

    def steps(self) -> Iterator[None]:
        """Write to the subscribers (see Broadcast)."""
        began_at_ns = time_ns()
        yield from super().steps()
        ended_at_ns = time_ns()
        for publish in self._publishes.values():
            self._tell(publish, began_at_ns, ended_at_ns)
            if self._budget.is_over():
                yield

    def _tell(self, publish: _Publish, began_at_ns: int, ended_at_ns: int) -> None:
        """Make the span of a publish."""
        parent = context.of_trace(publish.first.trace)
        if parent is None:
            return
        self._tracer.start_span(
            "deliver",
            # A consumer of messages has the link. It has the parent too, so that the trace of a
            # publish shows the deliveries of all workers, and that they are sampled as it is.
            parent,
            kind=SpanKind.CONSUMER,
            links=[Link(get_current_span(parent).get_span_context())],
            attributes={
                "barestream.update.id": publish.first.own_id or str(publish.first.place),
                "barestream.updates": publish.numbers.bit_count(),
                "barestream.streams": publish.streams,
            },
            start_time=began_at_ns,
        ).end(ended_at_ns)

    def _send(self, numbers: int, subscribers: Sequence[Subscriber]) -> Iterator[None]:
        before = self.sent_events
        yield from super()._send(numbers, subscribers)
        # Each of these streams gets all of these events, and no others.
        streams = (self.sent_events - before) // numbers.bit_count()
        left = numbers & self._traced
        while left:
            publish = self._publish_of[left.bit_length() - 1]
            publish.streams += streams
            left &= ~publish.numbers
            if self._budget.is_over():
                yield
