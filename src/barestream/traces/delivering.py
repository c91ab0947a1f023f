"""The spans of deliveries: one for each broadcast of a traced publish, not one for each stream."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer, get_current_span

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.subscriber import Subscriber
from barestream.history.record import Record
from barestream.history.traced import TracedRecord
from barestream.traces import context


def broadcasts(tracer: Tracer) -> Callable[..., Broadcast]:
    """Return what makes the broadcasts of a feed; one with traced events makes spans."""

    def make(records: Sequence[Record], *arguments: Any) -> Broadcast:
        traces: dict[str, int] = {}
        for number, record in enumerate(records):
            if isinstance(record, TracedRecord):
                traces[record.trace] = traces.get(record.trace, 0) | 1 << number
        publishes = [
            _Publish(found, numbers)
            for trace, numbers in traces.items()
            if (found := context.of_trace(trace)) is not None
        ]
        if not publishes:
            return Broadcast(records, *arguments)
        return _TracedBroadcast(tracer, publishes, records, *arguments)

    return make


@dataclass(slots=True)
class _Publish:
    """A traced publish in a broadcast.

    Attributes:
        context: Its trace context.
        numbers: The numbers of its events, as the bits of an integer.
        streams: To how many streams some of them were written.
    """

    context: Context
    numbers: int
    streams: int = 0


class _TracedBroadcast(Broadcast):
    """A broadcast with the events of traced publishes.

    Args:
        tracer: Makes the spans.
        publishes: The traced publishes.
        records, arguments: See Broadcast.
    """

    def __init__(
        self,
        tracer: Tracer,
        publishes: Sequence[_Publish],
        records: Sequence[Record],
        *arguments: Any,
    ) -> None:
        super().__init__(records, *arguments)
        self._tracer = tracer
        self._publishes = publishes

    def steps(self) -> Iterator[None]:
        """Write to the subscribers (see Broadcast)."""
        spans = [self._begun(publish) for publish in self._publishes]
        yield from super().steps()
        for publish, span in zip(self._publishes, spans, strict=True):
            span.set_attribute("barestream.streams", publish.streams)
            span.end()

    def _begun(self, publish: _Publish) -> Span:
        numbers = publish.numbers
        records = [record for n, record in enumerate(self.records) if numbers >> n & 1]
        first = records[0]
        return self._tracer.start_span(
            "deliver",
            # A consumer of messages has the link. It has the parent too, so that the trace of a
            # publish shows the deliveries of all workers, and that they are sampled as it is.
            publish.context,
            kind=SpanKind.CONSUMER,
            links=[Link(get_current_span(publish.context).get_span_context())],
            attributes={
                "barestream.update.id": first.own_id or str(first.place),
                "barestream.updates": len(records),
            },
        )

    def _send(self, numbers: int, subscribers: Sequence[Subscriber]) -> Iterator[None]:
        before = self.sent_events
        yield from super()._send(numbers, subscribers)
        # Each of these streams gets all of these events, and no others.
        streams = (self.sent_events - before) // numbers.bit_count()
        for publish in self._publishes:
            if publish.numbers & numbers:
                publish.streams += streams
