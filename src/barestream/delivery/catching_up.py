"""How subscribers that are behind are brought to the end of a ring. Pure."""

from collections.abc import Callable, Iterable, Iterator

from barestream.delivery.broadcast import Broadcast
from barestream.delivery.cursor import Cursor
from barestream.delivery.ends import Ends
from barestream.delivery.heartbeat import heartbeat_event
from barestream.delivery.named import named
from barestream.delivery.stream import EndReason
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscriber_state import State
from barestream.delivery.writer import MARK_BYTES
from barestream.history.gap import gap
from barestream.history.record import BEGIN, Place, Record
from barestream.history.ring import Ring
from barestream.mercure.sse import encode, frame
from barestream.mercure.time_budget import UNBOUNDED, Budget
from barestream.telemetry.metrics import Metrics

Count = Callable[[Place, Place], int]

HandOver = Callable[["CatchingUp", Subscriber], None]


class CatchingUp:
    """The newest events of one source, and the way of a subscriber to their end.

    Args:
        ring: The newest events.
        metrics: Where deliveries are counted.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        count: Returns how many events lie after one place up to another, also for events that the
            ring no longer holds; None if the source cannot count them.
        replay: Takes over a subscriber that is far behind; without it, it is sent all at once.

    Attributes:
        sent: The place up to which every live subscriber has been sent the events.
        budget: The slices in which the feed does its work; unbounded by default.
        ends: The topics that have ended.
    """

    def __init__(
        self,
        ring: Ring,
        metrics: Metrics,
        now: Callable[[], float],
        count: Count | None,
        replay: HandOver | None,
    ) -> None:
        self.ring = ring
        self.metrics = metrics
        self.budget: Budget = UNBOUNDED
        self.replay = replay
        self.sent = ring.last
        self.ends = Ends(now)
        self._count = count
        # Each broadcast may catch up with them.
        self._ahead: dict[Subscriber, None] = {}
        self._broadcast: Broadcast | None = None

    @property
    def target(self) -> Place:
        """The place of the live subscribers after the running broadcast."""
        return self._broadcast.end if self._broadcast else self.sent

    def is_end(self, record: Record) -> bool:
        """Return whether an event is the last one of its first topic.

        It is not if the topic has begun anew since. An event that only the history has, because
        the ring is behind, is the newest of its topic.
        """
        if record.end_ms is None:
            return False
        return record.place > self.ring.last or self.ends.is_of(record)

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

    def send(
        self, subscriber: Subscriber, records: Iterable[Record], end: Place = BEGIN
    ) -> Iterator[None]:
        """Send the records that it wants, in writes of at most MARK_BYTES; yield as steps does.

        Args:
            subscriber: The subscriber.
            records: The records that follow its place, oldest first.
            end: The place up to which there are no others.
        """
        budget = self.budget
        bodies: list[bytes] = []
        # Their records.
        wanted: list[Record] = []
        size_bytes = 0
        # upto is how far the records were examined. The subscriber's place follows only once the
        # wanted ones are sent, because a heartbeat reports it.
        after = upto = subscriber.place
        # After a restart the same place may be one of another history.
        restarts = self.ring.restarts
        subscription = subscriber.subscription
        for record in records:
            # Later records belong to the next broadcast. There may be none before: other topics
            # have those up to the target.
            if record.place > self.target:
                upto = max(upto, self.target)
                break
            if (yield from subscription.covers(record, budget)):
                body = record.body
                if subscription.names_topics:
                    body = named(record, subscription.label(record, is_end=self.is_end(record)))
                size_bytes += len(body)
                if bodies and size_bytes > MARK_BYTES:
                    if not self._write(subscriber, (bodies, wanted), (after, upto), restarts):
                        return
                    yield
                    after, bodies, wanted, size_bytes = upto, [], [], len(body)
                bodies.append(body)
                wanted.append(record)
            upto = record.place
            if budget.is_over():
                if not self._write(subscriber, (bodies, wanted), (after, upto), restarts):
                    return
                yield
                after, bodies, wanted, size_bytes = upto, [], [], 0
        else:
            upto = max(upto, min(end, self.target))
        self._write(subscriber, (bodies, wanted), (after, upto), restarts)

    def miss(
        self, subscriber: Subscriber, seen: str, floor: Place, goes_on_from: Place | None = None
    ) -> None:
        """Send the client a gap.

        Args:
            subscriber: The subscriber.
            seen: The id that its client saw last.
            floor: The place up to which events are gone.
            goes_on_from: The place from which it is sent what is left; None for the floor.
        """
        place = floor if goes_on_from is None else goes_on_from
        missed = self._count(Place.parse(seen), floor) if self._count else None
        event = gap(seen, floor, missed, Cursor(place))
        if subscriber.stream.write(frame(encode(event)), events=1):
            self.metrics.gaps.inc()
        subscriber.place = place
        subscriber.told = floor
        self._settle(subscriber)

    def _write(
        self,
        subscriber: Subscriber,
        parts: tuple[list[bytes], list[Record]],
        span: tuple[Place, Place],
        restarts: int,
    ) -> bool:
        """Send what is between two places of the ring, if it has not restarted since.

        Args:
            subscriber: The subscriber.
            parts: The bodies, and their records.
            span: The two places.
            restarts: The restarts of the ring when the records were read.

        Returns:
            Whether they were sent; not if meanwhile the client is not ready, or the subscriber
            has another place.
        """
        is_there = subscriber.place == span[0] and self.ring.restarts == restarts
        if not is_there or not self.can_send(subscriber):
            return False
        bodies, wanted = parts
        if bodies:
            joined = frame(b"".join(bodies))
            stream = subscriber.stream
            if stream.ready is not None:
                for record in wanted:
                    stream.ready.saw(record)
            if stream.write(joined, len(bodies)):
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
        stream = subscriber.stream
        if stream.ready is not None:
            stream.write(stream.ready.frame(subscriber.place), events=1)
            stream.ready = None
        if self.ends:
            self._end_if_over(subscriber, subscriber.place)

    def _end_if_over(self, subscriber: Subscriber, place: Place) -> None:
        """End its stream if all of its topics have ended, and it has been sent their ends.

        Args:
            subscriber: The subscriber.
            place: The place up to which it has been sent everything.
        """
        if self.ends.are_over(subscriber.subscription, place):
            stream = subscriber.stream
            if not stream.sent_events:
                # A client without a cursor would come back for ever.
                stream.write(heartbeat_event(Cursor(place)))
            stream.end(EndReason.ENDED)
