"""Answers that are whole."""

from collections.abc import Iterable
from http import HTTPStatus

from bareasgi import HttpResponse

from barestream.web.whole_body import WholeBody

UNSTORED = (b"cache-control", b"no-store")


def whole(
    content_type: bytes,
    body: bytes,
    *,
    status: int = HTTPStatus.OK,
    headers: Iterable[tuple[bytes, bytes]] = (UNSTORED,),
) -> HttpResponse:
    """Return an answer with a body.

    Args:
        content_type: Its type.
        body: The body.
        status: The status.
        headers: Headers beside its type and length; by default no cache stores it.
    """
    size = (b"content-length", b"%d" % len(body))
    return HttpResponse(status, [(b"content-type", content_type), size, *headers], WholeBody(body))


def no_content() -> HttpResponse:
    """Return an answer without a body, which no cache stores; it stops an EventSource."""
    return HttpResponse(HTTPStatus.NO_CONTENT, [UNSTORED])
