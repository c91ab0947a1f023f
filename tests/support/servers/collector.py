"""A collector of traces: it takes them by OTLP over HTTP, as a real one does, and keeps them."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


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


class TraceCollector:
    """Listens on a port of this machine while its context lasts.

    Args:
        port: The port; 0 for a free one.

    Attributes:
        spans: What has come.
        batches: How many requests came.
        status: The status of its answers.
        answers: Set while it answers at all.
    """

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.batches = 0
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        collector = self

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

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The URL that takes traces."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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
