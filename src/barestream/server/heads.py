"""The heads of answers, as uvicorn writes them.

uvicorn looks at each header of each answer, which takes 6 us. The headers of most answers are the
same.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from barestream.server.uvicorn_parts import STATUS_LINE, RequestResponseCycle

# So many lists of headers are remembered.
_MOST_REMEMBERED = 256

_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

_OF_THE_CONNECTION = {b"connection", b"transfer-encoding"}

# The control characters that no header may have, and a CR that ends no line.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")

Headers = Iterable[tuple[bytes, bytes]]


def of_whole(
    cycle: RequestResponseCycle, status: int, headers: Headers, body_bytes: int
) -> bytes | None:
    """Return the head of an answer whose body is whole; None where uvicorn has to write it."""
    fields = tuple(headers)
    if (
        not _is_plain(cycle)
        or status < HTTPStatus.OK
        or status in _BODILESS
        or (b"content-length", b"%d" % body_bytes) not in fields
    ):
        return None
    return _head(cycle, status, fields, b"")


def of_stream(cycle: RequestResponseCycle, headers: Headers) -> bytes | None:
    """Return the head of an answer whose body has no end yet; None where uvicorn has to write it.

    The answer has started then.
    """
    fields = tuple(headers)
    if not _is_plain(cycle) or any(name == b"content-length" for name, _ in fields):
        return None
    is_chunked = cycle.chunked_encoding is None
    head = _head(
        cycle, HTTPStatus.OK, fields, b"transfer-encoding: chunked\r\n" if is_chunked else b""
    )
    if head is not None:
        cycle.chunked_encoding = is_chunked
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
    return head


def _is_plain(cycle: RequestResponseCycle) -> bool:
    """Return whether an answer is to be sent, and sending it needs nothing else."""
    return not (
        cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or cycle.access_log
        or cycle.scope["method"] == "HEAD"
    )


def _head(
    cycle: RequestResponseCycle, status: int, fields: tuple[tuple[bytes, bytes], ...], last: bytes
) -> bytes | None:
    defaults, own = _lines(tuple(cycle.default_headers)), _lines(fields)
    if defaults is None or own is None:
        return None
    closing = b"" if cycle.keep_alive else b"connection: close\r\n"
    return b"%b%b%b%b%b\r\n" % (STATUS_LINE[status], defaults, own, closing, last)


@lru_cache(_MOST_REMEMBERED)
def _lines(fields: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """Return headers as lines; None if one needs more than a line, or is malformed."""
    if any(name.lower() in _OF_THE_CONNECTION for name, _ in fields):
        return None
    lines = b"".join([b"%b: %b\r\n" % (name.lower(), value) for name, value in fields])
    # A line end within a header would begin another header.
    if lines.count(b"\n") != len(fields) or _CONTROL.search(lines):
        return None
    return lines
