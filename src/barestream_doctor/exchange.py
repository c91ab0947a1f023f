"""One request and what came of it, with the time of each read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from barestream_client.answers import TURNED_AWAY


class Ending(StrEnum):
    """How an answer ended."""

    OPEN = "open"
    CLEAN = "clean"
    CUT = "cut"
    RESET = "reset"


class Read(NamedTuple):
    """What one read of the socket brought.

    Attributes:
        at: Seconds since the request was sent.
        data: Bytes of the body, without chunk sizes and compression.
    """

    at: float
    data: bytes


@dataclass(slots=True)
class Exchange:
    """A request and its answer, as far as it came.

    Attributes:
        sent_at: When the request was sent, in seconds of the wall clock.
        connect_seconds: How long the TCP connection took.
        http_version: Of the answer: 1.0, 1.1 or 2.
        alpn: The protocol that TLS has agreed on; None without TLS.
        status: That of the answer; 0 where none came.
        headers: Those of the answer, names in lower case.
        head_at: When the headers had come, in seconds since the request was sent.
        reads: What each read brought of the body.
        wire_bytes: The size of the body on the wire.
        ending: How it ended; OPEN if the client left.
        ended_at: When, in seconds since the request was sent.
        error: Why there is no answer, as one sentence; empty if there is one.
    """

    sent_at: float = 0
    connect_seconds: float = 0
    http_version: str = ""
    alpn: str | None = None
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    head_at: float = 0
    reads: list[Read] = field(default_factory=list)
    wire_bytes: int = 0
    ending: Ending = Ending.OPEN
    ended_at: float = 0
    error: str = ""

    def header(self, name: str) -> str:
        """Return the values of a header, joined by commas; empty if there is none."""
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def body(self) -> bytes:
        """The body, as far as it came."""
        return b"".join(read.data for read in self.reads)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream that stays open, and not one that turns away."""
        content_type = self.header("content-type").partition(";")[0].strip().lower()
        is_event_stream = self.status == 200 and content_type == "text/event-stream"
        return is_event_stream and not self.turned_away

    @property
    def turned_away(self) -> str:
        """Why a hub ends the stream at once; empty if it does not."""
        return self.header(TURNED_AWAY)

    @property
    def failure(self) -> str:
        """Why it is no stream, as a part of a sentence."""
        if self.turned_away:
            return f"the hub turns streams away, {self.turned_away}"
        if self.status:
            kind = self.header("content-type") or "no type"
            return f"the answer is {self.status} with {kind}"
        return self.error


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event, or a comment, of a stream.

    Attributes:
        at: When its last byte came, in seconds since the request was sent.
        data: Its data; None for a comment.
        type: Its type.
        id: Its own id; None if it has none.
        bytes: How long it is, as text.
    """

    at: float
    data: str | None
    type: str
    id: str | None
    bytes: int


def arrivals(exchange: Exchange) -> Iterator[Arrived]:
    """Yield the events and comments of a stream, each with the time of its last byte.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """
    held = b""
    block: list[bytes] = []
    for at, data in exchange.reads:
        *lines, held = (held + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b":"):
                yield Arrived(at, None, "", None, len(line))
            elif line:
                block.append(line)
            elif block:
                event = _event(at, block)
                block = []
                if event is not None:
                    yield event


def _event(at: float, block: list[bytes]) -> Arrived | None:
    fields: dict[str, list[str]] = {}
    for line in block:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    event_id = fields.get("id", [None])[-1]
    size = sum(map(len, block)) + len(block) + 1
    return Arrived(
        at, "\n".join(fields["data"]), fields.get("event", ["message"])[-1], event_id, size
    )
