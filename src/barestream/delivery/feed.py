"""A ring and the subscribers that follow it.

A subscriber that keeps up is live: its place is the end of the last broadcast. One that is behind
has a place of its own, and is sent the events from there on.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.catching_up import CatchingUp, Count, HandOver
from barestream.delivery.heartbeat import heartbeat_event
from barestream.delivery.index import Index
from barestream.delivery.lag import DeliveryLag
from barestream.delivery.lost_end import LostEnds
from barestream.delivery.stream import Stream
from barestream.delivery.subscriber import Missed, Subscriber
from barestream.delivery.subscriber_state import State
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.delivery.writer import MARK_BYTES
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.sse import Frame
from barestream.telemetry.metrics import Metrics


class Feed(CatchingUp):
    """The newest events of one source, and the subscribers that are sent them.

    A broadcast writes to each stream all pending events that it wants. Events that are appended
    meanwhile go with the next one, so a single event waits for no timer.

    Args:
        ring, metrics, now, count, replay: See CatchingUp.
        broadcasts: Makes a broadcast; its arguments are those of Broadcast.

    Attributes:
        pending_bytes: The size of the events that no broadcast has begun to send.
        leaps: How often it continued with another history.
        lost: What these histories have lost of those before.
        on_append: Called when there is something to send.
        lag: Measures how long events took; the source's reader sets it.
    """

    def __init__(  # noqa: PLR0913 (the parts that it connects)
        self,
        ring: Ring,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        count: Count | None = None,
        replay: HandOver | None = None,
        broadcasts: Callable[..., Broadcast] = Broadcast,
    ) -> None:
        super().__init__(ring, metrics, now, count, replay)
        self.leaps = 0
        self.lost = LostEnds()
        self.on_append: Callable[[], None] = lambda: None
        self.lag = DeliveryLag(metrics, now, now)
        self._broadcasts = broadcasts
        self._subscribers: dict[Subscriber, None] = {}
        self._index: Index[Subscriber] = Index()
        self._named_count = 0
        self._pending: deque[Record] = deque()
        self.pending_bytes = 0
        self._steps: Iterator[None] = iter(())

    def fill(self, floor: Place, records: Iterable[Record]) -> Generator[None, None, None]:
        """Fill the ring before any subscriber follows, in slices."""
        self.ring.restart(floor)
        for record in records:
            self.ring.append(record)
            if self.budget.is_over():
                yield
        self.sent = self.ring.last

    def append(self, record: Record) -> None:
        """Add an event to the ring; the next broadcast sends it, if there is a subscriber."""
        self.ring.append(record)
        self.ends.note(record)
        if not (self._subscribers or self._pending or self._broadcast):
            # Of several workers, each of which reads every event, some may have no stream. A
            # broadcast to nobody took a third of what such a read costs the worker.
            self.sent = record.place
            return
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
            self._broadcast = self._broadcasts(
                self._batch(),
                self._index,
                self.sent,
                self.budget,
                self.is_end if self._named_count else None,
            )
            self._steps = self._broadcast.steps()
            # Those of the broadcast's own events are known already.
            if self.ends:
                self._steps = self._ending(self._broadcast, self._steps)
        for _ in self._steps:
            return True
        self._finish(self._broadcast)
        return False

    def _ending(self, broadcast: Broadcast, steps: Iterator[None]) -> Iterator[None]:
        """Take the steps of a broadcast, and then end the streams whose last topic it ended."""
        yield from steps
        for record in broadcast.records:
            if record.end_ms is None:
                continue
            for subscriber in self._index.exactly(record.topics[0]):
                if subscriber.state is State.LIVE:
                    self._end_if_over(subscriber, broadcast.end)
                if self.budget.is_over():
                    yield

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
        self.leaps += 1
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
        missed: Missed | None = None,
        heartbeat_events: bool = False,
    ) -> Iterator[None]:
        """Send the stream the events that follow the place, for as long as the context lasts.

        Args:
            stream: The stream.
            place: The client's place; None for the ring's end.
            subscription: Which of the events are sent.
            missed: Which events are known to be gone; None for none.
            heartbeat_events: Whether heartbeats are events, with the client's place as id.
        """
        subscriber = self.join(
            stream, place, subscription, missed=missed, heartbeat_events=heartbeat_events
        )
        try:
            yield
        finally:
            self.leave(subscriber)

    def join(
        self,
        stream: Stream,
        place: Place | None,
        subscription: Subscription,
        *,
        missed: Missed | None,
        heartbeat_events: bool,
    ) -> Subscriber:
        """Do what follow does, until the subscriber leaves."""
        at = self.ring.last if place is None else place
        subscriber = Subscriber(stream, subscription, at)
        if missed is not None:
            subscriber.told = missed.upto
        stream.on_resume(partial(self.advance, subscriber))
        if heartbeat_events:
            stream.heartbeat = partial(self._heartbeat, subscriber)
        self._subscribers[subscriber] = None
        self._index.add(subscriber, subscription.topics)
        self._named_count += subscription.names_topics
        try:
            if missed is not None and missed.after is not None:
                self.miss(subscriber, missed.after, missed.upto, at)
            self.advance(subscriber)
            if heartbeat_events and self._position(subscriber) >= self.target:
                # This gives the client a cursor from the start, even if its topics are quiet.
                stream.write(self._heartbeat(subscriber))
        except BaseException:
            self.leave(subscriber)
            raise
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Send a subscriber that has joined nothing more."""
        subscriber.move(State.GONE)
        subscriber.stream.forget()
        self._index.discard(subscriber, subscriber.subscription.topics)
        self._named_count -= subscriber.subscription.names_topics
        self._ahead.pop(subscriber, None)
        del self._subscribers[subscriber]

    def _position(self, subscriber: Subscriber) -> Place:
        """Return the place up to which it has been sent all that it wants."""
        is_live = subscriber.state is State.LIVE
        return max(subscriber.place, self.sent) if is_live else subscriber.place

    def _heartbeat(self, subscriber: Subscriber) -> Frame:
        return heartbeat_event(self._position(subscriber))
