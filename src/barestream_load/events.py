"""From the bytes of a body to what a stream's events say. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from typing import NamedTuple

from barestream_load.stamp import Stamp, decode

# A stream has the same bytes as its neighbours: what was read once is looked up. The events of
# some seconds, so that those of streams that lag are still there.
_REMEMBERED = 1000
_MOST_KNOWN_BYTES = 16_384


class Event(NamedTuple):
    """One dispatched event.

    Attributes:
        id: Its own; None where it has none.
        type: The event type, empty for the usual one.
        stamp: What its publisher wrote into it; None where that was no publisher of ours.
    """

    id: bytes | None
    type: bytes
    stamp: Stamp | None


class Reader:
    """Reads events, for all streams of a process.

    Attributes:
        known: What whole chunks of whole events, as they came from a socket, hold. One look here
            in place of the parsing saves a third of what a lone event costs.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, list[Event]] = {}
        self._read: dict[bytes, Event | None] = {}

    def know(self, data: bytes, events: list[Event]) -> None:
        """Remember what some chunks hold."""
        # Large ones are of a burst, in which each stream has another part of it.
        if len(data) > _MOST_KNOWN_BYTES:
            return
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known[data] = events

    def read(self, text: bytes, found: list[Event]) -> bytes:
        """Read whole events; return the bytes behind them, which belong before the next ones.

        Args:
            text: The body from the end of an event on.
            found: Where the events are put.
        """
        if b"\r" in text:
            text = _with_plain_line_ends(text)
        *blocks, rest = text.split(b"\n\n")
        read = self._read
        for block in blocks:
            try:
                event = read[block]
            except KeyError:
                if len(read) >= _REMEMBERED:
                    read.clear()
                event = read[block] = _event(block)
            if event is not None:
                found.append(event)
        return rest


def _with_plain_line_ends(text: bytes) -> bytes:
    # The last CR may be the first half of a CRLF.
    held = b"\r" if text.endswith(b"\r") else b""
    whole = text[: len(text) - len(held)]
    return whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held


def _event(block: bytes) -> Event | None:
    """Return the event that a block of lines makes; None where it makes none."""
    event_id, kind = None, b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"id":
            event_id = value
        elif name == b"event":
            kind = value
    return Event(event_id, kind, decode(b"\n".join(data))) if data else None
