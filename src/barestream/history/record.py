"""An encoded event, and its place in the one order. Pure."""

import re
from typing import NamedTuple, Self

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
        place: Where it stands.
        body: Its bytes, encoded.
        topics: What it is about: who wants one of them gets it. Where it has none, everybody.
        private: Whether it takes a right to read one of the topics.
        own_id: The id that its publisher gave it.
    """

    place: Place
    body: bytes
    topics: tuple[str, ...]
    private: bool = False
    own_id: str | None = None


class Known(NamedTuple):
    """What decides who may know that an update is there.

    Attributes:
        place: Where it stands in the one order.
        topics: What it is about.
        private: Whether it takes a right to read one of the topics.
    """

    place: Place
    topics: tuple[str, ...]
    private: bool
