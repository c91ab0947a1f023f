"""The body of an error, as application/problem+json (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

CONTENT_TYPE = b"application/problem+json"


def content(status: HTTPStatus, detail: str, members: Mapping[str, object] | None = None) -> bytes:
    """Return the body; the detail tells the client what is wrong, further members what more is."""
    usual = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    return json.dumps({**usual, **(members or {})}).encode()
