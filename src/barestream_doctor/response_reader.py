"""An answer of HTTP/1.x, read piece by piece. Pure.

Source: RFC 9112
"""

import zlib
from typing import Protocol

from barestream_doctor.exchange import Ending, Exchange, Read

# More than any proxy passes on.
_MOST_HEAD_BYTES = 256 * 1024


class UnreadableError(ValueError):
    """What came is no answer of HTTP; the message says why, as a part of a sentence."""


class _Decoder(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Plain:
    def decompress(self, data: bytes, /) -> bytes:
        return data


class BodyDecoder:
    """Undoes the compression of a body.

    Args:
        encoding: The header Content-Encoding.
    """

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        # 31 and 15: a window of 32 KB, in gzip's format or in zlib's.
        window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
        self._decoder: _Decoder = zlib.decompressobj(window) if window else _Plain()

    def decode(self, data: bytes) -> bytes:
        """Return what a piece yields.

        Raises:
            UnreadableError: It is not compressed so.
        """
        try:
            return self._decoder.decompress(data)
        except zlib.error:
            raise UnreadableError("the body is not compressed as its header says") from None


class ResponseReader:
    """Reads one answer into an exchange.

    Args:
        exchange: Is filled.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held = b""
        self._in_head = True
        # The bytes of the body, or of the chunk, that are to come; None until the connection ends.
        self._left: int | None = 0
        self._is_chunked = False
        self._in_trailer = False
        self._decoder = BodyDecoder("")
        self.is_over = False

    def feed(self, data: bytes, at: float) -> None:
        """Read a piece that came so many seconds after the request was sent.

        Raises:
            UnreadableError: It is no answer of HTTP.
        """
        self._held += data
        if self._in_head and not self._read_head(at):
            return
        pieces = self._decoder.decode(b"".join(self._body()))
        if pieces:
            self._exchange.reads.append(Read(at, pieces))
        if self.is_over:
            self._exchange.ending, self._exchange.ended_at = Ending.CLEAN, at

    def end(self, at: float, *, is_reset: bool) -> None:
        """Note that the connection ended."""
        if self.is_over:
            return
        self.is_over = True
        ends_well = not self._in_head and self._left is None and not is_reset
        ending = Ending.RESET if is_reset else Ending.CUT
        self._exchange.ending = Ending.CLEAN if ends_well else ending
        self._exchange.ended_at = at

    def _read_head(self, at: float) -> bool:
        """Read the headers; return whether they have come."""
        while True:
            head, separator, rest = self._held.partition(b"\r\n\r\n")
            if not separator:
                if len(head) > _MOST_HEAD_BYTES or not b"HTTP/".startswith(head[:5]):
                    raise UnreadableError(f"it begins with {head[:40]!r}, which is not HTTP")
                return False
            first, *lines = head.decode("latin-1").split("\r\n")
            version, _, status = first.partition(" ")
            if not version.startswith("HTTP/") or not status[:3].isdigit():
                raise UnreadableError(f"it begins with {first[:40]!r}, which is not HTTP")
            self._held = rest
            # 1xx: the answer itself is to come.
            if status[0] != "1":
                break
        exchange = self._exchange
        exchange.http_version, exchange.status = version[5:], int(status[:3])
        exchange.head_at = at
        exchange.headers = [
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(":") for line in lines)
        ]
        self._in_head = False
        self._is_chunked = "chunked" in exchange.header("transfer-encoding").lower()
        length = exchange.header("content-length")
        if exchange.status in {204, 304}:
            self._left = 0
        elif not self._is_chunked:
            self._left = int(length) if length.isdigit() else None
        self.is_over = self._left == 0 and not self._is_chunked
        self._decoder = BodyDecoder(exchange.header("content-encoding"))
        return True

    def _body(self) -> list[bytes]:
        """Return the pieces of the body that have come."""
        pieces: list[bytes] = []
        while self._held and not self.is_over:
            if self._left is None:
                pieces.append(self._held)
                self._exchange.wire_bytes += len(self._held)
                self._held = b""
            elif self._left:
                piece, self._held = self._held[: self._left], self._held[self._left :]
                self._left -= len(piece)
                self._exchange.wire_bytes += len(piece)
                pieces.append(piece)
                self.is_over = not self._left and not self._is_chunked
            elif not self._read_size():
                break
        return pieces

    def _read_size(self) -> bool:
        """Read the line before a chunk, or one after the last; return whether it has come."""
        line, separator, rest = self._held.partition(b"\r\n")
        if not separator:
            return False
        self._held = rest
        if self._in_trailer:
            self.is_over = not line
        elif line:
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                raise UnreadableError(f"a chunk begins with {line[:20]!r}") from None
            self._in_trailer = self._left == 0
        return True
