"""A parser that does what the standard says, line by line, for a client that has none.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import codecs
import re

from updates import Received

# Not a CR that ends what came so far: an LF may follow.
_LINE_END = re.compile(r"\r\n|\r(?!\Z)|\n")


class Parser:
    """One connection's.

    Attributes:
        last_event_id: What a reconnecting client sends.
        retry_ms: After which time it comes back; None where nothing was said.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []

    def feed(self, received: bytes) -> list[Received]:
        """Return the events that these bytes complete."""
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(received))
        events = []
        for line in lines:
            if line:
                self._process(line)
            elif event := self._dispatch():
                events.append(event)
        return events

    def _process(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry_ms = int(value)

    def _dispatch(self) -> Received | None:
        self.last_event_id = self._id
        data, kind = self._data, self._type or "message"
        self._data, self._type = [], ""
        return Received(kind, "\n".join(data), self._id) if data else None
