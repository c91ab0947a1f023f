"""GET /metrics: the figures of all workers, for Prometheus; nginx keeps it inside."""

from bareasgi import HttpRequest, HttpResponse
from bareutils import bytes_writer

from barestream.metrics import CONTENT_TYPE, Metrics


class Scrape:
    """The handler."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the figures."""
        text = self._metrics.text()
        return HttpResponse(
            200,
            [
                (b"content-type", CONTENT_TYPE),
                (b"content-length", b"%d" % len(text)),
                (b"cache-control", b"no-store"),
            ],
            bytes_writer(text),
        )
