"""A stream that follows a feed: what it wants, and how it stands. Pure."""

from barestream.delivery.stream import Stream
from barestream.delivery.subscriber_state import MOVES, State, WrongMoveError
from barestream.delivery.subscription import Subscription
from barestream.history.record import Place


class Subscriber:
    """A stream that follows a feed.

    Attributes:
        place: Up to where it has been sent the events, at least.
        state: How it stands to the feed; ``move`` changes it.
        replays: How often it was handed over to a replay: the last one alone counts.
    """

    __slots__ = ("place", "replays", "state", "stream", "subscription")

    def __init__(self, stream: Stream, subscription: Subscription, place: Place) -> None:
        self.stream = stream
        self.subscription = subscription
        self.place = place
        self.state = State.BEHIND
        self.replays = 0

    def move(self, state: State) -> None:
        """Go over to another state.

        Raises:
            WrongMoveError: The table has no such move.
        """
        if state not in MOVES[self.state]:
            raise WrongMoveError(f"from {self.state.name} to {state.name}")
        self.state = state

    def fall_behind(self, place: Place) -> None:
        """Go on from this place when the client takes more again."""
        self.move(State.BEHIND)
        self.place = place

    @property
    def takes_more(self) -> bool:
        """Whether its client takes more of what follows its place."""
        return (
            self.state in (State.BEHIND, State.REPLAYED)
            and not self.stream.paused
            and self.stream.end_reason is None
        )
