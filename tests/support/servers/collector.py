"""A collector of traces: it takes them by OTLP over HTTP, as a real one does, and keeps them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.servers.http_server import http_server


@dataclass(frozen=True)
class Span:
    """A span, as it came.

    Attributes:
        worker: What identifies the process that made it.
        links: The trace and the span of each link.
    """

    name: str
    trace: str
    id: str
    parent: str
    worker: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]


class Collector:
    """What a collector has taken, and how it answers.

    Attributes:
        url: The URL that takes traces.
        spans: What has come.
        batches: How many requests came.
        status: The status of its answers.
        answers: Set while it answers at all.
    """

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.batches = 0
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run a collector on this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.batches += 1
            collector.answers.wait()
            if collector.status == 200 and self.path == "/v1/traces":
                collector.spans += _spans(ExportTraceServiceRequest.FromString(body))
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with http_server(Handler) as port:
        collector.url = f"http://127.0.0.1:{port}/v1/traces"
        try:
            yield collector
        finally:
            collector.answers.set()


def _spans(sent: ExportTraceServiceRequest) -> list[Span]:
    found = []
    for of_resource in sent.resource_spans:
        names = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            found += [
                Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    names["service.instance.id"],
                    names | _values(span.attributes),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                )
                for span in of_scope.spans
            ]
    return found


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
