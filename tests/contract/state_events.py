"""The events that a client got, and what their ids say."""

import re
from typing import NamedTuple

from barestream.history.record import Place
from barestream.mercure.sse import decode
from state_hub import Connection

CURSOR = re.compile(r"#([0-9]+)-([0-9]+)(~?).*")


class Got(NamedTuple):
    """An event that a client got.

    Attributes:
        kind: Its type.
        id: Its id.
        data: Its data.
        moment: The number of the moment when it was written.
    """

    kind: str
    id: str
    data: str
    moment: int

    @property
    def cursor(self) -> Place | None:
        """The place that the id says; None for an id of a publisher."""
        match = CURSOR.fullmatch(self.id)
        return Place(int(match[1]), int(match[2])) if match else None

    @property
    def in_rewind(self) -> bool:
        match = CURSOR.fullmatch(self.id)
        return match is not None and match[3] == "~"


def events_of(connection: Connection) -> list[Got]:
    """Return the events that were written to a client, oldest first."""
    return [
        Got(each.type or "message", each.id or "", each.data, moment)
        for body, moment in connection.frames
        if body.endswith(b"\n\n")
        for each in decode(body)
    ]
