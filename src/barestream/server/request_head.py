"""The limits and checks of a request's head.

Source: RFC 9112, sections 3.2 (Host) and 6.3 (the length of a body). The parser itself
refuses other ambiguous heads, such as two Content-Length or one beside Transfer-Encoding.
"""

from collections.abc import Iterable
from http import HTTPStatus
from itertools import chain

# As much as nginx takes, so that a client meets the same limits with nginx and without it:
# large_client_header_buffers 4 32k, each line of a head in one of them (1 128k with TLS, where the
# target is measured here). A stream names its topics in its target: 100 of them with 90 characters
# each, percent-encoded, make 28 KB.
MOST_TARGET_BYTES = 32 * 1024
MOST_HEAD_BYTES = 128 * 1024

# How much of an unfinished head is held: that much, and the fields that nginx adds.
MOST_UNPARSED_BYTES = MOST_HEAD_BYTES + 8 * 1024

# The size of the request line without its target, and of a field without name and value.
_LINE_BYTES = 32
_FIELD_BYTES = 4


class RequestRefusedError(Exception):
    """A request that is answered by the server itself.

    Args:
        status: The answer's.
        detail: What is wrong, in words for the client.
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

    nginx has measured a head and counted its Host before it adds fields of its own, and passes a
    request of HTTP/1.0 without Host on as HTTP/1.1: neither is looked at again.

    Args:
        version: HTTP's, such as 1.1.
        target: As it was sent.
        fields: Names in small letters, and values.
        is_behind_nginx: Whether nginx sends it.

    Raises:
        RequestRefusedError: It is too large, or can be read in two ways.
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


# Before HTTP/1.1 a request needed none.
_WITHOUT_HOST: Iterable[str] = ("1.0", "0.9")


def _bad_request(detail: str) -> RequestRefusedError:
    return RequestRefusedError(HTTPStatus.BAD_REQUEST, detail)
