"""The events of an event stream that comes in pieces, as its server sends it.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import Iterator
from typing import NamedTuple

from barestream.web.lines import Lines
from barestream.web.refusals import too_large

_BOM = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """An event as it was sent.

    Attributes:
        number: Its number in the body, from 1, among the events that have data.
        line: The number of its first line.
        data: Its data.
        id: The id that it names itself, None without one. The standard also counts the last id of
            the events before it; but as ids of updates these would make repeats of two events with
            the same data.
        type: Its type; None without one.
    """

    number: int
    line: int
    data: str
    id: str | None
    type: str | None


class EventBlocks:
    """Reads events; of an unfinished event it holds at most the bound, and one more line.

    As the standard says, comments, unknown fields and an event without data are ignored, and so is
    what follows the last blank line. The field ``retry`` is the delay of the server that sent it,
    and no part of an event.

    Args:
        most_bytes: How long a line, and the data of an event, may be.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lines = Lines(most_bytes, cr_ends=True)
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._line = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id: bytes | None = None
        self._type: bytes | None = None

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Yield the events that a piece ends; all of them must be taken before the next piece.

        Raises:
            Refused: 413 for a line or data that are too long; the events before were yielded.
        """
        for number, text in self._lines.feed(piece):
            line = text.removeprefix(_BOM) if number == 1 else text
            if line:
                self._line = self._line or number
                self._add(line)
            else:
                if self._data:
                    self._number += 1
                    yield self._block()
                self._begin()

    def _add(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            # With its line end, so that a great many empty lines are bounded too.
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._most_bytes + 1:
                raise too_large(
                    f"The data of the event is larger than {self._most_bytes} bytes."
                ).within(f"event {self._number + 1}, line {self._line}")
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value

    def _block(self) -> Block:
        data = b"\n".join(self._data)
        return Block(self._number, self._line, _text(data), _own(self._id), _own(self._type))


def _own(value: bytes | None) -> str | None:
    return _text(value) if value else None


def _text(value: bytes) -> str:
    # The standard decodes what is not UTF-8 as U+FFFD.
    return value.decode(errors="replace")
