"""The body of an error, as application/problem+json (RFC 9457)."""

import json
from http import HTTPStatus

CONTENT_TYPE = b"application/problem+json"


def content(status: HTTPStatus, detail: str) -> bytes:
    """Return the body; the detail tells the client what is wrong."""
    return json.dumps(
        {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    ).encode()
