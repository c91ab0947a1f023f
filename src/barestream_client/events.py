"""The events of a stream, as the client gives them. Pure."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from barestream_client.event_reader import Received

GAP = "barestream.gap"
READY = "barestream.ready"
HEARTBEAT = "barestream.heartbeat"

# An id of a stream that asked for include=match, such as #1795366712345-0;news;8f14;0.3;end.
_LABELLED = re.compile(
    r"(?P<way>#[0-9]+-[0-9]+(?:[~=][0-9]+-[0-9]+)?);(?P<topic>[^;]*)"
    r"(?:;(?P<own>[^;]*)(?:;(?P<matches>[0-9.]*)(?P<end>;end)?)?)?"
)

# The update's own place: in a rewind it stands second.
_PLACE = re.compile(r"#(?:[0-9]+-[0-9]+[~=])?([0-9]{1,15})-")


@dataclass(frozen=True)
class Event:
    """An event.

    Attributes:
        data: Its data.
        type: Its type.
        id: Its id, which is a cursor as a whole; empty where it has none.
        topic: The first of the update's topics that the subscription asks for; None where the hub
            does not say it.
        own_id: The publisher's id; None where it has none.
        is_end: Whether it is the last one of its topic, which the subscription names exactly.
    """

    data: str
    type: str = "message"
    id: str = ""
    topic: str | None = None
    own_id: str | None = None
    is_end: bool = False

    @property
    def published_at(self) -> datetime | None:
        """When the hub took it, by the hub's clock; None where its id does not say it."""
        found = _PLACE.match(self.id)
        return datetime.fromtimestamp(int(found[1]) / 1000, UTC) if found else None

    def json(self) -> Any:
        """Return the data, read as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.data)


@dataclass(frozen=True)
class Gap(Event):
    """Events are missing here. Its data is what the hub says of it."""

    @property
    def missing_from(self) -> str | None:
        """The cursor after which events are missing; None where the history has the gap."""
        return _text(self.data, "from")

    @property
    def missing_to(self) -> str | None:
        """The cursor up to which they are missing."""
        return _text(self.data, "to")


@dataclass(frozen=True)
class Ready(Event):
    """All that was there at the start has come."""

    @property
    def empty(self) -> list[str]:
        """The topics, of those named exactly, of which nothing was there."""
        try:
            found = json.loads(self.data)["empty"]
        except (ValueError, LookupError, TypeError):
            return []
        return [each for each in found if isinstance(each, str)]


def event_of(received: Received) -> Event:
    """Return what was received, by its kind, with what its id says."""
    place = received.id or ""
    data = received.data or ""
    if received.type in {GAP, READY}:
        kind = Gap if received.type == GAP else Ready
        return kind(data, received.type, place)
    found = _LABELLED.fullmatch(place)
    if found is None:
        own = place if place and not place.startswith("#") else None
        return Event(data, received.type, place, None, own)
    own = unquote(found["own"]) if found["own"] else None
    return Event(data, received.type, place, unquote(found["topic"]), own, found["end"] is not None)


def _text(data: str, name: str) -> str | None:
    try:
        found = json.loads(data)[name]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None
