"""One stream of a load, from its connection on."""

import socket

from barestream_load.body import Body, Head, InvalidResponseError
from barestream_load.events import Event, Reader
from barestream_load.sequence import Sequence

# A head of a stream has a few hundred bytes; nginx and its like send 8 KB at most.
_MOST_HEAD_BYTES = 65_536

_CONTENT_TYPE = "text/event-stream"

# The header in which barestream, and nginx before it, say why a stream is turned away. For an
# EventSource that is a 200 that ends at once, so that it comes back later.
TURNED_AWAY = "barestream-turned-away"


class RefusedError(Exception):
    """The answer is no stream; the message says what it is."""


class Stream:
    """One connection and what came through it.

    Args:
        connection: Connected, or about to be.
        began_ns: When that began.

    Attributes:
        body: None until the answer's head is here.
        sequences: What came of each publisher's events; of an unknown one's, under None.
        heard_ns: When its last bytes came.
        had_event: Whether any event has come.
        is_connected: Whether the connection is there, apart from TLS.
        is_asked: Whether the request is sent.
    """

    __slots__ = (
        *("_head", "_text", "began_ns", "body", "connection"),
        *("had_event", "heard_ns", "is_asked", "is_connected", "sequences"),
    )

    def __init__(self, connection: socket.socket, began_ns: int) -> None:
        self.connection = connection
        self.began_ns = began_ns
        self.heard_ns = began_ns
        self.is_asked = self.is_connected = False
        self.had_event = False
        self.body: Body | None = None
        self.sequences: dict[int | None, Sequence] = {}
        self._head = b""
        self._text = b""

    def answer(self, data: bytes) -> bytes | None:
        """Read the answer's head; return what came behind it, or None where it is not whole yet.

        Raises:
            RefusedError: It is not that of a stream.
            InvalidResponseError: It is not that of an answer.
        """
        text, end, data = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = text
            if len(text) > _MOST_HEAD_BYTES:
                raise InvalidResponseError(
                    f"the answer's head is longer than {_MOST_HEAD_BYTES} bytes"
                )
            return None
        head = Head(text)
        kind = head.fields.get("content-type", "").partition(";")[0].strip().lower()
        if head.status != 200:
            raise RefusedError(f"the answer was {head.status} {head.reason}".rstrip())
        if why := head.fields.get(TURNED_AWAY):
            raise RefusedError(f"turned away, {why}")
        if kind != _CONTENT_TYPE:
            raise RefusedError(f"expected {_CONTENT_TYPE}, the answer was {kind or 'of no type'}")
        self.body = Body(head)
        self._head = b""
        return data

    def read(self, body: Body, data: bytes, reader: Reader) -> list[Event]:
        """Return the events that end in these bytes."""
        is_at_start = not self._text and body.is_at_chunk
        if is_at_start and (known := reader.known.get(data)) is not None:
            return known
        found: list[Event] = []
        self._text = reader.read(self._text + body.feed(data), found)
        if is_at_start and not self._text and body.is_at_chunk:
            reader.know(data, found)
        return found

    def sequence(self, publisher: int | None) -> Sequence:
        """Return the sequence of a publisher's events."""
        found = self.sequences.get(publisher)
        if found is None:
            found = self.sequences[publisher] = Sequence()
        return found
