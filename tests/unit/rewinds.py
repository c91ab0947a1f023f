"""A worker's feed on a history of its own, for tests of rewinds."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from barestream.delivery.cursor import Cursor
from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.rewinding import Plan, Rewinding
from barestream.delivery.stream import Stream
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError, HistoryBounds, Page
from barestream.history.local import LocalBroker
from barestream.history.record import BEGIN, Place, Record
from barestream.history.ring import Ring
from barestream.history.topic_state import Rewind
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event, decode
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream, flush

Result = TypeVar("Result")

# Where the histories of these tests begin; the nth update has the place (n + 1) * 1000.
FLOOR = Place(1000, 0)


class LocalTrouble(LocalBroker):
    """A history that is away for the next so many questions of some kinds.

    Attributes:
        away: For how many questions of each kind.
        asked: How many there were of each kind.
        pages: The answers to reads.
    """

    def __init__(self, bounds: HistoryBounds, now: Callable[[], float]) -> None:
        super().__init__(bounds, now)
        self.away: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.pages: list[Page] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("read", "rewound", "at"):
            return found

        async def answer(*args: Any, **named: Any) -> Any:
            self.asked[name] = self.asked.get(name, 0) + 1
            if self.away.get(name, 0):
                self.away[name] -= 1
                raise BrokerAwayError("away")
            answered = await found(*args, **named)
            if name == "read":
                self.pages.append(answered)
            return answered

        return answer


class World:
    """A history, and a worker that has read all of it.

    Args:
        ring_events: How many updates the worker holds.
        bounds: Those of the history.
    """

    def __init__(self, ring_events: int = 1000, **bounds: Any) -> None:
        self.clock = FakeClock(1.0)
        all_bounds = {"events": 1000, "seconds": 1e9, "bytes": 10**9, **bounds}
        self.broker = LocalTrouble(HistoryBounds(**all_bounds), self.clock)
        slices = Slices(FakeClock())
        replay = Replay(self.broker, slices, self.sleep)
        self.feed = Feed(Ring(ring_events, FLOOR), Metrics(), self.clock, replay=replay)
        self.tail = Tail(self.broker, self.feed, ring_events, 10**6, slices)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Note a sleep, which takes no time."""
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def publish(
        self,
        text: str,
        *topics: str,
        own_id: str | None = None,
        private: bool = False,
        keep: float | None = None,
        end: float | None = None,
    ) -> Place:
        """Publish an update a second later, without a topic to the first letter of its data.

        The worker reads it at once.
        """
        self.clock.seconds += 1
        event = Event(text, own_id)
        await self.broker.publish(Update(topics or (text[0],), event, private, keep, end))
        await self.read_on()
        return self.feed.ring.last

    async def publish_all(self, *texts: str, **fields: Any) -> list[Place]:
        """Publish one after the other."""
        return [await self.publish(text, **fields) for text in texts]

    async def read_on(self) -> None:
        """Have the worker read what it has not read yet, and send it."""
        page = await LocalBroker.read(self.broker, self.feed.ring.last, 1000)
        for record in page.records:
            self.feed.append(record)
        flush(self.feed)

    def plan(self, *topics: str, **fields: Any) -> Plan:
        """Return a plan of a rewind of topics."""
        whole = asking(*topics, readable=fields.pop("readable", ()))
        rewind = fields.pop("rewind", Rewind(events=10))
        plan = Plan(whole, whole, None, BEGIN, None, rewind, 100)
        return plan._replace(**fields)

    def beside(
        self,
        new: str,
        old: str,
        place: Place,
        missed: Missed | None = None,
    ) -> Plan:
        """Return a plan for topics that are new, by their letters, beside others with a cursor."""
        return Plan(
            asking(*old, *new), asking(*new), asking(*old), place, missed, Rewind(events=10), 100
        )


def asking(
    *topics: str, readable: tuple[str, ...] = (), names_topics: bool = False
) -> Subscription:
    """Return a subscription."""
    return Subscription(Selectors(topics), Selectors(readable), names_topics)


def played(scenario: Callable[[], Coroutine[None, None, Result]]) -> Result:
    """Run a scenario, which takes no time."""

    async def bounded() -> Result:
        async with asyncio.timeout(30):
            return await scenario()

    return asyncio.run(bounded())


async def settle() -> None:
    """Let all other work go on as far as it can."""
    for _ in range(100):
        await asyncio.sleep(0)


@asynccontextmanager
async def rewinding(
    world: World, plan: Plan, stream: Stream
) -> AsyncIterator[tuple[Rewinding, "asyncio.Task[Place]"]]:
    """Have a stream rewound beside the test; cancelled at the end where it is not over."""
    rewind = Rewinding(world.tail, plan, stream, world.sleep)
    task = asyncio.create_task(rewind.run())
    try:
        yield rewind, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def rewound(world: World, plan: Plan) -> list[tuple[str, str | None]]:
    """Return the data of each event of a rewind, with its id; a gap as its bounds."""
    stream, writer = fake_stream()
    place = await Rewinding(world.tail, plan, stream, world.sleep).run()
    got = events(writer)
    if got and got[-1][1]:
        assert Cursor.parse(got[-1][1]) == (place, False)
    return got


def events(writer: FakeWriter) -> list[tuple[str, str | None]]:
    """Return the data and the id of each event that a client was sent; a gap as its bounds."""
    whole = b"".join(re.split(rb"(?m)^:\n", writer.body))
    return [(_told(event), event.id) for event in decode(whole)]


def _told(event: Event) -> str:
    if event.type == "barestream.gap":
        data = json.loads(event.data)
        return f"gap {data['from']} {data['to']}"
    return event.data


def texts(records: list[Record]) -> list[str]:
    """Return the data of records."""
    return [event.data for record in records for event in decode(record.body)]
