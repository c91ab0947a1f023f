"""Where a client's stream stands, as the hub's own ids say it. Pure."""

import re
from typing import NamedTuple, Self
from urllib.parse import quote, unquote

from barestream.history.record import Place

# The place. Behind a tilde, in a rewind, or an equals sign, after one: the event's own place. With
# include=topic its topic, and the id of its publisher: they have only the characters that quote
# returns, because a header of the answer repeats the id.
_CURSOR = re.compile(
    r"#([0-9]{1,15})-([0-9]{1,20})(?:(~)|([~=])([0-9]{1,15})-([0-9]{1,20}))?"
    r"(?:;([A-Za-z0-9_.~%-]*)(?:;([A-Za-z0-9_.~%-]*))?)?"
)


class Cursor(NamedTuple):
    """Where a stream stands.

    On the wire it is ``#ms-seq``, or ``#ms-seq~`` before a rewind is over.

    Attributes:
        place: The place up to which all has been sent of the topics that were not new; BEGIN if
            all were new.
        in_rewind: Whether the rewind of the new topics was not over.
    """

    place: Place
    in_rewind: bool = False

    def __str__(self) -> str:
        return f"{self.place}~" if self.in_rewind else str(self.place)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that an id of the hub says.

        Raises:
            ValueError: The text is no such id.
        """
        match = _match(text)
        return cls(Place(int(match[1]), int(match[2])), "~" in (match[3], match[4]))

    def naming(self, place: Place, topic: str, own_id: str | None) -> str:
        """Return the id for a client that asked for the topic of each event.

        Its form is ``#ms-seq;topic``. Where the event's own place is another one it stands second:
        in a rewind ``#ms-seq~ms-seq;topic``, with the last event of a rewind
        ``#ms-seq=ms-seq;topic``. A publisher's id follows after another semicolon. Both are
        percent-encoded, so that the id is ASCII, and has no other semicolon.

        Args:
            place: The event's place.
            topic: The first of its topics that the client subscribes to.
            own_id: The id that its publisher gave it.
        """
        at = str(self)
        if self.in_rewind:
            at += str(place)[1:]
        elif place != self.place:
            at += f"={str(place)[1:]}"
        parts = [at, quote(topic, safe="")]
        if own_id is not None:
            parts.append(quote(own_id, safe=""))
        return ";".join(parts)


class Named(NamedTuple):
    """The parts of the id of an event for a client that asked for topics.

    Attributes:
        cursor: Where the stream stands after the event.
        place: The event's place.
        topic: The first of its topics that the client subscribes to; None for a gap of everybody.
        own_id: The id that its publisher gave it.
    """

    cursor: Cursor
    place: Place
    topic: str | None
    own_id: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parts of an id.

        Raises:
            ValueError: The text is no id of the hub.
        """
        match, cursor = _match(text), Cursor.parse(text)
        place = Place(int(match[5]), int(match[6])) if match[5] else cursor.place
        topic, own_id = (None if text is None else unquote(text) for text in match.group(7, 8))
        return cls(cursor, place, topic, own_id)


def _match(text: str) -> re.Match[str]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError(f"not an id of the hub: {text!r}")
    return match
