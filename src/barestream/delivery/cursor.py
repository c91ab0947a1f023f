"""Where a client's stream stands, as the hub's own ids say it. Pure."""

import re
from typing import NamedTuple, Self
from urllib.parse import quote, unquote

from barestream.history.record import Place

# The place. Behind a tilde, in a rewind, or an equals sign, after one: the event's own place. With
# include=topic its topic, and the id of its publisher: they have only the characters that quote
# returns, because a header of the answer repeats the id. With include=match numbers of topics, and
# whether it is the last update of its first topic.
_CURSOR = re.compile(
    r"#([0-9]{1,15})-([0-9]{1,20})(?:(~)|([~=])([0-9]{1,15})-([0-9]{1,20}))?"
    r"(?:;([A-Za-z0-9_.~%-]*)(?:;([A-Za-z0-9_.~%-]*)(?:;([0-9]{1,6}(?:\.[0-9]{1,6})*)(?:;(end))?)?)?)?"
)


class Label(NamedTuple):
    """What an id says of the topics of an event.

    Attributes:
        topic: The first of its topics that the client subscribes to.
        matches: Which topics of the client's request match one of its topics, as numbers from 0,
            ascending; None if the client did not ask for them.
        is_end: Whether it is the last update of its first topic, which the client's request names
            exactly; False if the client did not ask for it.
    """

    topic: str
    matches: tuple[int, ...] | None = None
    is_end: bool = False


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

    def naming(self, place: Place, label: Label, own_id: str | None) -> str:
        """Return the id for a client that asked for the topic of each event.

        Its form is ``#ms-seq;topic``. Where the event's own place is another one it stands second:
        in a rewind ``#ms-seq~ms-seq;topic``, with the last event of a rewind
        ``#ms-seq=ms-seq;topic``. A publisher's id follows after another semicolon. Both are
        percent-encoded, so that the id is ASCII, and has no other semicolon.

        For a client that asked for matches their numbers follow, and ``end`` with the last update
        of a topic: ``#ms-seq;topic;own id;0.3;end``, where the publisher's id may be empty.

        Args:
            place: The event's place.
            label: What the id says of its topics.
            own_id: The id that its publisher gave it.
        """
        at = str(self)
        if self.in_rewind:
            at += str(place)[1:]
        elif place != self.place:
            at += f"={str(place)[1:]}"
        parts = [at, quote(label.topic, safe="")]
        if own_id is not None:
            parts.append(quote(own_id, safe=""))
        elif label.matches is not None:
            parts.append("")
        if label.matches is not None:
            parts.append(".".join(map(str, label.matches)))
        if label.is_end:
            parts.append("end")
        return ";".join(parts)


class Named(NamedTuple):
    """The parts of the id of an event for a client that asked for topics.

    Attributes:
        cursor: Where the stream stands after the event.
        place: The event's place.
        label: What it says of the topics; None for a gap of everybody.
        own_id: The id that its publisher gave it.
    """

    cursor: Cursor
    place: Place
    label: Label | None
    own_id: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parts of an id.

        Raises:
            ValueError: The text is no id of the hub.
        """
        match, cursor = _match(text), Cursor.parse(text)
        place = Place(int(match[5]), int(match[6])) if match[5] else cursor.place
        topic, own_id, matches, end = match.group(7, 8, 9, 10)
        if topic is None:
            return cls(cursor, place, None, None)
        numbers = None if matches is None else tuple(map(int, matches.split(".")))
        label = Label(unquote(topic), numbers, end is not None)
        # No update has an empty id of its publisher.
        return cls(cursor, place, label, unquote(own_id) if own_id else None)


def _match(text: str) -> re.Match[str]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError(f"not an id of the hub: {text!r}")
    return match
