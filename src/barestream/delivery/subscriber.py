"""A stream that follows a feed, with its subscription, its place and its state. Pure."""

from typing import NamedTuple

from barestream.delivery.stream import Stream
from barestream.delivery.subscriber_state import MOVES, State, WrongMoveError
from barestream.delivery.subscription import Subscription
from barestream.history.record import BEGIN, Place


class Missed(NamedTuple):
    """Events that are gone for a client that comes back.

    Attributes:
        after: The id that the client saw last, if it is to be sent a gap; None if it knows of none.
        upto: The place up to which they are gone.
    """

    after: str | None
    upto: Place


class Subscriber:
    """A stream that follows a feed.

    Attributes:
        place: A place up to which it has been sent all events that it wants.
        state: Its state in the feed; ``move`` changes it.
        replays: How often it was handed over to a replay; only the last hand-over counts.
        told: The place up to which its client knows that events are gone.
    """

    __slots__ = ("place", "replays", "state", "stream", "subscription", "told")

    def __init__(self, stream: Stream, subscription: Subscription, place: Place) -> None:
        self.stream = stream
        self.subscription = subscription
        self.place = place
        self.state = State.BEHIND
        self.replays = 0
        self.told = BEGIN

    def move(self, state: State) -> None:
        """Change the state.

        Raises:
            WrongMoveError: MOVES does not allow it.
        """
        if state not in MOVES[self.state]:
            raise WrongMoveError(f"from {self.state.name} to {state.name}")
        self.state = state

    def fall_behind(self, place: Place) -> None:
        """Continue from this place when the client is ready again."""
        self.move(State.BEHIND)
        self.place = place

    @property
    def takes_more(self) -> bool:
        """Whether its client is ready for the events that follow its place."""
        return (
            self.state in (State.BEHIND, State.REPLAYED)
            and not self.stream.paused
            and self.stream.end_reason is None
        )
