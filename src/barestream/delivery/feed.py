"""A ring and the subscribers that follow it.

A subscriber that keeps up is live: its place is the end of the last broadcast. One that is behind
has a place of its own, and is sent the events from there on.
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
    """The newest events of one source, and the subscribers that are sent them.

    A broadcast writes to each stream all pending events that it wants. Events that are appended
    meanwhile go with the next one, so a single event waits for no timer.

    Args:
        ring: The newest events.
        metrics: Where deliveries are counted.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        count: Returns how many events lie after one place up to another, also for events that the
            ring no longer holds; None if the source cannot count them.
        replay: Takes over a subscriber that is far behind; without it, it is sent all at once.

    Attributes:
        sent: The place up to which every live subscriber has been sent the events.
        pending_bytes: The size of the events that no broadcast has begun to send.
        budget: The slices in which the feed does its work; unbounded by default.
        on_append: Called when there is something to send.
        lag: Measures how long events took; the source's reader sets it.
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
        # Each broadcast may catch up with them.
        self._ahead: dict[Subscriber, None] = {}
        self._index: Index[Subscriber] = Index()
        self._pending: deque[Record] = deque()
        self.pending_bytes = 0
        self._broadcast: Broadcast | None = None
        self._steps: Iterator[None] = iter(())

    @property
    def target(self) -> Place:
        """The place of the live subscribers after the running broadcast."""
        return self._broadcast.end if self._broadcast else self.sent

    def fill(self, floor: Place, records: Iterable[Record]) -> Generator[None, None, None]:
        """Fill the ring before any subscriber follows, in slices."""
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
        """Continue the broadcast of pending events, or begin one, until it or the slice is over.

        Returns:
            Whether the broadcast is not over yet.
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
        """Remove as many of the pending events as one write may hold, and return them."""
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
        """Continue after a place, and send each subscriber a gap up to it.

        This works in slices; nothing may be appended until it is over.
        """
        yield from self.flush()
        # This part runs in one slice: a subscriber that joined between two would count as live.
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
        """Continue with another history, whose events may be before those sent; in slices.

        Each subscriber is sent a gap. It continues from the newest event that both histories have,
        or from its own place if that is earlier.

        Args:
            floor: The place after which no event of the other history is missing.
            records: Its events, all from the floor on.
            common: The place of the newest event that both histories have. If it is None, each
                subscriber continues with the newest event.
        """
        yield from self.flush()
        # This part runs in one slice for the same reason. A subscriber may not advance before its
        # gap is sent.
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
        """Send the stream the events that follow the place, for as long as the context lasts.

        Args:
            stream: The stream.
            place: The client's place; None for the ring's end.
            subscription: Which of the events are sent.
            missed_after: The id that the client saw last, if events after it, up to the place,
                are known to be gone.
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
                # This gives the client a cursor from the start, even if its topics are quiet.
                stream.write(self._heartbeat(subscriber))
            yield
        finally:
            subscriber.move(State.GONE)
            stream.forget()
            self._index.discard(subscriber, subscription.topics)
            self._ahead.pop(subscriber, None)
            del self._subscribers[subscriber]

    def can_send(self, subscriber: Subscriber) -> bool:
        """Return whether events follow its place, and its client is ready for them."""
        return subscriber.takes_more and subscriber.place < self.target

    def advance(self, subscriber: Subscriber) -> None:
        """Send the events that follow its place; the replay sends the rest if that takes long."""
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
        """Send what follows its place, while the ring holds it and the client is ready for it.

        It yields after each write, and when the slice is over.
        """
        if self.budget.is_over():
            yield
        while self.can_send(subscriber) and subscriber.place >= self.ring.floor:
            yield from self.send(subscriber, self.ring.after(subscriber.place))

    def send(self, subscriber: Subscriber, records: Iterable[Record]) -> Iterator[None]:
        """Send the records that it wants, in writes of at most MARK_BYTES; yield as steps does."""
        budget = self.budget
        bodies: list[bytes] = []
        size_bytes = 0
        # upto is how far the records were examined. The subscriber's place follows only once the
        # wanted ones are sent, because a heartbeat reports it.
        after = upto = subscriber.place
        # After a restart the same place may be one of another history.
        restarts = self.ring.restarts
        for record in records:
            # Later records belong to the next broadcast.
            if record.place > self.target:
                break
            if (yield from subscriber.subscription.covers(record, budget)):
                size_bytes += len(record.body)
                if bodies and size_bytes > MARK_BYTES:
                    if not self._write(subscriber, bodies, (after, upto), restarts):
                        return
                    yield
                    after, bodies, size_bytes = upto, [], len(record.body)
                bodies.append(record.body)
            upto = record.place
            if budget.is_over():
                if not self._write(subscriber, bodies, (after, upto), restarts):
                    return
                yield
                after, bodies, size_bytes = upto, [], 0
        self._write(subscriber, bodies, (after, upto), restarts)

    def miss(self, subscriber: Subscriber, seen: str, floor: Place) -> None:
        """Send the client a gap, after the id that it saw and up to a place."""
        missed = self._count(Place.parse(seen), floor) if self._count else None
        if subscriber.stream.write(frame(encode(gap(seen, floor, missed))), events=1):
            self.metrics.gaps.inc()
        subscriber.place = floor
        self._settle(subscriber)

    def _write(
        self, subscriber: Subscriber, bodies: list[bytes], span: tuple[Place, Place], restarts: int
    ) -> bool:
        """Send the bodies between two places of the ring, if it has not restarted since.

        Returns:
            Whether they were sent; not if meanwhile the client is not ready, or the subscriber
            has another place.
        """
        is_there = subscriber.place == span[0] and self.ring.restarts == restarts
        if not is_there or not self.can_send(subscriber):
            return False
        if bodies:
            joined = frame(b"".join(bodies))
            if subscriber.stream.write(joined, len(bodies)):
                self.metrics.delivered(len(bodies), len(joined.body))
        subscriber.place = span[1]
        # This is done at once, because the caller may abandon the steps after any write.
        self._settle(subscriber)
        return True

    def _settle(self, subscriber: Subscriber) -> None:
        """Make it live, or ahead, if it has come to the target.

        With a place of its own it would fall behind at each event that it does not want.
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
