"""A feed whose slices end anywhere while clients come, leave, pause, and its history changes."""

import asyncio
import random
import re
from collections.abc import Generator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import NamedTuple

import pytest

from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.stream import Stream
from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.delivery.time_slices import Slices
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream, flush

# What each client wants.
SUBSCRIPTIONS = (
    ({"loud", "quiet"}, EVERYTHING_PUBLIC),
    ({"quiet"}, Subscription(Selectors(["quiet"]), Selectors(()))),
)

GAP = re.compile(rb"event: barestream.gap\ndata: .*\nid: #(\d+)-0\n\n")

METRICS = Metrics()

# Far more steps than any course takes.
MOST_TURNS = 100_000


class Coin(Slices):
    """Slices that end where a random number says so."""

    def __init__(self, numbers: random.Random) -> None:
        super().__init__(FakeClock())
        self._numbers = numbers
        self._share = numbers.choice([0.1, 0.5, 0.9])

    def is_over(self) -> bool:
        return self._numbers.random() < self._share


class Client(NamedTuple):
    stream: Stream
    writer: FakeWriter
    following: AbstractContextManager[None]
    wants: set[str]
    since_ms: int

    def take_all(self) -> None:
        """Take all that waits, and pause no more."""
        was_paused = self.writer.paused
        self.writer.take_bytes = None
        if was_paused:
            self.writer.on_resume()


class Course:
    """A sequence of events and changes of a feed, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._numbers = random.Random(seed)
        slices = Coin(self._numbers)
        replay = Replay(None, slices)
        self._newest_ms = 100
        self.feed = Feed(Ring(8, Place(100, 0)), METRICS, FakeClock(), replay=replay)
        self.feed.budget = slices
        self.clients: list[Client] = []
        self._change: Generator[None, None, None] | None = None

    async def run(self) -> None:
        """Do some steps, then finish all that is pending."""
        steps = [self._append, self._step, self._come, self._leave, self._pause, self._change_log]
        for _ in range(self._numbers.randrange(5, 60)):
            self._numbers.choice(steps)()
            self._go_on()
            await asyncio.sleep(0)
        while self._change:
            self._go_on()
        for client in self.clients:
            client.take_all()
        await self.settle()

    async def settle(self) -> None:
        """Send what is pending, and finish every replay."""
        flush(self.feed)
        for _ in range(MOST_TURNS):
            if len(asyncio.all_tasks()) == 1:
                return
            await asyncio.sleep(0)
        raise AssertionError("it does not come to its end")

    def _record(self) -> Record:
        self._newest_ms += 1
        topic = self._numbers.choice(["loud", "quiet"])
        return Record(Place(self._newest_ms, 0), b"<%d>" % self._newest_ms, (topic,))

    def _append(self) -> None:
        if self._change is None:
            self.feed.append(self._record())

    def _step(self) -> None:
        self.feed.step()

    def _come(self) -> None:
        stream, writer = fake_stream()
        named = Place(self._numbers.randrange(95, self._newest_ms + 3), 0)
        place = self._numbers.choice([None, named])
        wants, subscription = self._numbers.choice(SUBSCRIPTIONS)
        since_ms = (place or self.feed.ring.last).ms
        following = self.feed.follow(stream, place, subscription)
        following.__enter__()
        self.clients.append(Client(stream, writer, following, wants, since_ms))

    def _leave(self) -> None:
        if self.clients:
            self.clients.pop(self._numbers.randrange(len(self.clients))).following.__exit__(
                None, None, None
            )

    def _pause(self) -> None:
        if self.clients:
            client = self._numbers.choice(self.clients)
            if client.writer.take_bytes is None:
                client.writer.take_bytes = 0
            else:
                client.take_all()

    def _change_log(self) -> None:
        if self._change is not None:
            return
        if self._numbers.random() < 0.5:
            self._newest_ms += self._numbers.randrange(20)
            self._change = self.feed.restart(Place(self._newest_ms, 0))
        elif self._numbers.random() < 0.5:
            # A clock was set back.
            self._newest_ms = max(100, self._newest_ms - self._numbers.randrange(30))
            floor = Place(self._newest_ms, 0)
            records = [self._record() for _ in range(self._numbers.randrange(5))]
            self._change = self.feed.leap(floor, records)
        else:
            # An older copy of the history: it has the first of the events, and goes on with others.
            flush(self.feed)
            log = self.feed.ring
            kept = list(log.after(log.floor))[: self._numbers.randrange(8)]
            common = kept[-1].place if kept else log.floor
            records = [*kept, *(self._record() for _ in range(self._numbers.randrange(4)))]
            self._change = self.feed.leap(log.floor, records, common)

    def _go_on(self) -> None:
        if self._change is not None and next(self._change, "over") == "over":
            self._change = None


def numbers_of(part: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"<(\d+)>", part)]


@pytest.mark.parametrize("seed", range(300))
def test_a_client_that_reads_everything_gets_the_next_event_whatever_happened_before(
    seed: int,
) -> None:
    async def main() -> None:
        course = Course(seed)
        await course.run()
        # Beyond each place that a client may have named.
        newest = Place(10_000, 0)
        course.feed.append(Record(newest, b"<10000>", ("loud", "quiet")))
        await course.settle()
        for client in course.clients:
            assert client.writer.body.endswith(b"<10000>")
            # Between two gaps nothing comes twice or out of order.
            parts = GAP.split(client.writer.body)
            for part in parts[::2]:
                assert all(before < after for before, after in pairwise(numbers_of(part)))
            # And after the last one nothing is missing.
            since_ms = int(parts[-2]) if len(parts) > 1 else client.since_ms
            log = course.feed.ring
            wanted = [each for each in log.after(log.floor) if client.wants & {*each.topics}]
            due = [each.place.ms for each in wanted if each.place.ms > since_ms]
            assert numbers_of(parts[-1])[-len(due) :] == due
            client.following.__exit__(None, None, None)

    asyncio.run(main())
