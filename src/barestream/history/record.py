"""An encoded event, and its place in the one order. Pure."""

import re
from typing import NamedTuple, Self

# The largest sequence number of Valkey.
MOST_SEQ = 2**64 - 1

_PLACE = re.compile(r"#([0-9]{1,15})-([0-9]{1,20})")


class Place(NamedTuple):
    """Where an event stands in the one order: milliseconds, then a sequence number.

    The form is that of a Valkey stream id (https://valkey.io/topics/streams-intro/#entry-ids);
    on the wire it is ``#ms-seq``.
    """

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"#{self.ms}-{self.seq}"

    @property
    def just_before(self) -> "Place":
        """The last place before this one."""
        if self.seq:
            return Place(self.ms, self.seq - 1)
        return Place(self.ms - 1, MOST_SEQ) if self.ms else BEGIN

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that the text names.

        Raises:
            ValueError: The text is not of the form ``#ms-seq``.
        """
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a place of the form #ms-seq: {text!r}")
        return cls(int(match[1]), int(match[2]))


# Before every place that a history gives.
BEGIN = Place(0, 0)


class Record(NamedTuple):
    """An event as the history keeps it.

    Attributes:
        place: Its place.
        body: Its bytes, encoded.
        topics: Its topics. A record without topics goes to every stream.
        private: Whether only tokens that cover one of the topics may read it.
        own_id: The id that its publisher gave it.
        repeats: Whether the history had an earlier update with the same id when this one was
            published.
        end_ms: For how many milliseconds its first topic stays ended, as this is the topic's last
            update; None if it does not end the topic.
    """

    place: Place
    body: bytes
    topics: tuple[str, ...]
    private: bool = False
    own_id: str | None = None
    repeats: bool = False
    end_ms: int | None = None


class Known(NamedTuple):
    """The parts of an update that decide which clients may know that it exists.

    Attributes:
        place: Its place.
        topics: Its topics.
        private: Whether only tokens that cover one of the topics may read it.
    """

    place: Place
    topics: tuple[str, ...]
    private: bool
