"""The updates of a body that goes on, as NDJSON or as an event stream."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from barestream.history.producers import Status
from barestream.history.update import Update
from barestream.web.event_blocks import EventBlocks
from barestream.web.json_body import parse
from barestream.web.lines import Line, Lines
from barestream.web.refusals import Refused
from barestream.web.update_reader import Address, UpdateReader


class Sent(NamedTuple):
    """An update, and where it is in the body.

    Attributes:
        where: Its line, and the number of its event, for an error.
        update: The update.
        status: How the run of its topic has ended with it; None if it is no run's, or no end.
    """

    where: str
    update: Update
    status: Status | None = None


class SentUpdates(Protocol):
    """Reads the updates of a body, a piece at a time."""

    def feed(self, piece: bytes) -> Iterator[Sent]:
        """Yield the updates that a piece completes; all must be taken before the next piece.

        Raises:
            Refused: 400 or 413 with the place of what is wrong; the updates before were yielded.
        """

    def end(self) -> Iterator[Sent]:
        """Yield the update that only the body's end completes, if there is one."""


class JsonLines:
    """Reads NDJSON: each line is an object with the fields of an update.

    Args:
        reader: Reads an update.
        address: Where the updates go.
        most_bytes: How long a line may be.
    """

    def __init__(self, reader: UpdateReader, address: Address, most_bytes: int) -> None:
        self._reader = reader
        self._address = address
        self._lines = Lines(most_bytes, cr_ends=False)

    def feed(self, piece: bytes) -> Iterator[Sent]:
        """Yield the updates of the lines that a piece ends (see SentUpdates)."""
        return self._sent(self._lines.feed(piece))

    def end(self) -> Iterator[Sent]:
        """Yield the update of a last line without an end."""
        return self._sent(self._lines.end())

    def _sent(self, lines: Iterator[Line]) -> Iterator[Sent]:
        for number, text in lines:
            if not text.strip():
                continue
            where = f"line {number}"
            try:
                yield self._read_line(where, parse(text))
            except Refused as refused:
                raise refused.within(where) from None

    def _read_line(self, where: str, value: object) -> Sent:
        return Sent(where, self._reader.of_addressed(value, self._address))


class SentEvents:
    """Reads an event stream, as a provider sends it.

    Args:
        reader: Reads an update.
        address: Where the updates go.
        most_bytes: How long a line, and the data of an event, may be.
    """

    def __init__(self, reader: UpdateReader, address: Address, most_bytes: int) -> None:
        self._read = reader.of_event
        self._address = address
        self._blocks = EventBlocks(most_bytes)

    def feed(self, piece: bytes) -> Iterator[Sent]:
        """Yield the updates of the events that a piece ends (see SentUpdates)."""
        for block in self._blocks.feed(piece):
            where = f"event {block.number}, line {block.line}"
            try:
                update = self._read(block.data, block.id, block.type, self._address)
            except Refused as refused:
                raise refused.within(where) from None
            yield Sent(where, update)

    def end(self) -> Iterator[Sent]:
        """Yield nothing: the standard drops an event without its blank line."""
        return iter(())


# By the media type of the body.
READERS: Mapping[bytes, Callable[[UpdateReader, Address, int], SentUpdates]] = {
    b"application/x-ndjson": JsonLines,
    b"application/ndjson": JsonLines,
    b"application/jsonl": JsonLines,
    b"text/event-stream": SentEvents,
}
