"""A ring and the streams that follow it: live and replay are one path.

A subscriber that keeps up is live: it stands where the last broadcast ended, and what it does not
want costs it nothing. One that is behind has a place of its own, and reads on from there.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.index import Index
from barestream.delivery.lag import DeliveryLag
from barestream.delivery.stream import Stream
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscriber_state import State
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.delivery.writer import MARK_BYTES
from barestream.history.gap import gap
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.sse import Event, Frame, encode, frame
from barestream.mercure.time_budget import UNBOUNDED, Budget
from barestream.telemetry.metrics import Metrics

HEARTBEAT_TYPE = "barestream.heartbeat"

HandOver = Callable[["Feed", Subscriber], None]


class Feed:
    """One source's newest events, written to every stream that follows it.

    Events go out in broadcasts: one writes to each stream all that there is for it, and what is
    appended meanwhile goes with the next. So a burst costs less an event the denser it is, and a
    lone event waits for no timer.

    Args:
        ring: The newest events.
        metrics: Where deliveries are counted.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        count: How many events lie after one place up to another, where the source can tell
            although the ring no longer holds them.
        replay: Takes over a subscriber that has far to go, or further back than the ring holds;
            without it, it is sent all at once, and what the ring does not hold is gone.

    Attributes:
        sent: Up to where every live subscriber has been sent the ring.
        pending_bytes: How much no broadcast has begun to send.
        budget: The slices in which the feed does its work; without slices, unbounded.
        on_append: Called when there is something to send.
        lag: How long events took; the source's reader gives one with a monotonic clock.
    """

    def __init__(
        self,
        ring: Ring,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        count: Callable[[Place, Place], int] | None = None,
        replay: HandOver | None = None,
    ) -> None:
        self.ring = ring
        self.metrics = metrics
        self.budget: Budget = UNBOUNDED
        self.replay = replay
        self.sent = ring.last
        self.on_append: Callable[[], None] = lambda: None
        self.lag = DeliveryLag(metrics, now, now)
        self._count = count
        self._subscribers: dict[Subscriber, None] = {}
        # Each broadcast may reach them.
        self._ahead: dict[Subscriber, None] = {}
        self._index: Index[Subscriber] = Index()
        self._pending: deque[Record] = deque()
        self.pending_bytes = 0
        self._broadcast: Broadcast | None = None
        self._steps: Iterator[None] = iter(())

    @property
    def target(self) -> Place:
        """Where the live subscribers stand once the running broadcast is over."""
        return self._broadcast.end if self._broadcast else self.sent

    def fill(self, floor: Place, records: Iterable[Record]) -> Generator[None, None, None]:
        """Begin with what was there before anybody followed, in slices."""
        self.ring.restart(floor)
        for record in records:
            self.ring.append(record)
            if self.budget.is_over():
                yield
        self.sent = self.ring.last

    def append(self, record: Record) -> None:
        """Add an event to the ring; the next broadcast sends it."""
        self.ring.append(record)
        self._pending.append(record)
        self.lag.begin(record.place)
        self.pending_bytes += len(record.body)
        self.on_append()

    def flush(self) -> Generator[None, None, None]:
        """Send what is pending, in slices."""
        while self._pending or self._broadcast:
            if self.step():
                yield

    def step(self) -> bool:
        """Go on with a broadcast of what is pending, until it is over or the slice is.

        Returns:
            Whether there is more of it to do.
        """
        if self._broadcast is None:
            if not self._pending:
                return False
            self._broadcast = Broadcast(self._batch(), self._index, self.sent, self.budget)
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
        ahead, self._ahead = self._ahead, {}
        for subscriber in ahead:
            subscriber.move(State.BEHIND)
            self.advance(subscriber)

    def restart(self, floor: Place) -> Generator[None, None, None]:
        """Go on after a place, and tell each subscriber that all before it is gone, by a gap.

        In slices; nothing may be appended until it is over.
        """
        yield from self.flush()
        # At once: a subscriber that joined between two slices would be taken for live.
        before = self.sent
        self.ring.restart(floor)
        self.sent = floor
        self._ahead.clear()
        subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            if subscriber.state is State.LIVE:
                subscriber.fall_behind(before)
            elif subscriber.state is State.AHEAD:
                subscriber.move(State.BEHIND)
        for subscriber in subscribers:
            self.advance(subscriber)
            if self.budget.is_over():
                yield

    def leap(
        self, floor: Place, records: Iterable[Record], common: Place | None = None
    ) -> Generator[None, None, None]:
        """Go on with another ring, which may lie before what was sent; in slices.

        Each is sent a gap, and goes on from the newest event that both rings have, or from before
        it where it has not come so far.

        Args:
            floor: The place after which the other ring is whole.
            records: Its newest events, all from the floor on.
            common: The place of the newest event that both rings have; where none is named, each
                subscriber goes on from the newest event but one.
        """
        yield from self.flush()
        # At once, for the same reason. None may advance before its gap is sent.
        subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            if subscriber.state is State.LIVE:
                subscriber.place = self.sent
            subscriber.move(State.HELD)
        self._ahead.clear()
        for _ in self.fill(floor, records):
            pass
        upto = self.ring.before(1) if common is None else common
        for subscriber in subscribers:
            if subscriber.state is State.HELD:
                subscriber.move(State.BEHIND)
                goes_on_from = upto if common is None else min(common, subscriber.place)
                self.miss(subscriber, str(subscriber.place), goes_on_from)
                self.advance(subscriber)
            if self.budget.is_over():
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
            place: Where the client stands; None for the ring's end.
            subscription: What of it is sent.
            missed_after: The id that the client saw last, where it is known that events up to
                the place are gone.
            heartbeat_events: Whether heartbeats are events, with the client's place as id.
        """
        at = self.ring.last if place is None else place
        subscriber = Subscriber(stream, subscription, at)
        stream.on_resume(partial(self.advance, subscriber))
        if heartbeat_events:
            stream.heartbeat = partial(self._heartbeat, subscriber)
        self._subscribers[subscriber] = None
        self._index.add(subscriber, subscription.topics)
        try:
            if missed_after is not None:
                self.miss(subscriber, missed_after, at)
            self.advance(subscriber)
            if heartbeat_events and self._position(subscriber) >= self.target:
                # A cursor from the start, for a client whose topics are quiet.
                stream.write(self._heartbeat(subscriber))
            yield
        finally:
            subscriber.move(State.GONE)
            stream.forget()
            self._index.discard(subscriber, subscription.topics)
            self._ahead.pop(subscriber, None)
            del self._subscribers[subscriber]

    def can_send(self, subscriber: Subscriber) -> bool:
        """Return whether something follows its place, and its client takes it."""
        return subscriber.takes_more and subscriber.place < self.target

    def advance(self, subscriber: Subscriber) -> None:
        """Send what follows its place; the replay does the rest where that takes long."""
        self._settle(subscriber)
        while subscriber.state is State.BEHIND and self.can_send(subscriber):
            if self.replay is None and subscriber.place < self.ring.floor:
                self.miss(subscriber, str(subscriber.place), self.ring.floor)
            for _ in self.steps(subscriber):
                if self.replay is not None:
                    break
            if self.replay is not None and self.can_send(subscriber):
                subscriber.move(State.REPLAYED)
                subscriber.replays += 1
                self.replay(self, subscriber)

    def steps(self, subscriber: Subscriber) -> Iterator[None]:
        """Send what follows its place, for as long as the ring holds it and its client takes it.

        It yields after each write, and where the slice is over.
        """
        if self.budget.is_over():
            yield
        while self.can_send(subscriber) and subscriber.place >= self.ring.floor:
            yield from self.send(subscriber, self.ring.after(subscriber.place))

    def send(self, subscriber: Subscriber, records: Iterable[Record]) -> Iterator[None]:
        """Send those records that it wants, by writes of at most the mark, in the same way."""
        budget = self.budget
        bodies: list[bytes] = []
        size_bytes = 0
        # How far the records are looked through. The place follows once the wanted ones are sent,
        # because a heartbeat tells it.
        after = upto = subscriber.place
        # Another ring may have the place where this one was left.
        log = self.ring.restarts
        for record in records:
            # Later records belong to the next broadcast.
            if record.place > self.target:
                break
            if (yield from subscriber.subscription.covers(record, budget)):
                size_bytes += len(record.body)
                if bodies and size_bytes > MARK_BYTES:
                    if not self._write(subscriber, bodies, (after, upto), log):
                        return
                    yield
                    after, bodies, size_bytes = upto, [], len(record.body)
                bodies.append(record.body)
            upto = record.place
            if budget.is_over():
                if not self._write(subscriber, bodies, (after, upto), log):
                    return
                yield
                after, bodies, size_bytes = upto, [], 0
        self._write(subscriber, bodies, (after, upto), log)

    def miss(self, subscriber: Subscriber, seen: str, floor: Place) -> None:
        """Tell the client that what came after the id it saw, up to a place, is gone."""
        missed = self._count(Place.parse(seen), floor) if self._count else None
        if subscriber.stream.write(frame(encode(gap(seen, floor, missed))), events=1):
            self.metrics.gaps.inc()
        subscriber.place = floor
        self._settle(subscriber)

    def _write(
        self, subscriber: Subscriber, bodies: list[bytes], span: tuple[Place, Place], log: int
    ) -> bool:
        """Send what was gathered between two places of a ring, which is told by its restarts.

        Returns:
            False where it was not: meanwhile its client takes no more, or it stands elsewhere.
        """
        is_there = subscriber.place == span[0] and self.ring.restarts == log
        if not is_there or not self.can_send(subscriber):
            return False
        if bodies:
            joined = frame(b"".join(bodies))
            if subscriber.stream.write(joined, len(bodies)):
                self.metrics.delivered(len(bodies), len(joined.body))
        subscriber.place = span[1]
        # At once: whoever takes the steps may leave them after any write, the last one too.
        self._settle(subscriber)
        return True

    def _settle(self, subscriber: Subscriber) -> None:
        """Take it for live, or for ahead, where it has come to the target.

        One with a place of its own would fall behind by each event that it does not want.
        """
        if subscriber.state not in (State.BEHIND, State.REPLAYED) or subscriber.place < self.target:
            return
        if self._broadcast is None and subscriber.place == self.sent:
            subscriber.move(State.LIVE)
        else:
            subscriber.move(State.AHEAD)
            self._ahead[subscriber] = None

    def _position(self, subscriber: Subscriber) -> Place:
        """Return the place up to which it has been sent all that it wants."""
        is_live = subscriber.state is State.LIVE
        return max(subscriber.place, self.sent) if is_live else subscriber.place

    def _heartbeat(self, subscriber: Subscriber) -> Frame:
        return frame(encode(Event(id=str(self._position(subscriber)), type=HEARTBEAT_TYPE)))
