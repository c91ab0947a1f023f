"""The tests' one parser of event streams: by the standard, line by line, with nothing but Python.

It judges the hub, so it has nothing of the client for Python, which could share a fault with it.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

# Not a CR that ends what came so far: an LF may follow.
_LINE_END = re.compile(r"\r\n|\r(?!\Z)|\n")


class ParsedEvent(NamedTuple):
    """An event as a client dispatches it.

    Attributes:
        type: As a listener names it.
        data: Its lines, joined by LF.
        id: What a client would come back with; empty where there was none so far.
        own_id: The id among the event's own lines; None where there is none.
        retry_ms: The delay among them.
    """

    type: str
    data: str
    id: str
    own_id: str | None
    retry_ms: int | None


class EventParser:
    """One connection's.

    Attributes:
        last_event_id: What a client that comes back sends.
        retries_ms: Each delay that was set, also where no event was with it.
        comments: How many comment lines came.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retries_ms: list[int] = []
        self.comments = 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._begin()

    def feed(self, received: bytes) -> Iterator[ParsedEvent]:
        """Yield the events that these bytes complete.

        The attributes are those of the moment of each event, also where more came with it.
        """
        text = self._rest + self._decoder.decode(received)
        *lines, self._rest = _LINE_END.split(text) if "\r" in text else text.split("\n")
        for line in lines:
            if line:
                self._process(line)
            elif event := self._dispatch():
                yield event

    def _begin(self) -> None:
        self._type = ""
        self._data: list[str] = []
        self._own_id: str | None = None
        self._retry_ms: int | None = None

    def _process(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._own_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self._retry_ms = int(value)
            self.retries_ms.append(self._retry_ms)
        elif not name and colon:
            self.comments += 1

    def _dispatch(self) -> ParsedEvent | None:
        if self._own_id is not None:
            self.last_event_id = self._own_id
        event = None
        if self._data:
            data = "\n".join(self._data)
            event = ParsedEvent(
                self._type or "message", data, self.last_event_id, self._own_id, self._retry_ms
            )
        self._begin()
        return event
