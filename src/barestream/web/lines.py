"""The lines of a body that comes in pieces.

Sources: https://github.com/ndjson/ndjson-spec; for event streams
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from collections.abc import Iterator
from typing import NamedTuple

from barestream.web.refusals import too_large


class Line(NamedTuple):
    """A line.

    Attributes:
        number: Its number in the body, from 1.
        text: Its bytes without its end.
    """

    number: int
    text: bytes


class Lines:
    """Splits a body into lines; of an unfinished line it holds at most the bound.

    Args:
        most_bytes: How long a line may be, without its end.
        cr_ends: Whether CR, and CR LF, end a line too, as in an event stream.
    """

    def __init__(self, most_bytes: int, *, cr_ends: bool) -> None:
        self._most_bytes = most_bytes
        self._cr_ends = cr_ends
        self._number = 0
        self._held = bytearray()
        # Whether the piece before ended with CR: then LF at the start of the next belongs to it.
        self._is_after_cr = False

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that a piece ends; all of them must be taken before the next piece.

        Raises:
            Refused: 413 for a line that is too long; the lines before it were yielded.
        """
        if self._cr_ends:
            if self._is_after_cr and piece:
                self._is_after_cr = False
                piece = piece.removeprefix(b"\n")
            if not piece:
                return
            texts = piece.splitlines()
            self._is_after_cr = piece.endswith(b"\r")
            rest = b"" if piece.endswith((b"\n", b"\r")) else texts.pop()
        else:
            *texts, rest = piece.split(b"\n")
        if texts and self._held:
            texts[0] = bytes(self._held) + texts[0]
            self._held.clear()
        number, most_bytes = self._number, self._most_bytes
        for text in texts:
            number += 1
            if len(text) > most_bytes:
                raise self._too_long(number)
            yield Line(number, text)
        self._number = number
        self._held += rest
        if len(self._held) > most_bytes:
            raise self._too_long(number + 1)

    def end(self) -> Iterator[Line]:
        """Yield what follows the last line end, if anything does."""
        if self._held:
            yield Line(self._number + 1, bytes(self._held))

    def _too_long(self, number: int) -> Exception:
        return too_large(f"The line is longer than {self._most_bytes} bytes.").within(
            f"line {number}"
        )
