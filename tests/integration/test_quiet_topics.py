"""Quiet topics beside generators that fill the history again and again.

The workers run in this process, because the time for which a busy topic keeps all its updates
(60 s) is no setting.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

import httpx
import pytest

from barestream import app, brokering
from barestream.history.broker import HistoryBounds
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, token
from support.clients.sse_client import Received
from support.servers.served import Served, following, until
from support.servers.valkey_server import ValkeyServer

HISTORY_EVENTS = 2000
TIMES_FILLED = 10

TOPIC_EVENTS = 50
TOPIC_SECONDS = 0.2

GENERATORS = 10
# A generator publishes so many updates in one array.
ARRAY_EVENTS = 10
GENERATION_EVENTS = 200

QUIET = 100
QUIET_EVENTS = 4

# What may not leave for being young must have room in the history: here 1,700 events/s.
ROUND_SECONDS = 0.06
ROUND_EVENTS = GENERATORS * ARRAY_EVENTS
ROUNDS = TIMES_FILLED * HISTORY_EVENTS // ROUND_EVENTS

GAP = "barestream.gap"
READY = "barestream.ready"

Workers = list[Served]


@pytest.fixture(params=["local", "valkey"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Return a worker with its own history, or two workers that share one."""
    bounds = partial(HistoryBounds, topic_seconds=TOPIC_SECONDS)
    monkeypatch.setattr(brokering, "HistoryBounds", bounds)
    settings = {
        "token_key": KEY,
        "history_events": HISTORY_EVENTS,
        "topic_events": TOPIC_EVENTS,
        # Clients that come back are behind it.
        "ring_events": 100,
    }
    with ExitStack() as stack:
        count = 1
        if request.param == "valkey":
            server = stack.enter_context(ValkeyServer())
            settings |= {"broker_url": server.url, "broker_password": server.password}
            count = 2
        apps = [app.create_app(Settings(**settings)) for _ in range(count)]
        yield [stack.enter_context(Served(each, ours=True)) for each in apps]


class Update(NamedTuple):
    topic: str
    data: str
    end: int | None = None

    def json(self) -> dict[str, object]:
        return {name: value for name, value in self._asdict().items() if value is not None}


def one_topic_each(generator: int) -> Iterator[Update]:
    """Yield the updates of a generator that has a topic of its own."""
    for number in itertools.count():
        yield Update(f"generators/{generator}", f"token {number}")


def a_topic_for_each_generation(generator: int) -> Iterator[Update]:
    """Yield the updates of a generator whose topics end, each after GENERATION_EVENTS."""
    for number in itertools.count():
        topic = f"generators/{generator}/{number // GENERATION_EVENTS}"
        is_last = (number + 1) % GENERATION_EVENTS == 0
        yield Update(topic, f"token {number}", 1 if is_last else None)


class Reader:
    """A client of a quiet topic.

    Attributes:
        topic: Its topic.
        got: The data of its updates.
        gaps: The gaps that it was sent.
        last_id: The id with which it comes back: that of its last update, or also that of the
            event that says that its replay is over.
        visits: How often it has come back.
    """

    def __init__(self, topic: str, *, takes_all_ids: bool) -> None:
        self.topic = topic
        self.got: list[str] = []
        self.gaps: list[str] = []
        self.last_id = "earliest"
        self.visits = 0
        self._takes_all_ids = takes_all_ids

    @property
    def has_all(self) -> bool:
        return len(self.got) >= QUIET_EVENTS

    def read(self, event: Received) -> None:
        if event.type == GAP:
            self.gaps.append(event.data)
        elif event.type != READY:
            self.got.append(event.data)
        if event.id and (self._takes_all_ids or event.type != READY):
            self.last_id = event.id

    async def visit(self, worker: Served, seconds: float = 0) -> None:
        """Come back, read what there is, stay for some time, and leave."""
        headers = {"Last-Event-ID": self.last_id}
        async with following(
            worker.address, self.topic, headers=headers, include="ready"
        ) as stream:
            await until(lambda: any(event.type == READY for event in stream.events))
            await asyncio.sleep(seconds)
        for event in stream.events:
            self.read(event)
        self.visits += 1


