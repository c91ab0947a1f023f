"""Makes spans, and has a thread send them."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace import Tracer

from barestream.traces.outcomes import Outcomes

# They take 6 MB, and are those of some 500 traced publishes.
MOST_WAITING_SPANS = 2048
MOST_SPANS_SENT = 512

# A trace can be looked at a second after it was made.
SEND_EACH_MS = 1000

# How long a worker that ends waits for its last spans: a fraction of the second that Gunicorn
# allows for its exit.
SETTLE_SECONDS = 0.5
_POLL_SECONDS = 0.01


class _Queue(BatchSpanProcessor):
    """Refuses a span for which there is no room; the library would drop an older one in silence."""

    def __init__(self, exporter: SpanExporter, outcomes: Outcomes) -> None:
        super().__init__(
            _Noted(exporter, outcomes),
            max_queue_size=MOST_WAITING_SPANS,
            schedule_delay_millis=SEND_EACH_MS,
            max_export_batch_size=MOST_SPANS_SENT,
        )
        self._outcomes = outcomes

    def on_end(self, span: ReadableSpan) -> None:
        if self._outcomes.take():
            super().on_end(span)


class _Noted(SpanExporter):
    """Notes what becomes of the spans that an exporter sends."""

    def __init__(self, exporter: SpanExporter, outcomes: Outcomes) -> None:
        self._exporter = exporter
        self._outcomes = outcomes

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        why = None
        try:
            self._exporter.export(spans)
        except Exception as error:
            why = str(error) or type(error).__name__
        self._outcomes.note(len(spans), why)
        return SpanExportResult.SUCCESS if why is None else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Spans:
    """The tracer of a worker.

    Args:
        exporter: Sends spans; it raises where that fails.
        outcomes: Noted what becomes of them.
        names: What identifies the worker, as attributes of a resource; those of
            OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME have precedence.

    Attributes:
        tracer: Makes spans.
    """

    def __init__(
        self, exporter: SpanExporter, outcomes: Outcomes, names: Mapping[str, str]
    ) -> None:
        self._provider = TracerProvider(
            # Where a trace begins here, the publish has been chosen already.
            DEFAULT_ON,
            Resource.create(names).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._outcomes = outcomes
        self._provider.add_span_processor(_Queue(exporter, outcomes))
        self.tracer: Tracer = self._provider.get_tracer("barestream")

    async def settle(self) -> None:
        """Send the last spans, if the collector takes them in time."""
        # A daemon, so that a collector that does not answer does not hold up the process's end.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        ends_at = time.monotonic() + SETTLE_SECONDS
        while sending.is_alive() and time.monotonic() < ends_at:
            await asyncio.sleep(_POLL_SECONDS)
        self._outcomes.end()
