"""A stream that follows a log: live, or on its way from a place of its own. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from barestream.event_log import EventLog, Place, Record
from barestream.frames import Event, Frame, encode, frame
from barestream.metrics import Metrics
from barestream.slices import Budget
from barestream.stream import MARK_BYTES, Stream
from barestream.subscription import Subscription

HEARTBEAT_TYPE = "barestream.heartbeat"


class Followed(Protocol):
    """What a follower needs of its feed (see Feed)."""

    log: EventLog
    metrics: Metrics
    budget: Budget
    catch_up: Callable[["Follower"], None] | None
    sent: Place

    @property
    def target(self) -> Place:
        """Where the live followers stand once the running broadcast is over."""

    def take_in(self, follower: "Follower") -> bool:
        """Return whether a follower that reached the target is live; if not, it is asked again."""

    def gap(self, seen: str, floor: Place) -> Event:
        """Return the event that tells a client which events after the id it saw are gone."""


class Follower:
    """A stream that follows a feed.

    Attributes:
        place: Up to where it has been sent the log, at least.
        is_live: Whether it has been sent all up to the end of the feed's last broadcast, even if
            its place is earlier.
        catching_up: Whether the feed's catch-up advances it.
        has_left: Whether its stream is over.
        is_held: Whether it must not advance before it is sent a gap.
    """

    __slots__ = (
        "catching_up",
        "feed",
        "has_left",
        "is_held",
        "is_live",
        "place",
        "stream",
        "subscription",
    )

    def __init__(
        self, feed: Followed, stream: Stream, subscription: Subscription, place: Place
    ) -> None:
        self.feed = feed
        self.stream = stream
        self.subscription = subscription
        self.place = place
        self.is_live = False
        self.catching_up = False
        self.has_left = False
        self.is_held = False

    @property
    def position(self) -> Place:
        """The place up to which it has been sent all that it wants."""
        return max(self.place, self.feed.sent) if self.is_live else self.place

    @property
    def can_advance(self) -> bool:
        """Whether something follows its place, and the client takes it."""
        return (
            not self.is_live
            and self.place < self.feed.target
            and not self.has_left
            and not self.is_held
            and not self.stream.paused
            and self.stream.end_reason is None
        )

    def advance(self) -> None:
        """Send what follows the place; the feed's catch-up does the rest where that takes long."""
        self._settle()
        feed = self.feed
        while self.can_advance and not self.catching_up:
            if feed.catch_up is None and self.place < feed.log.floor:
                self.miss(str(self.place), feed.log.floor)
            for _ in self.steps():
                if feed.catch_up is not None:
                    break
            if feed.catch_up is not None and self.can_advance:
                self.catching_up = True
                feed.catch_up(self)

    def steps(self) -> Iterator[None]:
        """Send what follows the place, for as long as the log holds it and the client takes it.

        It yields after each write, and where the slice is over.
        """
        log = self.feed.log
        if self.feed.budget.is_over():
            yield
        while self.can_advance and self.place >= log.floor:
            yield from self.send(log.after(self.place))

    def send(self, records: Iterable[Record]) -> Iterator[None]:
        """Send those records that it wants, by writes of at most the mark, until the client
        takes no more; move the place.

        It yields after each write, and where the slice is over.
        """
        budget = self.feed.budget
        bodies: list[bytes] = []
        size_bytes = 0
        # upto is how far the records are looked through. The place follows once the wanted ones are
        # written, because a heartbeat tells the client its place.
        after = upto = self.place
        # Another log may have the place where this one was left.
        log = self.feed.log.restarts
        for record in records:
            # Later records belong to the next broadcast.
            if record.place > self.feed.target:
                break
            if (yield from self.subscription.covers(record, budget)):
                size_bytes += len(record.body)
                if bodies and size_bytes > MARK_BYTES:
                    if not self._write(bodies, after, upto, log):
                        return
                    yield
                    after, bodies, size_bytes = upto, [], len(record.body)
                bodies.append(record.body)
            upto = record.place
            if budget.is_over():
                if not self._write(bodies, after, upto, log):
                    return
                yield
                after, bodies, size_bytes = upto, [], 0
        self._write(bodies, after, upto, log)

    def miss(self, seen: str, floor: Place) -> None:
        """Tell the client that what came after the id it saw, up to a place, is gone."""
        gap = self.feed.gap(seen, floor)
        if self.stream.write(frame(encode(gap)), events=1):
            self.feed.metrics.gaps.inc()
        self.place = floor
        self._settle()

    def fall_behind(self, place: Place) -> None:
        """Go on from this place when the client takes more again."""
        self.is_live = False
        self.place = place

    def heartbeat(self) -> Frame:
        """Return an event that says how far the client has come."""
        return frame(encode(Event(id=str(self.position), type=HEARTBEAT_TYPE)))

    def leave(self) -> None:
        """Send nothing more."""
        self.has_left = True
        self.is_live = False

    def _settle(self) -> None:
        if self.is_live or self.has_left or self.is_held:
            return
        if self.place >= self.feed.target:
            # A follower with a place of its own would fall behind by each event that it does not
            # want.
            self.is_live = self.feed.take_in(self)

    def _write(self, bodies: list[bytes], after: Place, upto: Place, log: int) -> bool:
        """Send what was gathered between two places of a log, which is told by its restarts.

        Returns:
            False where it was not: meanwhile the client takes no more, or the log has become
            another and the follower stands elsewhere.
        """
        if not self.can_advance or self.place != after or self.feed.log.restarts != log:
            return False
        if bodies:
            joined = frame(b"".join(bodies))
            if self.stream.write(joined, len(bodies)):
                self.feed.metrics.delivered(len(bodies), len(joined.body))
        self.place = upto
        # At once: whoever takes the steps may leave them after any write, the last one too.
        self._settle()
        return True
