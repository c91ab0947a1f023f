"""The collector that spans are sent to, by OTLP over HTTP."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util import re as header_parser

logger = logging.getLogger(__name__)

# A collector is near the service and answers in milliseconds. Within this time the exporter also
# sends a batch again.
ANSWER_SECONDS = 3.0

# The exporter's own words quote the headers.
_NO_REQUEST = (
    "no request can be made of the spans, or of the headers that OTEL_EXPORTER_OTLP_HEADERS names"
)


class CollectorError(Exception):
    """The collector did not take spans; the message says why."""


class _WithoutHeaders(logging.Filter):
    """Says what is wrong with the collector's headers without them, as they may hold its key."""

    def filter(self, _record: logging.LogRecord) -> bool:
        logger.warning(
            "a part of OTEL_EXPORTER_OTLP_HEADERS is not sent: expected name=value, URL-encoded, "
            "with a comma before the next one"
        )
        return False


_without_headers = _WithoutHeaders()


class _Session(requests.Session):
    """Notes why a request failed: the exporter tells that only to its log.

    Attributes:
        why: Why the last one did; None if it did not.
    """

    why: str | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request."""
        # The exporter reckons with the wall clock, which may be set back meanwhile.
        options["timeout"] = min(options["timeout"], ANSWER_SECONDS)
        try:
            response = super().send(request, **options)
        except Exception as error:
            self.why = _innermost(error)
            raise
        self.why = None
        # The exporter takes each status below 400 for a success, and follows no redirect.
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            self.why = f"the collector answers {response.status_code} {response.reason}"
        return response


class Collector(SpanExporter):
    """Sends spans, and raises where that fails.

    Args:
        url: The URL that takes traces.
    """

    def __init__(self, url: str) -> None:
        logging.getLogger(header_parser.__name__).addFilter(_without_headers)
        self._session = _Session()
        self._exporter = trace_exporter.OTLPSpanExporter(
            url, timeout=ANSWER_SECONDS, session=self._session
        )
        # It logs each try of each batch.
        logging.getLogger(trace_exporter.__name__).disabled = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans.

        Raises:
            CollectorError: The collector did not take them.
        """
        self._session.why = None
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS or self._session.why is not None:
            raise CollectorError(self._session.why or _NO_REQUEST)
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _innermost(error: BaseException) -> str:
    """Return what the operating system says, without the names of the layers above."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
