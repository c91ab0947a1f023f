"""Sends a client the state of its topics before it joins the feed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from barestream.delivery.cursor import Cursor
from barestream.delivery.named import named
from barestream.delivery.replay import (
    PAGE_BYTES,
    PAGE_MOST_EVENTS,
    RETRY_SECONDS,
    goes_on_from,
)
from barestream.delivery.rewind_choice import MOST_FETCHED, Choice, choose
from barestream.delivery.stream import Stream
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.delivery.writer import MARK_BYTES
from barestream.history.broker import BrokerAwayError
from barestream.history.gap import gap
from barestream.history.record import Place, Record
from barestream.history.topic_state import Rewind
from barestream.mercure.sse import Event, encode, frame

Answer = TypeVar("Answer")

Choose = Callable[[Tail, Subscription, Rewind, int], Awaitable[Choice]]


class Plan(NamedTuple):
    """What a stream is sent before it joins the feed.

    Attributes:
        whole: The subscription of the stream.
        new: The part of it that is rewound.
        old: The part that goes on from a cursor; None if all is rewound.
        place: The place of that cursor; BEGIN without one.
        missed: What is gone for the client, of which it is sent a gap first if it names an id; None
            for nothing.
        rewind: How much of each topic is sent.
        most_events: How many updates of each topic at most.
    """

    whole: Subscription
    new: Subscription
    old: Subscription | None
    place: Place
    missed: Missed | None
    rewind: Rewind
    most_events: int


class Rewinding:
    """The rewind of one stream.

    Until it is over, each id that the client is sent is a cursor in the rewind: a client that
    comes back with it gets the rewind again. The last one is the place from which it goes on.

    Args:
        tail: The tail of the feed that the stream joins afterwards.
        plan: What is sent.
        stream: The stream.
        sleep: Waits for so many seconds.
        choose: Chooses what the rewind has.
    """

    def __init__(
        self,
        tail: Tail,
        plan: Plan,
        stream: Stream,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        choose: Choose = choose,
    ) -> None:
        self._tail = tail
        self._broker = tail.broker
        self._plan = plan
        self._stream = stream
        self._sleep = sleep
        self._choose = choose
        self._writable = asyncio.Event()
        self._cursor = Cursor(plan.place, in_rewind=True)
        # What the topics that are not new have brought.
        self._caught_up: set[Place] = set()
        stream.on_resume(self._writable.set)

    @property
    def cursor(self) -> Cursor:
        """Where the stream stands."""
        return self._cursor

    async def run(self) -> Place:
        """Send everything; return the place from which the stream goes on.

        If the stream ends meanwhile, the caller cancels it.
        """
        plan = self._plan
        if plan.missed is not None and plan.missed.after is not None:
            self._tell_gap(plan.missed.after, plan.missed.upto)
        choice = await self._ask(
            partial(self._choose, self._tail, plan.new, plan.rewind, plan.most_events)
        )
        if plan.old is not None:
            await self._catch_up(plan.old, choice.upto)
        if choice.is_cut:
            self._tell_gap(None, choice.upto)
        await self._send_chosen(choice)
        return choice.upto

    async def _catch_up(self, old: Subscription, upto: Place) -> None:
        """Send what follows the cursor of the topics that are not new."""
        place, missed = self._plan.place, self._plan.missed
        told = place if missed is None else max(place, missed.upto)
        reader = await self._tail.slices.work(old.finding_reader(self._tail.slices))
        while place < upto:
            after = place
            read = partial(self._broker.read, after, PAGE_MOST_EVENTS, PAGE_BYTES, reader)
            page = await self._ask(partial(self._tail.ask, read))
            if page.floor > max(place, told):
                told = page.floor
                place = goes_on_from(place, told, page.records)
                self._cursor = Cursor(place, in_rewind=True)
                self._tell_gap(str(after), told)
            wanted = [
                record
                for record in page.records
                if record.place <= upto and await self._covers(old, record)
            ]
            self._caught_up.update(record.place for record in wanted)
            await self._send((each, Cursor(each.place, in_rewind=True)) for each in wanted)
            if page.upto <= after:
                break
            place = min(page.upto, upto)
            self._cursor = Cursor(place, in_rewind=True)

    async def _send_chosen(self, choice: Choice) -> None:
        held: list[Record] = []
        gone = 0
        # The topics that are not new have just brought some of them.
        left = [place for place in choice.places if place not in self._caught_up]
        for start in range(0, len(left), MOST_FETCHED):
            # Clients that share a choice begin to send in one turn of the loop.
            await self._tail.slices.step()
            places = left[start : start + MOST_FETCHED]
            records = await self._fetch(choice, places)
            gone += len(places) - len(records)
            held += records
            # The last one is sent with another cursor.
            if len(held) > 1:
                await self._send((each, self._cursor) for each in held[:-1])
                held = held[-1:]
        if gone:
            self._tell_gap(None, choice.upto)
        # With the last event the rewind is over.
        self._cursor = Cursor(choice.upto)
        await self._send((each, self._cursor) for each in held)

    async def _fetch(self, choice: Choice, places: Sequence[Place]) -> list[Record]:
        """Return the updates at some places, as far as they are still there."""
        ring = self._tail.feed.ring
        here = {place: choice.kept.get(place) or ring.at(place) for place in places}
        absent = [place for place, record in here.items() if record is None]
        if absent:
            read = partial(self._broker.at, absent)
            found = await self._ask(partial(self._tail.ask, read))
            here.update((record.place, record) for record in found)
        return [record for record in here.values() if record is not None]

    async def _covers(self, subscription: Subscription, record: Record) -> bool:
        slices = self._tail.slices
        return await slices.work(subscription.covers(record, slices))

    async def _send(self, updates: Iterable[tuple[Record, Cursor]]) -> None:
        """Send updates, each with where the stream stands then, in writes of at most MARK_BYTES."""
        bodies: list[bytes] = []
        size_bytes = 0
        for record, cursor in updates:
            label = self._plan.whole.label(record, is_end=self._tail.feed.is_end(record))
            body = named(record, label, cursor)
            if self._stream.ready is not None:
                self._stream.ready.saw(record)
            if bodies and size_bytes + len(body) > MARK_BYTES:
                await self._write(bodies)
                bodies, size_bytes = [], 0
            bodies.append(body)
            size_bytes += len(body)
            self._cursor = cursor
        if bodies:
            await self._write(bodies)

    async def _write(self, bodies: Sequence[bytes]) -> None:
        joined = frame(b"".join(bodies))
        if self._stream.write(joined, len(bodies)):
            self._tail.feed.metrics.delivered(len(bodies), len(joined.body))
        await self._tail.slices.step()
        while self._stream.paused:
            self._writable.clear()
            await self._writable.wait()

    def _tell_gap(self, seen: str | None, upto: Place) -> None:
        event: Event = gap(seen, upto, None, self._cursor)
        if self._stream.write(frame(encode(event)), events=1):
            self._tail.feed.metrics.gaps.inc()

    async def _ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the history's answer, once it gives one."""
        while True:
            try:
                return await question()
            except BrokerAwayError:
                await self._sleep(RETRY_SECONDS)
