"""The states of a subscriber in its feed, and the moves between them. Pure."""

from enum import Enum, auto


class State(Enum):
    """The state of a subscriber.

    Attributes:
        BEHIND: Events may follow its place; the feed sends them when its client is ready.
        REPLAYED: The same, but a replay sends the events, in turn with other subscribers.
        AHEAD: It has been sent all events of the running broadcast, or more. The feed checks it
            after each broadcast.
        LIVE: It has been sent all events up to the end of the last broadcast, even if its place
            is earlier. Broadcasts write only to live subscribers.
        HELD: It is sent nothing before it is sent a gap.
        GONE: Its stream is over.
    """

    BEHIND = auto()
    REPLAYED = auto()
    AHEAD = auto()
    LIVE = auto()
    HELD = auto()
    GONE = auto()

    # Enum's own is a function of Python, which each move would call twice.
    __hash__ = object.__hash__


class WrongMoveError(Exception):
    """A move that MOVES does not allow, which is a bug."""


MOVES = {
    # It has caught up; it is far behind; the history is replaced by another one.
    State.BEHIND: {State.LIVE, State.AHEAD, State.REPLAYED, State.HELD, State.GONE},
    # It has caught up; its client is not ready; the history is replaced by another one.
    State.REPLAYED: {State.LIVE, State.AHEAD, State.BEHIND, State.HELD, State.GONE},
    # A broadcast is over.
    State.AHEAD: {State.BEHIND, State.HELD, State.GONE},
    # Its client is not ready, or the history is replaced by another one.
    State.LIVE: {State.BEHIND, State.HELD, State.GONE},
    # It is sent its gap.
    State.HELD: {State.BEHIND, State.GONE},
    State.GONE: set[State](),
}
