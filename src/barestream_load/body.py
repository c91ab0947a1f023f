"""Parses a response's head, and extracts the bytes of its body. Pure.

Source: RFC 9112, sections 6 and 7.1.
"""

# A chunk's size has few digits; a longer line means that the body is not chunked.
_MOST_SIZE_BYTES = 1024

_NO_CHUNKS = "the answer is not in chunks, although its head announces them"


class InvalidResponseError(ValueError):
    """A malformed response; the message says why."""


class Head:
    """A response's status line and fields.

    Args:
        text: All of it, without the blank line at its end.

    Attributes:
        fields: By their names in small letters.

    Raises:
        InvalidResponseError: It does not begin as HTTP/1 does.
    """

    def __init__(self, text: bytes) -> None:
        first, *lines = text.decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        code, _, self.reason = status.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise InvalidResponseError("the answer is not HTTP/1.1")
        self.status = int(code)
        self.fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.fields.get("transfer-encoding", "").lower() == "chunked"

    @property
    def body_bytes(self) -> int | None:
        """How long the body is; None if the head does not say so."""
        size = self.fields.get("content-length", "")
        return int(size) if size.isdigit() and not self.is_chunked else None


class Body:
    """The body of a response.

    Args:
        head: The head, which says how the body is framed.

    Attributes:
        is_whole: Whether the body may end here by the rules of HTTP; a body that lasts as long as
            its connection may end at any time.
    """

    __slots__ = ("_is_chunked", "_left_bytes", "_line", "is_whole")

    def __init__(self, head: Head) -> None:
        self._is_chunked = head.is_chunked
        self._left_bytes = 0 if head.is_chunked else head.body_bytes
        self._line = b""
        self.is_whole = self._left_bytes is None or (not head.is_chunked and not self._left_bytes)

    @property
    def is_over(self) -> bool:
        """Whether no more bytes can come."""
        return self.is_whole and self._left_bytes is not None

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body in these bytes, the next ones on the connection.

        Raises:
            InvalidResponseError: They are not valid chunks.
        """
        if self._is_chunked:
            return self._unchunk(data)
        if self._left_bytes is not None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
            self.is_whole = not self._left_bytes
        return data

    @property
    def is_at_chunk(self) -> bool:
        """Whether the next byte is the first of a chunk."""
        return self._is_chunked and not (self._left_bytes or self._line or self.is_whole)

    def _unchunk(self, data: bytes) -> bytes:
        if self.is_whole:
            return b""
        # How much of the chunk is still to come, including the CRLF after it.
        left_bytes = self._left_bytes or 0
        if self._line:
            data = self._line + data
            self._line = b""
        pieces = []
        at, size_bytes = 0, len(data)
        if left_bytes:
            pieces.append(data[: max(0, left_bytes - 2)])
            at = min(left_bytes, size_bytes)
            left_bytes -= at
        while at < size_bytes:
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                break
            chunk_bytes = _chunk_bytes(data[at:end])
            if not chunk_bytes:
                self.is_whole = True
                break
            at = end + 1
            stop = at + chunk_bytes
            pieces.append(data[at:stop])
            at = stop + 2
            left_bytes = max(0, at - size_bytes)
        self._left_bytes = left_bytes
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep(self, line: bytes) -> None:
        if len(line) > _MOST_SIZE_BYTES:
            raise InvalidResponseError(_NO_CHUNKS)
        self._line = line


def _chunk_bytes(line: bytes) -> int:
    try:
        return int(line if b";" not in line else line.partition(b";")[0], 16)
    except ValueError:
        raise InvalidResponseError(_NO_CHUNKS) from None
