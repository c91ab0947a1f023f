"""One stream of a load, from its connection to its events."""

import socket

from barestream_client.answers import TURNED_AWAY
from barestream_load.body import Body, Head, InvalidResponseError
from barestream_load.events import Event, Reader
from barestream_load.sequence import Sequence

# The head of a stream takes a few hundred bytes; nginx and similar servers send at most 8 KB.
_MOST_HEAD_BYTES = 65_536

_CONTENT_TYPE = "text/event-stream"


class RefusedError(Exception):
    """The answer is not a stream; the message says what it is."""


class Stream:
    """One connection and the events that came through it.

    Args:
        connection: A socket that is connected or connecting.
        began_ns: When the connect began.

    Attributes:
        body: The body; None until the answer's head has come.
        sequences: The numbers of each publisher's events; those of unknown publishers under None.
        heard_ns: When the last bytes came.
        had_event: Whether any event has come.
        is_connected: Whether the connection is established, apart from TLS.
        is_asked: Whether the request was sent.
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
        """Read the answer's head; return the bytes after it, or None if it is not complete yet.

        Raises:
            RefusedError: It is not the head of a stream.
            InvalidResponseError: It is not the head of a response.
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
