"""One course: publishers, workers and clients on one history."""

import random
import time
from collections.abc import Callable

import pytest

from barestream.delivery import rewind_choice
from barestream.history.broker import Broker, TooMuchKeptError, TopicEndedError
from barestream.history.update import Update
from barestream.mercure.sse import Event
from random_courses import SetClock
from state_events import events_of
from state_history import StateHistory
from state_hub import Connection, Pace, Worker
from state_judge import Judge
from state_steps import (
    IDLE,
    Come,
    Cut,
    Pass,
    Publish,
    Read,
    ReadOn,
    Repeat,
    Restart,
    Settle,
    Slow,
    Step,
    Trim,
    Wish,
)
from topic_updates import ALL_EVENTS, wait_past

WORKERS = 2


class Client:
    """A client: its wish, the id that it saw last, and its connection."""

    def __init__(self, wish: Wish, connection: Connection) -> None:
        self.wish = wish
        self.last_id = ""
        self.connection = connection


class Course:
    """One course: a history with its workers beside the model.

    Args:
        broker: The broker, with an empty history.
        history: The model.
        clock: The broker's clock; None if it has its own.
        numbers: Decide where work is interrupted.

    Attributes:
        in_parts: Whether each topic's part of a rewind is chosen at another time.
    """

    def __init__(
        self,
        broker: Broker,
        history: StateHistory,
        clock: SetClock | None,
        numbers: random.Random,
    ) -> None:
        self.in_parts = rewind_choice.MOST_PLACES == 1
        self.broker = broker
        self.history = history
        self.clock = clock
        self.pace = Pace(numbers)
        self.sent: list[Update] = []
        self.count = 0
        history.note(self.now_ms)
        self.workers = [self.worker() for _ in range(WORKERS)]
        self.clients: list[Client] = []

    @property
    def now(self) -> Callable[[], float]:
        return self.clock or time.time

    @property
    def now_ms(self) -> float:
        return self.now() * 1000

    def worker(self) -> Worker:
        return Worker(self.broker, self.pace, self.now, self.trim_now)

    async def run(self, steps: list[tuple[Step, int]]) -> None:
        await self.pace.idle()
        try:
            for step, turns in steps:
                await self.take(step)
                await (self.pace.idle() if turns == IDLE else self.pace.turns(turns))
            await self.settle()
            for nth in range(len(self.clients)):
                await self.take(Cut(nth, self.pace.numbers.randrange(30), nth, False, ""))
            await self.settle()
        finally:
            for client in self.clients:
                await client.connection.cut()
            for worker in self.workers:
                await worker.end()

    async def take(self, step: Step) -> None:
        match step:
            case Publish(updates):
                await self.pace.change(lambda: self.publish([self.named(each) for each in updates]))
            case Repeat(nth):
                await self.repeat(nth)
            case Pass(ms):
                if self.clock:
                    self.clock.ms += ms
                    self.history.note(self.now_ms)
            case Trim(worker):
                self.workers[worker].trim()
                await self.pace.idle()
            case ReadOn(worker):
                self.workers[worker].read_on()
            case Restart(worker):
                await self.restart(worker)
            case Settle():
                await self.settle()
            case Come() | Read() | Slow() | Cut():
                await self.take_of_client(step)

    async def take_of_client(self, step: Come | Read | Slow | Cut) -> None:
        match step:
            case Come(wish, worker, is_slow):
                self.come(wish, worker, is_slow=is_slow)
            case Read(nth, stays_slow):
                for client in self.clients[nth : nth + 1]:
                    client.connection.take(stays_slow=stays_slow)
            case Slow(nth):
                for client in self.clients[nth : nth + 1]:
                    client.connection.is_slow = True
            case Cut():
                if self.clients:
                    await self.cut(step)

    # Publishers

    def named(self, given: Update) -> Update:
        """Return an update with data of its own, and with times for the broker's clock."""
        self.count += 1
        event = Event(f"n{self.count}", given.event.id)
        keep, end = given.keep_seconds, given.end_seconds
        if not self.clock:
            # No time passes within a course.
            keep, end = keep and keep * 10_000, end and end * 10_000
        return Update(given.topics, event, given.private, keep, end)

    async def publish(self, given: list[Update]) -> None:
        # Every update before is older than these.
        if self.clock:
            self.clock.ms += 2
        else:
            await wait_past(self.history.last)
        now_ms = self.now_ms
        try:
            new = self.history.judge(given, now_ms)
        except (TopicEndedError, TooMuchKeptError) as refusal:
            with pytest.raises(type(refusal)):
                await self.broker.publish_all(given)
            # A topic may have been forgotten.
            self.history.note(now_ms)
            return
        last = self.history.last
        await self.broker.publish_all(given)
        records = (await self.broker.read(last, ALL_EVENTS)).records
        assert len(records) == len(new)
        for record, (each, _) in zip(records, new, strict=True):
            self.history.add(record, each, now_ms)
            self.sent.append(each)
        if new:
            self.history.trim(now_ms)
        self.history.note(now_ms)

    async def repeat(self, nth: int) -> None:
        """Send an update again, if that is a retry."""
        now_ms = self.now_ms + 2
        newest = {
            held.update.event.id: held.update
            for held in self.history.log
            if held.record.own_id
            and not any(self.history.is_over(topic, now_ms) for topic in held.record.topics)
        }
        if newest:
            again = [*newest.values()][nth % len(newest)]
            await self.pace.change(lambda: self.publish([again]))

    async def trim_now(self) -> None:
        await self.broker.trim()
        self.history.trim_later(self.now_ms)
        self.history.note(self.now_ms)

    # Workers

    async def restart(self, number: int) -> None:
        before = self.workers[number]
        await self.pace.idle()
        for client in self.clients:
            if client.connection.worker is before:
                await self.leave(client, IDLE)
        await before.end()
        self.workers[number] = self.worker()
        await self.pace.idle()
        for client in self.clients:
            if client.connection.worker is before:
                self.come_back(client, number)

    # Clients

    def connect(self, wish: Wish, header_id: str, worker: int) -> Connection:
        return Connection(
            self.workers[worker % WORKERS], wish, header_id, lambda: len(self.history.moments) - 1
        )

    def come(self, wish: Wish, worker: int, *, is_slow: bool) -> None:
        if isinstance(wish.last_id, int):
            places = [self.history.begin, *(each.place for each in self.history.updates)]
            wish = wish._replace(last_id=str(places[wish.last_id % len(places)]))
        if not wish.rewind:
            wish = wish._replace(new=())
        client = Client(wish, self.connect(wish, "", worker))
        client.connection.is_slow = is_slow
        self.clients.append(client)

    async def leave(self, client: Client, events: int) -> None:
        """Have a client lose its connection, after it got some of the events."""
        await client.connection.cut()
        self.judge(client, is_settled=False)
        got = events_of(client.connection)
        got = got[: events % (len(got) + 1)] if events != IDLE else got
        if got:
            client.last_id = got[-1].id

    def come_back(self, client: Client, worker: int) -> None:
        """Have a client come back as an EventSource does."""
        client.connection = self.connect(client.wish, client.last_id, worker)

    async def cut(self, step: Cut) -> None:
        client = self.clients[step.client % len(self.clients)]
        if client.connection.status == 204:
            return
        await self.leave(client, step.events)
        if step.writes_url:
            self.write_url(client, step.added)
        self.come_back(client, step.worker)

    def write_url(self, client: Client, added: str) -> None:
        """Have a client write its last id, and a further topic, into its URL."""
        wish, last_id = client.wish, client.last_id
        if not last_id:
            return
        is_over = last_id.partition(";")[0].find("~") < 0
        new = () if is_over else wish.new
        topics = wish.topics
        if added and added not in topics:
            topics = (*topics, added)
            new = (*new, added) if wish.rewind else ()
        client.wish = wish._replace(topics=topics, new=new, last_id=last_id)
        client.last_id = ""

    # Judging

    async def settle(self) -> None:
        """Have everything be read, sent and taken, and judge it."""
        await self.pace.idle()
        for worker in self.workers:
            before = None
            while before != worker.feed.ring.last:
                before = worker.feed.ring.last
                worker.read_on()
                await self.pace.idle()
        while any(client.connection.paused for client in self.clients):
            for client in self.clients:
                client.connection.take(stays_slow=client.connection.is_slow)
            await self.pace.idle()
        for client in self.clients:
            client.connection.check()
            self.judge(client, is_settled=True)

    def judge(self, client: Client, *, is_settled: bool) -> None:
        judge = Judge(
            self.history, client.connection, is_settled=is_settled, in_parts=self.in_parts
        )
        try:
            judge.check()
        except AssertionError as error:
            error.add_note(judge.story)
            raise