async def come_back(readers: list[Reader], workers: Workers, chance: random.Random) -> None:
    """Have each reader come back again and again, to any worker."""

    async def run(reader: Reader) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0, 2))
            await reader.visit(chance.choice(workers), chance.uniform(0, 0.2))

    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(run(reader))


@asynccontextmanager
async def staying(readers: list[Reader], workers: Workers) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for reader, worker in zip(readers, itertools.cycle(workers), strict=False):
            stream = await stack.enter_async_context(following(worker.address, reader.topic))
            stream.on_event = reader.read
        yield


async def publish(hub: httpx.AsyncClient, *updates: Update) -> list[str]:
    answer = await hub.post(PATH, json=[update.json() for update in updates])
    assert answer.status_code == 200, answer.text
    ids: list[str] = answer.json()["ids"]
    return ids


async def publish_all(
    hubs: list[httpx.AsyncClient], generators: list[Iterator[Update]], topics: list[str]
) -> None:
    """Publish until the history was filled often enough, and evenly QUIET_EVENTS of each topic."""
    quiet = [Update(topic, str(nth)) for nth in range(QUIET_EVENTS) for topic in topics]
    for number in range(ROUNDS):
        began = time.monotonic()
        hub = hubs[number % len(hubs)]
        due = quiet[len(quiet) * number // ROUNDS : len(quiet) * (number + 1) // ROUNDS]
        await asyncio.gather(
            *(publish(hub, *itertools.islice(each, ARRAY_EVENTS)) for each in generators),
            *(publish(hub, update) for update in due),
        )
        await asyncio.sleep(began + ROUND_SECONDS - time.monotonic())


@pytest.mark.parametrize("generator", [one_topic_each, a_topic_for_each_generation])
def test_no_quiet_client_is_sent_a_gap_or_loses_an_event_while_generators_fill_the_history(
    workers: Workers, generator: Callable[[int], Iterator[Update]]
) -> None:
    topics = [f"quiet/{number}" for number in range(QUIET)]
    stay, visit, come_late = [
        [Reader(topic, takes_all_ids=number % 2 == 0) for number, topic in enumerate(topics)]
        for _ in range(3)
    ]

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            headers = {"Authorization": f"Bearer {token()}"}
            hubs = [
                await stack.enter_async_context(
                    httpx.AsyncClient(base_url=worker.url, headers=headers, timeout=60)
                )
                for worker in workers
            ]
            generators = [generator(number) for number in range(GENERATORS)]
            [first_id, *_] = await publish(hubs[0], *itertools.islice(generators[0], 2))
            await stack.enter_async_context(staying(stay, workers))
            coming = asyncio.create_task(come_back(visit, workers, random.Random(16)))
            try:
                await publish_all(hubs, generators, topics)
            finally:
                coming.cancel()
                await asyncio.wait([coming])
            assert coming.cancelled()
            await until(lambda: all(reader.has_all for reader in stay))
            # One that was cut in its visit comes back too. Others have been away all the while.
            for reader in visit + come_late:
                await reader.visit(workers[-1])
            # The history has let updates go, and says so to those who miss them.
            busy = Reader("generators/0", takes_all_ids=False)
            busy.last_id = first_id
            if generator is one_topic_each:
                await busy.visit(workers[-1])
                assert len(busy.gaps) == 1
                assert TOPIC_EVENTS <= len(busy.got) < HISTORY_EVENTS

    asyncio.run(scenario())
    expected = [str(nth) for nth in range(QUIET_EVENTS)]
    for reader in stay + visit + come_late:
        assert (reader.gaps, reader.got) == ([], expected), reader.topic
    assert sum(reader.visits for reader in visit) > 3 * QUIET
