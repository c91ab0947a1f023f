"""A log and the streams that follow it: live and replay are one path.

A follower that keeps up has no place of its own: it stands at the log's end, and what it does
not want costs it nothing. One that is behind has a place, and reads on from there.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from barestream.audience import Audience
from barestream.event_log import EventLog, Place, Record
from barestream.frames import Event, Frame, encode, frame
from barestream.metrics import Metrics
from barestream.stream import MARK_BYTES, Stream
from barestream.subscription import EVERYTHING_PUBLIC, Subscription

# How many records are looked through at once: a few ms with as many templates as a stream may
# have, which holds up nobody's event for long.
STEP_RECORDS = 100

# A client may come from a machine whose clock is ahead of ours, or from a worker that is: it
# waits for what follows its place. Further ahead than any synchronised clock the place is not
# to be believed.
MOST_AHEAD_MS = 60_000

GAP_TYPE = "barestream.gap"
HEARTBEAT_TYPE = "barestream.heartbeat"


class Follower:
    """A stream that follows a feed.

    Attributes:
        place: Up to where it has been sent the log; None where that is the log's end.
        catching_up: Whether somebody else advances it for now.
    """

    def __init__(
        self, feed: "Feed", stream: Stream, subscription: Subscription, place: Place | None
    ) -> None:
        self.feed = feed
        self.stream = stream
        self.subscription = subscription
        self.place = place
        self.catching_up = False

    @property
    def can_advance(self) -> bool:
        """Whether something follows its place, and the client takes it."""
        return (
            self.place is not None
            and self.place < self.feed.log.last
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
        if self.place is None:
            return
        if self.place >= log.floor:
            self.send(islice(log.after(self.place), STEP_RECORDS))
        elif self.feed.catch_up is None:
            self.miss(str(self.place), log.floor)

    def send(self, records: Iterable[Record]) -> None:
        """Send those records that it wants, by writes of at most the mark, until the client
        takes no more; move the place.
        """
        bodies: list[bytes] = []
        size_bytes = 0
        for record in records:
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

    def heartbeat(self) -> Frame:
        """Return an event that says how far the client has come."""
        at = self.place or self.feed.log.last
        return frame(encode(Event(id=str(at), type=HEARTBEAT_TYPE)))

    def _settle(self) -> None:
        # With a place of its own it would seem to fall behind by each event that it does not want.
        if self.place == self.feed.log.last:
            self.place = None

    def _write(self, bodies: list[bytes]) -> None:
        joined = frame(b"".join(bodies))
        self.stream.write(joined, len(bodies))
        self.feed.metrics.delivered(len(bodies), len(joined.body))


class Feed:
    """One source's log, written to every stream that follows it.

    Args:
        log: The newest events.
        metrics: Where deliveries are counted.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        count: How many events lie after one place up to another, where the source can tell
            although the log no longer holds them.
        catch_up: Takes over a follower that has far to go, or further back than the log holds;
            without it, what the log does not hold is gone.
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
        self._now = now
        self._count = count
        self._followers: dict[Follower, None] = {}
        # Those whose client was told of events by a worker that is further: up to their place
        # nothing is theirs to get, and with the first event after it they stand at the end.
        self._ahead: dict[Follower, None] = {}
        self._audience: Audience[Follower] = Audience()

    def append(self, record: Record) -> None:
        """Add an event to the log, and send it to each follower that wants it and keeps up."""
        before = self.log.last
        self.log.append(record)
        for follower in tuple(self._ahead):
            if follower.place is None or follower.place < record.place:
                follower.place = None
                del self._ahead[follower]
        live = frame(record.body)
        sent = 0
        for follower in self._audience.wanting(record.topics):
            if not follower.subscription.may_read(record):
                continue
            if follower.place is not None:
                follower.advance()
            elif follower.stream.paused:
                follower.place = before
            else:
                follower.stream.write(live, events=1)
                sent += 1
        if sent:
            self.metrics.delivered(sent, sent * len(record.body))
            self.metrics.lag_seconds.observe(max(0.0, self._now() - record.place.ms / 1000))

    def restart(self, floor: Place) -> None:
        """Go on after a place with nothing before it: what lies between is told as a gap."""
        before = self.log.last
        self.log.restart(floor)
        for follower in tuple(self._followers):
            if follower.place is None:
                follower.place = before
            if follower.place <= floor:
                self._ahead.pop(follower, None)
            follower.advance()

    def is_place_to_come_from(self, place: Place) -> bool:
        """Return whether a client can have been told this place."""
        return place.ms <= self._now() * 1000 + MOST_AHEAD_MS

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
        follower = Follower(self, stream, subscription, place)
        stream.on_resume(follower.advance)
        if heartbeat_events:
            stream.heartbeat = follower.heartbeat
        self._followers[follower] = None
        self._audience.add(follower, subscription.topics)
        if place is not None and place > self.log.last:
            self._ahead[follower] = None
        try:
            if missed_after is not None and place is not None:
                follower.miss(missed_after, place)
            follower.advance()
            if heartbeat_events and follower.place is None:
                # A cursor from the start, for a client whose topics are quiet.
                stream.write(follower.heartbeat())
            yield
        finally:
            follower.place = None
            self._audience.discard(follower, subscription.topics)
            self._ahead.pop(follower, None)
            del self._followers[follower]

    def gap(self, seen: str, floor: Place) -> Event:
        """Return the event that tells a client which events after the id it saw are gone."""
        missed = None
        if self._count is not None:
            missed = self._count(Place.parse(seen), floor)
        data = json.dumps({"from": seen, "to": str(floor), "missed": missed})
        return Event(data, id=str(floor), type=GAP_TYPE)
