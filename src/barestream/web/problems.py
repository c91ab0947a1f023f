"""Errors as application/problem+json (RFC 9457)."""

import json
from collections.abc import Iterable
from http import HTTPStatus

from bareasgi import HttpResponse
from bareutils import bytes_writer


def problem(
    status: HTTPStatus, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> HttpResponse:
    """Return a response that says what is wrong, in words for the one who asked."""
    content = json.dumps(
        {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    ).encode()
    return HttpResponse(
        status,
        [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", b"no-store"),
            *headers,
        ],
        bytes_writer(content),
    )
