"""Events as bytes on the wire, in a form that every tested client reads in the same way.

Pure. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

_DATA = "data: "
_NEXT_LINE = b"\n" + _DATA.encode()
_FORBIDDEN = re.compile(r"[\r\n\0]")
_FORBIDDEN_BYTES = re.compile(rb"[\r\n\0]")


class InvalidEventError(ValueError):
    """An event that cannot be encoded; the message names the field and the reason."""


def refuse_surrogates(text: str) -> None:
    """Refuse text that UTF-8 cannot encode.

    Raises:
        InvalidEventError: The text contains a lone surrogate.
    """
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEventError(
            f"the text contains a lone surrogate, which UTF-8 cannot encode: {text[error.start]!r}"
        ) from None


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as a browser's EventSource dispatches it. Every Event can be encoded.

    It always has data: some clients fire an event that has only an id, and others do not.

    Attributes:
        data: Any text without NUL; its line ends (CRLF, CR, LF) arrive as LF.
        id: What a client sends back as Last-Event-ID; without CR, LF and NUL.
        type: The event type that listeners name, "message" where absent; without CR, LF and NUL.
        retry_ms: The client's reconnection delay from here on, in milliseconds.

    Raises:
        InvalidEventError: CR, LF or NUL in the id or type, NUL in the data, a retry below 0,
            or text that UTF-8 cannot encode (a lone surrogate).
    """

    data: str = ""
    id: str | None = None
    type: str | None = None
    retry_ms: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("id", self.id), ("event", self.type)):
            if value is not None:
                if _FORBIDDEN.search(value):
                    raise InvalidEventError(f"{name} contains CR, LF or NUL: {value!r}")
                refuse_surrogates(value)
        # Firefox drops a NUL.
        if "\0" in self.data:
            raise InvalidEventError("data contains NUL")
        refuse_surrogates(self.data)
        if self.retry_ms is not None and self.retry_ms < 0:
            raise InvalidEventError(f"retry is below 0: {self.retry_ms}")


class Frame(NamedTuple):
    """The bytes of one or more events, encoded once for every stream that gets them.

    Attributes:
        body: The bytes as the client reads them.
        chunk: The same as one chunk of HTTP/1.1 (RFC 9112, section 7.1).
    """

    body: bytes
    chunk: bytes


def encode(event: Event, given_id: str | None = None) -> bytes:
    """Return the event's bytes: UTF-8, LF alone, the id after the data, ended by a blank line.

    Args:
        event: The event.
        given_id: The id on the wire if the event has none of its own. An empty id of the event
            counts as none, because it would reset the client's last id.
    """
    event_id, kind = event.id or given_id, event.type
    return _encoded(
        event.data.encode(),
        None if event_id is None else event_id.encode(),
        None if kind is None else kind.encode(),
        event.retry_ms,
    )


def encode_stored(
    data: bytes, event_id: bytes, kind: bytes | None = None, retry_ms: int | None = None
) -> bytes:
    """Return the same for an event whose fields are UTF-8 already, without an Event.

    Args:
        data: The event's data.
        event_id: The id on the wire.
        kind: The event's type.
        retry_ms: The client's reconnection delay.

    Raises:
        ValueError: No Event may have such fields.
    """
    for text in (data, event_id, kind or b""):
        if not text.isascii():
            text.decode()
    if b"\0" in data or _FORBIDDEN_BYTES.search(event_id) or _FORBIDDEN_BYTES.search(kind or b""):
        raise InvalidEventError("the data contains NUL, or the id or type CR, LF or NUL")
    if retry_ms is not None and retry_ms < 0:
        raise InvalidEventError(f"retry is below 0: {retry_ms}")
    return _encoded(data, event_id, kind, retry_ms)


def _encoded(
    data: bytes, event_id: bytes | None, kind: bytes | None, retry_ms: int | None
) -> bytes:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in data:
        # Not line by line: a loop over 512,000 lines took 55 ms.
        data = data.replace(b"\n", _NEXT_LINE)
    # The id is last, because fetch-event-source resumes from an id as soon as it has read that
    # line: if the connection broke in the middle of the data, the event would be lost.
    last = b"\n" if event_id is None else b"id: %b\n\n" % event_id
    first = b"" if kind is None else b"event: %b\n" % kind
    if retry_ms is not None:
        first += b"retry: %d\n" % retry_ms
    return b"%bdata: %b\n%b" % (first, data, last)


def decode(body: bytes) -> list[Event]:
    """Return the events of bytes that ``encode`` has returned, one after the other."""
    return [_decoded(block) for block in body.decode().split("\n\n")[:-1]]


def _decoded(block: str) -> Event:
    fields: dict[str, list[str]] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        fields.setdefault(name, []).append(value)
    event_id, kind, retry = (fields.get(name, [None])[0] for name in ("id", "event", "retry"))
    retry_ms = None if retry is None else int(retry)
    return Event("\n".join(fields["data"]), event_id, kind, retry_ms)


def data_bytes(data: str) -> int:
    """Return how large data is on the wire: as UTF-8, with the prefix of each line but the first.

    Raises:
        UnicodeEncodeError: The text contains a lone surrogate.
    """
    plain = _with_plain_line_ends(data)
    return len(plain.encode()) + len(_DATA) * plain.count("\n")


def _with_plain_line_ends(data: str) -> str:
    return data.replace("\r\n", "\n").replace("\r", "\n") if "\r" in data else data


def frame(body: bytes) -> Frame:
    """Return the bytes framed for a stream; they must not be empty, because that ends a body."""
    return Frame(body, b"%x\r\n%b\r\n" % (len(body), body))


def retry(delay_ms: int) -> Frame:
    """Return the frame that sets the client's reconnection delay and dispatches nothing.

    It is one line without a blank line after it, as a heartbeat is. After a blank line httpx-sse
    would fire an empty message, on a new connection with an empty id, and a client that keeps that
    as its last id could not resume.
    """
    return frame(b"retry: %d\n" % delay_ms)


# One line without a blank line after it: after a blank line httpx-sse would fire an empty message.
HEARTBEAT = frame(b":\n")
