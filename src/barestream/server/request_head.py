"""Limits and checks of a request's head.

Source: RFC 9112, sections 3.2 (Host) and 6.3 (the length of a body). The parser itself
refuses other ambiguous heads, such as two Content-Length or one beside Transfer-Encoding.
"""

from collections.abc import Iterable
from http import HTTPStatus
from itertools import chain

# nginx has the same limits, so that a client meets them with nginx and without it:
# large_client_header_buffers 4 32k, each line of a head in one of them (1 128k with TLS; then only
# this module limits the target). A stream names its topics in its target: 100 topics with 90
# characters each, percent-encoded, take 28 KB.
MOST_TARGET_BYTES = 32 * 1024
MOST_HEAD_BYTES = 128 * 1024

# How much of an unfinished head is held: a whole head, and the fields that nginx adds.
MOST_UNPARSED_BYTES = MOST_HEAD_BYTES + 8 * 1024

# The size of the request line without its target, and of a field without name and value.
_LINE_BYTES = 32
_FIELD_BYTES = 4


class RequestRefusedError(Exception):
    """A request that the server itself refuses.

    Args:
        status: The status of the answer.
        detail: What is wrong, for the client.
    """

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def target_too_long() -> RequestRefusedError:
    """Return the refusal of a target that is too long."""
    return RequestRefusedError(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        f"The request's target is longer than {MOST_TARGET_BYTES} bytes.",
    )


def head_too_large() -> RequestRefusedError:
    """Return the refusal of a head that is too large."""
    return RequestRefusedError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"The request's head is larger than {MOST_HEAD_BYTES} bytes.",
    )


def check(
    version: str, target: bytes, fields: list[tuple[bytes, bytes]], *, is_behind_nginx: bool
) -> bool:
    """Return whether a body follows this head.

    nginx has checked a head's size and its Host before it adds fields of its own, and it sends a
    request of HTTP/1.0 without Host as HTTP/1.1. So neither is checked again behind nginx.

    Args:
        version: The version of HTTP, such as 1.1.
        target: The target as it was sent.
        fields: Names in lower case, and values.
        is_behind_nginx: Whether nginx sent the request.

    Raises:
        RequestRefusedError: The head is too large, or ambiguous.
    """
    if not is_behind_nginx:
        size = len(target) + sum(map(len, chain.from_iterable(fields)))
        if size + _LINE_BYTES + _FIELD_BYTES * len(fields) > MOST_HEAD_BYTES:
            raise head_too_large()
    hosts = 0
    has_body = False
    for name, value in fields:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            has_body = value.strip(b"0") != b""
        elif name == b"transfer-encoding":
            if version == "1.0" or value.strip().lower() != b"chunked":
                raise _bad_request("Transfer-Encoding: expected chunked, and HTTP/1.1.")
            has_body = True
    if is_behind_nginx:
        return has_body
    if hosts > 1 or (hosts == 0 and version not in _WITHOUT_HOST):
        raise _bad_request(f"The request has {hosts} Host headers; HTTP/1.1 requires exactly one.")
    return has_body


# Before HTTP/1.1 a request needed no Host.
_WITHOUT_HOST: Iterable[str] = ("1.0", "0.9")


def _bad_request(detail: str) -> RequestRefusedError:
    return RequestRefusedError(HTTPStatus.BAD_REQUEST, detail)
