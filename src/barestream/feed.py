"""A log and the streams that follow it: live and replay are one path.

A follower that keeps up is live: it stands where the last broadcast ended, and what it does not
want costs it nothing. One that is behind has a place of its own, and reads on from there.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from barestream.audience import Audience
from barestream.broadcast import Broadcast, Listener
from barestream.delivery_lag import DeliveryLag
from barestream.event_log import EventLog, Place, Record
from barestream.frames import Event, Frame, encode, frame
from barestream.gap import GAP_TYPE, gap_data
from barestream.metrics import Metrics
from barestream.stream import MARK_BYTES, Stream
from barestream.subscription import EVERYTHING_PUBLIC, Subscription

# How many records are looked through at once by a stream with templates of 100 steps, and of larger
# ones fewer: 10 ms at worst, which holds up nobody's event for long.
STEP_RECORDS = 100

HEARTBEAT_TYPE = "barestream.heartbeat"


class Follower:
    """A stream that follows a feed.

    Attributes:
        place: Up to where it has been sent the log, at least.
        is_live: Whether it stands where the feed's last broadcast ended, if that is further.
        catching_up: Whether somebody else advances it for now.
        has_left: Whether its stream is over.
    """

    __slots__ = (
        "catching_up",
        "feed",
        "has_left",
        "is_live",
        "place",
        "stream",
        "subscription",
    )

    def __init__(
        self, feed: "Feed", stream: Stream, subscription: Subscription, place: Place
    ) -> None:
        self.feed = feed
        self.stream = stream
        self.subscription = subscription
        self.place = place
        self.is_live = False
        self.catching_up = False
        self.has_left = False

    @property
    def position(self) -> Place:
        """Up to where everything that it wants has been sent."""
        return max(self.place, self.feed.sent) if self.is_live else self.place

    @property
    def step_records(self) -> int:
        """How many records it looks through at once."""
        return max(1, STEP_RECORDS * 100 // max(100, self.subscription.topics.steps))

    @property
    def can_advance(self) -> bool:
        """Whether something follows its place, and the client takes it."""
        return (
            not self.is_live
            and self.place < self.feed.target
            and not self.has_left
            and not self.stream.paused
            and self.stream.end_reason is None
        )

    def advance(self) -> None:
        """Send what follows the place, for as long as the client takes it."""
        self._settle()
        while self.can_advance and not self.catching_up:
            self.step()
            if self.can_advance and self.feed.catch_up is not None:
                self.catching_up = True
                self.feed.catch_up(self)

    def step(self) -> None:
        """Send of what follows the place what the log still holds, a few records on."""
        log = self.feed.log
        if self.is_live or self.has_left:
            return
        if self.place >= log.floor:
            self.send(islice(log.after(self.place), self.step_records))
        elif self.feed.catch_up is None:
            self.miss(str(self.place), log.floor)

    def send(self, records: Iterable[Record]) -> None:
        """Send those records that it wants, by writes of at most the mark, until the client
        takes no more; move the place.
        """
        bodies: list[bytes] = []
        size_bytes = 0
        for record in records:
            # What comes after it is the next broadcast's.
            if record.place > self.feed.target:
                break
            if self.subscription.covers(record):
                size_bytes += len(record.body)
                if bodies and size_bytes > MARK_BYTES:
                    self._write(bodies)
                    bodies, size_bytes = [], len(record.body)
                    if self.stream.paused:
                        return
                bodies.append(record.body)
            self.place = record.place
        if bodies:
            self._write(bodies)
        self._settle()

    def miss(self, seen: str, floor: Place) -> None:
        """Tell the client that what came after the id it saw, up to a place, is gone."""
        gap = self.feed.gap(seen, floor)
        self.stream.write(frame(encode(gap)), events=1)
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
        if not self.is_live and not self.has_left and self.place >= self.feed.target:
            # With a place of its own it would seem to fall behind by each event that it does
            # not want.
            self.is_live = self.feed.take_in(self)

    def _write(self, bodies: list[bytes]) -> None:
        joined = frame(b"".join(bodies))
        self.stream.write(joined, len(bodies))
        self.feed.metrics.delivered(len(bodies), len(joined.body))


class Feed:
    """One source's log, written to every stream that follows it.

    Events go out in broadcasts: one writes to each stream all that there is for it, and what is
    appended meanwhile goes with the next. So a burst costs less an event the denser it is, and a
    lone event waits for no timer.

    Args:
        log: The newest events.
        metrics: Where deliveries are counted.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        count: How many events lie after one place up to another, where the source can tell
            although the log no longer holds them.
        catch_up: Takes over a follower that has far to go, or further back than the log holds;
            without it, what the log does not hold is gone.

    Attributes:
        sent: Up to where every live follower has been sent the log.
        pending_bytes: How much no broadcast has begun to send.
        on_append: Called when there is something to send.
        lag: How long events took. The reader of the source replaces it by one with a monotonic
            clock, and tells it of each read.
    """

    def __init__(
        self,
        log: EventLog,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        count: Callable[[Place, Place], int] | None = None,
        catch_up: Callable[[Follower], None] | None = None,
    ) -> None:
        self.log = log
        self.metrics = metrics
        self.catch_up = catch_up
        self.sent = log.last
        self.on_append: Callable[[], None] = lambda: None
        self.lag = DeliveryLag(metrics, now, now)
        self._now = now
        self._count = count
        self._followers: dict[Follower, None] = {}
        # Those who are at the running broadcast's end already, or further: by a worker that was, or
        # because they came after the events had. Each broadcast may reach them.
        self._further: dict[Follower, None] = {}
        self._audience: Audience[Listener] = Audience()
        self._pending: deque[Record] = deque()
        self.pending_bytes = 0
        self._broadcast: Broadcast | None = None
        self._steps: Iterator[None] = iter(())

    @property
    def target(self) -> Place:
        """Where the live followers stand once the running broadcast is over."""
        return self._broadcast.end if self._broadcast else self.sent

    def fill(self, floor: Place, records: Iterable[Record]) -> None:
        """Begin with what was there before anybody followed."""
        self.log.restart(floor)
        for record in records:
            self.log.append(record)
        self.sent = self.log.last

    def append(self, record: Record) -> None:
        """Add an event to the log; the next broadcast sends it to the live who want it."""
        self.log.append(record)
        self._pending.append(record)
        self.lag.begin(record.place)
        self.pending_bytes += len(record.body)
        self.on_append()

    def flush(self) -> None:
        """Send at once what is pending, however long it takes."""
        while self.pending_bytes or self._broadcast:
            self.step()

    def step(self) -> bool:
        """Go on with a broadcast of what is pending; return whether there is more of it to do."""
        if self._broadcast is None:
            if not self._pending:
                return False
            self._broadcast = Broadcast(self._batch(), self._audience, self.sent)
            self._steps = self._broadcast.steps()
        for _ in self._steps:
            return True
        self._finish(self._broadcast)
        return False

    def _batch(self) -> list[Record]:
        """Take of what is pending as much as one write may hold."""
        batch = [self._pending.popleft()]
        size_bytes = len(batch[0].body)
        while self._pending and size_bytes + len(self._pending[0].body) <= MARK_BYTES:
            batch.append(self._pending.popleft())
            size_bytes += len(batch[-1].body)
        self.pending_bytes -= size_bytes
        return batch

    def _finish(self, done: Broadcast) -> None:
        self._broadcast = None
        self.sent = done.end
        self.lag.end(len(done.records), observed=bool(done.sent_events))
        if done.sent_events:
            self.metrics.delivered(done.sent_events, done.sent_bytes)
        for follower in tuple(self._further):
            del self._further[follower]
            follower.advance()

    def take_in(self, follower: Follower) -> bool:
        """Return whether a follower that reached the target is live; if not, it is asked again."""
        if self._broadcast is None and follower.place == self.sent:
            return True
        self._further[follower] = None
        return False

    def restart(self, floor: Place) -> None:
        """Go on after a place with nothing before it: what lies between is told as a gap."""
        self.flush()
        before = self.sent
        self.log.restart(floor)
        self.sent = floor
        for follower in tuple(self._followers):
            if follower.is_live:
                follower.fall_behind(before)
            self._further.pop(follower, None)
            follower.advance()

    def leap(
        self, floor: Place, records: Iterable[Record], common: Place | None = None
    ) -> Iterator[None]:
        """Go on with another log, which may lie before what was sent; a follower a step.

        Each is sent a gap, and goes on from the newest event that both logs have, or from before
        it where it has not come so far.

        Args:
            floor: The place after which the other log is whole.
            records: Its newest events, all from the floor on.
            common: The place of the newest event that both logs have; where none is named, each
                follower goes on from the newest event but one.
        """
        self.flush()
        followers = tuple(self._followers)
        for follower in followers:
            if follower.is_live:
                follower.fall_behind(self.sent)
        self._further.clear()
        self.fill(floor, records)
        upto = self.log.before(1) if common is None else common
        for follower in followers:
            if not (follower.is_live or follower.has_left):
                goes_on_from = upto if common is None else min(common, follower.place)
                follower.miss(str(follower.place), goes_on_from)
                follower.advance()
            yield

    @contextmanager
    def follow(
        self,
        stream: Stream,
        place: Place | None,
        subscription: Subscription = EVERYTHING_PUBLIC,
        *,
        missed_after: str | None = None,
        heartbeat_events: bool = False,
    ) -> Iterator[None]:
        """Send the stream what follows the place, for as long as the context lasts.

        Args:
            stream: Where it is sent.
            place: Where the client stands; None for the log's end.
            subscription: What of it is sent.
            missed_after: The id that the client saw last, where it is known that events up to
                the place are gone.
            heartbeat_events: Whether heartbeats are events, with the client's place as id.
        """
        at = self.log.last if place is None else place
        follower = Follower(self, stream, subscription, at)
        stream.on_resume(follower.advance)
        if heartbeat_events:
            stream.heartbeat = follower.heartbeat
        self._followers[follower] = None
        self._audience.add(follower, subscription.topics)
        try:
            if missed_after is not None:
                follower.miss(missed_after, at)
            follower.advance()
            if heartbeat_events and follower.position >= self.target:
                # A cursor from the start, for a client whose topics are quiet.
                stream.write(follower.heartbeat())
            yield
        finally:
            follower.leave()
            stream.forget()
            self._audience.discard(follower, subscription.topics)
            self._further.pop(follower, None)
            del self._followers[follower]

    def gap(self, seen: str, floor: Place) -> Event:
        """Return the event that tells a client which events after the id it saw are gone."""
        missed = None
        if self._count is not None:
            missed = self._count(Place.parse(seen), floor)
        return Event(gap_data(seen, floor, missed), id=str(floor), type=GAP_TYPE)
