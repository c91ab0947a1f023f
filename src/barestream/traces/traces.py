"""The traces of a worker."""

from collections.abc import Callable, Mapping

from bareasgi import HttpRequestCallback
from opentelemetry.sdk.trace.export import SpanExporter

from barestream.telemetry.metrics import Metrics
from barestream.traces.collector import Collector
from barestream.traces.delivering import broadcasts
from barestream.traces.outcomes import Outcomes
from barestream.traces.publishing import TracedPublish
from barestream.traces.spans import MOST_WAITING_SPANS, Spans
from barestream.web.publish import Keeper


class Traces:
    """Traces publishes, and the broadcasts that deliver their updates.

    Args:
        exporter: Sends spans (see Spans); or the URL of a collector.
        ratio: Which share of the publishes is traced.
        names: What identifies the worker (see Spans).
        metrics: Where spans are counted.

    Attributes:
        broadcasts: Makes the broadcasts of a feed (see delivering.py).
    """

    def __init__(
        self,
        exporter: SpanExporter | str,
        ratio: float,
        names: Mapping[str, str],
        metrics: Metrics,
    ) -> None:
        sending = Collector(exporter) if isinstance(exporter, str) else exporter
        self._spans = Spans(sending, Outcomes(metrics, MOST_WAITING_SPANS), names)
        self._ratio = ratio
        self.broadcasts = broadcasts(self._spans.tracer)

    def publishing(
        self, keeper: Keeper, make: Callable[[Keeper], HttpRequestCallback]
    ) -> HttpRequestCallback:
        """Return the handler of publishes (see TracedPublish)."""
        return TracedPublish(self._spans.tracer, self._ratio, keeper, make)

    async def settle(self) -> None:
        """Send the last spans (see Spans)."""
        await self._spans.settle()
