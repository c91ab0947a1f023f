"""GET /metrics: the figures of all workers, for Prometheus.

nginx does not pass it on to clients. Without nginx only clients on this machine get it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import TypeVar

from bareasgi import HttpRequest, HttpResponse

from barestream.telemetry.metrics import CONTENT_TYPE, Metrics
from barestream.telemetry.metrics_folder import BusyFolderError
from barestream.web.answers import whole
from barestream.web.refusals import RETRY_AFTER, Refused, problem

# Adding up the counts of a worker that has ended takes milliseconds. If it still goes on after all
# of these tries, the process that does it is stopped.
_TRIES = 100
_TRY_SECONDS = 0.01

_Read = TypeVar("_Read")


async def patiently(read: Callable[[], Awaitable[_Read]]) -> _Read:
    """Return what is read of the figures of all processes, once their folder is not busy.

    Raises:
        Refused: 503, if it stays busy.
    """
    for _ in range(_TRIES):
        try:
            return await read()
        except BusyFolderError:
            await asyncio.sleep(_TRY_SECONDS)
    raise Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The counts of a worker that ended are being added up; try again.",
        [RETRY_AFTER],
    )


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
        try:
            return whole(CONTENT_TYPE, await patiently(self._text))
        except Refused as refused:
            return refused.response()

    async def _text(self) -> bytes:
        return self._metrics.text()


def _is_loopback(client: tuple[str, int] | None) -> bool:
    if client is None:
        return False
    address = ip_address(client[0])
    # An IPv6 socket names an IPv4 client by a mapped address.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
