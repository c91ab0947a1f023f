"""GET /metrics: the figures of all workers, for Prometheus.

nginx does not pass it on to clients. Without nginx only clients on this machine get it.
"""

import asyncio
from http import HTTPStatus
from ipaddress import ip_address

from bareasgi import HttpRequest, HttpResponse

from barestream.telemetry.metrics import CONTENT_TYPE, Metrics
from barestream.telemetry.metrics_folder import BusyFolderError
from barestream.web.answers import whole
from barestream.web.refusals import problem

# Adding up the counts of a worker that has ended takes milliseconds. If it still goes on after all
# of these tries, the process that does it is stopped.
_TRIES = 100
_TRY_SECONDS = 0.01


class Scrape:
    """The handler.

    Args:
        metrics: The figures.
        loopback_only: Whether clients of other machines get 404, by the address of the connection.
    """

    def __init__(self, metrics: Metrics, *, loopback_only: bool) -> None:
        self._metrics = metrics
        self._loopback_only = loopback_only

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the figures."""
        if self._loopback_only and not _is_loopback(request.scope.get("client")):
            return problem(HTTPStatus.NOT_FOUND, f"There is nothing at {request.scope['path']}.")
        text = await self._text()
        if text is None:
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The counts of a worker that ended are being added up; try again.",
            )
        return whole(CONTENT_TYPE, text)

    async def _text(self) -> bytes | None:
        for _ in range(_TRIES):
            try:
                return self._metrics.text()
            except BusyFolderError:
                await asyncio.sleep(_TRY_SECONDS)
        return None


def _is_loopback(client: tuple[str, int] | None) -> bool:
    if client is None:
        return False
    address = ip_address(client[0])
    # An IPv6 socket names an IPv4 client by a mapped address.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
