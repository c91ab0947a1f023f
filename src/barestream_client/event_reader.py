"""The events of a hub's stream, read from its bytes. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple


class Received(NamedTuple):
    """An event; or a heartbeat, which has no data, and may set the reconnection delay.

    Attributes:
        data: Its data; None for a heartbeat.
        type: Its type, ``message`` where it has none.
        id: Its id; None where it has none.
        retry_ms: How long a client shall wait before it connects again; None where nothing is said.
    """

    data: str | None
    type: str = "message"
    id: str | None = None
    retry_ms: int | None = None


HEARTBEAT = Received(None)


class EventReader:
    """Reads one stream. Its lines end with LF alone, as the hub writes them."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._begin()

    def feed(self, received: bytes) -> Iterator[Received]:
        """Yield the events that these bytes complete.

        A comment counts as a heartbeat, and so does a reconnection delay, which every stream of the
        hub begins with.
        """
        *lines, self._rest = (self._rest + self._decoder.decode(received)).split("\n")
        for line in lines:
            if line.startswith(":"):
                yield HEARTBEAT
            elif line.startswith("retry:"):
                delay = line.partition(":")[2].strip()
                yield Received(None, retry_ms=int(delay) if delay.isdecimal() else None)
            elif line:
                self._add(line)
            else:
                if self._data:
                    yield Received("\n".join(self._data), self._type or "message", self._id)
                self._begin()

    def _begin(self) -> None:
        self._data: list[str] = []
        self._type = ""
        self._id: str | None = None

    def _add(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id":
            self._id = value
