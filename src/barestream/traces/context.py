"""The trace context of a request and of an update (W3C Trace Context)."""

from bareasgi import HttpRequest
from opentelemetry.context import Context
from opentelemetry.trace import Span, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from barestream.web.request_headers import header_value

_HEADERS = TraceContextTextMapPropagator()
_TRACEPARENT = "traceparent"
_NAMES = (_TRACEPARENT, "tracestate")


def of_request(request: HttpRequest) -> Context | None:
    """Return the context that the headers of a request name; None if they name none."""
    named = {name: header_value(request, name.encode()) for name in _NAMES}
    if not named[_TRACEPARENT]:
        return None
    return _named_by({name: value.decode("latin-1") for name, value in named.items() if value})


def below(span: Span) -> Context:
    """Return the context of the children of a span."""
    return set_span_in_context(span, Context())


def trace_of(span: Span) -> str:
    """Return the trace context of a span, as its updates have it (see TracedRecord)."""
    headers: dict[str, str] = {}
    _HEADERS.inject(headers, below(span))
    return headers[_TRACEPARENT]


def of_trace(trace: str) -> Context | None:
    """Return the context that an update has; None if it cannot be read.

    Args:
        trace: As trace_of returns it.
    """
    return _named_by({_TRACEPARENT: trace})


def _named_by(headers: dict[str, str]) -> Context | None:
    found = _HEADERS.extract(headers, Context())
    return found if get_current_span(found).get_span_context().is_valid else None
