"""A client of HTTP/2 that holds many streams on one connection (RFC 9113).

Like a browser, and unlike the Python libraries, it reads its streams on after the server has said
that the connection takes no new ones. It does not decode the headers of responses.
"""

import asyncio
import contextlib
import ssl
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4


@dataclass
class Http2Stream:
    """The body of a response.

    Attributes:
        is_read: Whether the server is told that more may come.
        over_at: When it was over, well or not, in seconds since 1970.
    """

    is_read: bool = True
    body: bytes = b""
    over_at: float | None = None


@dataclass
class Http2Connection:
    """A connection; ``run`` reads it to its end.

    Args:
        root: The certificate of the authority to trust.
    """

    target: tuple[str, int]
    root: Path
    _streams: dict[int, Http2Stream] = field(default_factory=dict)

    async def open(self) -> "Http2Connection":
        """Connect."""
        context = ssl.create_default_context(cafile=self.root)
        context.set_alpn_protocols(["h2"])
        self._reader, self._writer = await asyncio.open_connection(*self.target, ssl=context)
        self._writer.write(_PREFACE)
        self._send(_SETTINGS)
        return self

    def get(self, path: str, *, is_read: bool = True, **headers: str) -> Http2Stream:
        """Ask for a path."""
        authority = f"{self.target[0]}:{self.target[1]}"
        fields = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": path}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        # Each as a literal, neither indexed nor compressed (RFC 7541, 6.2.2).
        block = b"".join(
            b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in pair)
            for pair in fields.items()
        )
        number = 2 * len(self._streams) + 1
        self._send(_HEADERS, _END_STREAM | _END_HEADERS, number, block)
        self._streams[number] = Http2Stream(is_read)
        return self._streams[number]

    async def run(self) -> None:
        """Read until the server closes the connection."""
        try:
            while True:
                head = await self._reader.readexactly(9)
                length, kind, flags, number = struct.unpack("!I", b"\0" + head[:3]) + struct.unpack(
                    "!BBI", head[3:]
                )
                self._receive(kind, flags, number, await self._reader.readexactly(length))
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            for stream in self._streams.values():
                stream.over_at = stream.over_at or time.time()
        finally:
            self._writer.transport.abort()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    def _receive(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if kind == _DATA and stream:
            # nginx does not pad.
            stream.body += payload
            self._grant(0, len(payload))
            if stream.is_read:
                self._grant(number, len(payload))
        if (kind in (_DATA, _HEADERS) and flags & _END_STREAM) or kind == _RST_STREAM:
            assert stream
            stream.over_at = time.time()
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._send(kind, _ACK, 0, payload if kind == _PING else b"")

    def _grant(self, number: int, size: int) -> None:
        if size:
            self._send(_WINDOW_UPDATE, 0, number, struct.pack("!I", size))

    def _send(self, kind: int, flags: int = 0, number: int = 0, payload: bytes = b"") -> None:
        head = struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, number)
        self._writer.write(head + payload)
