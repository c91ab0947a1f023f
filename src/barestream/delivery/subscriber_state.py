"""How a subscriber stands to its feed, and which moves there are. Pure."""

from enum import Enum, auto


class State(Enum):
    """Where a subscriber stands.

    Attributes:
        BEHIND: Something may follow its place, and it is sent when its client takes it.
        REPLAYED: The same, and a replay sends it in turns with others.
        AHEAD: It has been sent all that the running broadcast brings, or more. It is looked at
            after each broadcast.
        LIVE: It has been sent all up to the end of the last broadcast, even if its place is
            earlier. A broadcast writes to those who are live.
        HELD: It is sent nothing before it is sent a gap.
        GONE: Its stream is over.
    """

    BEHIND = auto()
    REPLAYED = auto()
    AHEAD = auto()
    LIVE = auto()
    HELD = auto()
    GONE = auto()


class WrongMoveError(Exception):
    """A move that the table does not have: a fault of ours."""


MOVES = {
    # It has come to the end; it has far to go; its history becomes another one.
    State.BEHIND: {State.LIVE, State.AHEAD, State.REPLAYED, State.HELD, State.GONE},
    # It has come to the end; its client takes no more; its history becomes another one.
    State.REPLAYED: {State.LIVE, State.AHEAD, State.BEHIND, State.HELD, State.GONE},
    # A broadcast is over.
    State.AHEAD: {State.BEHIND, State.HELD, State.GONE},
    # Its client takes no more, or its history goes on elsewhere.
    State.LIVE: {State.BEHIND, State.HELD, State.GONE},
    # Its turn to be sent a gap has come.
    State.HELD: {State.BEHIND, State.GONE},
    State.GONE: set[State](),
}
