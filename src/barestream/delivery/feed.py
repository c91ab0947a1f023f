"""A log and the streams that follow it: live and replay are one path.

A subscriber that keeps up is live: it stands where the last broadcast ended, and what it does not
want costs it nothing. One that is behind has a place of its own, and reads on from there.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.index import Index
from barestream.delivery.lag import DeliveryLag
from barestream.delivery.stream import MARK_BYTES, Stream
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.history.gap import GAP_TYPE, gap_data
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.budget import UNBOUNDED, Budget
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics


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
        replay: Takes over a subscriber that has far to go, or further back than the log holds;
            without it, it is sent all at once, and what the log does not hold is gone.

    Attributes:
        sent: Up to where every live subscriber has been sent the log.
        pending_bytes: How much no broadcast has begun to send.
        budget: The slices in which the feed does its work; without slices, unbounded.
        on_append: Called when there is something to send.
        lag: How long events took. The reader of the source replaces it by one with a monotonic
            clock, and tells it of each read.
    """

    def __init__(
        self,
        log: Ring,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        count: Callable[[Place, Place], int] | None = None,
        replay: Callable[[Subscriber], None] | None = None,
    ) -> None:
        self.log = log
        self.metrics = metrics
        self.budget: Budget = UNBOUNDED
        self.replay = replay
        self.sent = log.last
        self.on_append: Callable[[], None] = lambda: None
        self.lag = DeliveryLag(metrics, now, now)
        self._now = now
        self._count = count
        self._subscribers: dict[Subscriber, None] = {}
        # Those who are at the running broadcast's end already, or further: by a worker that was, or
        # because they came after the events had. Each broadcast may reach them.
        self._further: dict[Subscriber, None] = {}
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
        self.log.restart(floor)
        for record in records:
            self.log.append(record)
            if self.budget.is_over():
                yield
        self.sent = self.log.last

    def append(self, record: Record) -> None:
        """Add an event to the log; the next broadcast sends it to the live who want it."""
        self.log.append(record)
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
        for subscriber in tuple(self._further):
            del self._further[subscriber]
            subscriber.advance()

    def take_in(self, subscriber: Subscriber) -> bool:
        """Return whether a subscriber at the target is live; if not, it is asked again."""
        if self._broadcast is None and subscriber.place == self.sent:
            return True
        self._further[subscriber] = None
        return False

    def restart(self, floor: Place) -> Generator[None, None, None]:
        """Go on after a place, and tell each subscriber that all before it is gone, by a gap.

        In slices; nothing may be appended until it is over.
        """
        yield from self.flush()
        # At once: a subscriber that joined between two slices would be taken for live.
        before = self.sent
        self.log.restart(floor)
        self.sent = floor
        self._further.clear()
        subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            if subscriber.is_live:
                subscriber.fall_behind(before)
        for subscriber in subscribers:
            subscriber.advance()
            if self.budget.is_over():
                yield

    def leap(
        self, floor: Place, records: Iterable[Record], common: Place | None = None
    ) -> Generator[None, None, None]:
        """Go on with another log, which may lie before what was sent; in slices.

        Each is sent a gap, and goes on from the newest event that both logs have, or from before
        it where it has not come so far.

        Args:
            floor: The place after which the other log is whole.
            records: Its newest events, all from the floor on.
            common: The place of the newest event that both logs have; where none is named, each
                subscriber goes on from the newest event but one.
        """
        yield from self.flush()
        # At once, for the same reason. None may advance before its gap is sent.
        subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            if subscriber.is_live:
                subscriber.fall_behind(self.sent)
            subscriber.is_held = True
        self._further.clear()
        for _ in self.fill(floor, records):
            pass
        upto = self.log.before(1) if common is None else common
        for subscriber in subscribers:
            subscriber.is_held = False
            if not subscriber.has_left:
                goes_on_from = upto if common is None else min(common, subscriber.place)
                subscriber.miss(str(subscriber.place), goes_on_from)
                subscriber.advance()
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
            place: Where the client stands; None for the log's end.
            subscription: What of it is sent.
            missed_after: The id that the client saw last, where it is known that events up to
                the place are gone.
            heartbeat_events: Whether heartbeats are events, with the client's place as id.
        """
        at = self.log.last if place is None else place
        subscriber = Subscriber(self, stream, subscription, at)
        stream.on_resume(subscriber.advance)
        if heartbeat_events:
            stream.heartbeat = subscriber.heartbeat
        self._subscribers[subscriber] = None
        self._index.add(subscriber, subscription.topics)
        try:
            if missed_after is not None:
                subscriber.miss(missed_after, at)
            subscriber.advance()
            if heartbeat_events and subscriber.position >= self.target:
                # A cursor from the start, for a client whose topics are quiet.
                stream.write(subscriber.heartbeat())
            yield
        finally:
            subscriber.leave()
            stream.forget()
            self._index.discard(subscriber, subscription.topics)
            self._further.pop(subscriber, None)
            del self._subscribers[subscriber]

    def gap(self, seen: str, floor: Place) -> Event:
        """Return the event that tells a client which events after the id it saw are gone."""
        missed = None
        if self._count is not None:
            missed = self._count(Place.parse(seen), floor)
        return Event(gap_data(seen, floor, missed), id=str(floor), type=GAP_TYPE)
