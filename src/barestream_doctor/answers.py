"""Plain answers: how far the server is, and what the two clocks differ by. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A plain request and its answer.

    Attributes:
        connect_seconds: How long the TCP connection took.
        sent_at: When it was sent, by this machine's wall clock.
        received_at: When the server received it, by the server's.
        answered_at: When the server answered, by the server's.
        came_at: When the answer had come, by this machine's.
    """

    connect_seconds: float
    sent_at: float
    received_at: float
    answered_at: float
    came_at: float

    @property
    def travel_seconds(self) -> float:
        """The time on the way, both ways together."""
        return (self.came_at - self.sent_at) - (self.answered_at - self.received_at)


@dataclass(frozen=True, slots=True)
class Distance:
    """What several round trips say; a busy machine makes single ones slow, so the fastest count.

    Attributes:
        connect_seconds: The fastest TCP connection.
        travel_seconds: The fastest way, there and back.
        back_seconds: The shortest difference of the clocks between an answer's begin and its
            arrival: the way back, plus the unknown offset of the clocks.
        offset_least: The least offset of the server's clock that the answers allow, in seconds.
        offset_most: The greatest.
        noise_seconds: How much later than the fastest one most of the answers came: on a busy
            machine all things are late.
    """

    connect_seconds: float
    travel_seconds: float
    back_seconds: float
    offset_least: float
    offset_most: float
    noise_seconds: float

    @property
    def behind_seconds(self) -> float:
        """The time that a request spends behind the first hop."""
        return max(0.0, self.travel_seconds - self.connect_seconds)


def distance(trips: Sequence[RoundTrip]) -> Distance | None:
    """Return the distance; None without a round trip."""
    if not trips:
        return None
    back = sorted(trip.came_at - trip.answered_at for trip in trips)
    return Distance(
        min(trip.connect_seconds for trip in trips),
        min(trip.travel_seconds for trip in trips),
        back[0],
        max(trip.answered_at - trip.came_at for trip in trips),
        min(trip.received_at - trip.sent_at for trip in trips),
        back[3 * len(back) // 4] - back[0],
    )
