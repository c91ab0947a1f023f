import asyncio
import re
from collections.abc import Callable, Coroutine

import pytest

from barestream.delivery.broadcast_loop import BroadcastLoop
from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.tail import MOST_PUBLISHED_BYTES, MOST_RETRY_SECONDS, Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import MOST_PAGE_BYTES, BrokerAwayError, HistoryBounds, Page
from barestream.history.local import LocalBroker
from barestream.history.record import Place
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, fake_stream


class FlakyBroker(LocalBroker):
    """A broker that is away while the test says so."""

    def __init__(self, history_events: int = 1000) -> None:
        super().__init__(HistoryBounds(history_events, 1e9, 10**9), FakeClock(1.0))
        self.away = False
        self.why = "away"

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        self._answer()
        return await super().newest(most_events, most_bytes)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        self._answer()
        page = await super().wait(after, most_events, most_bytes)
        self._answer()
        return page

    def _answer(self) -> None:
        if self.away:
            raise BrokerAwayError(self.why)


def tail_of(broker: LocalBroker, ring_events: int = 10) -> Tail:
    log = Ring(ring_events, Place(0, 0))
    feed = Feed(log, Metrics(), FakeClock(1.0), replay=Replay(broker, Slices(FakeClock())))
    return Tail(broker, feed, ring_events, 10**6, Slices(FakeClock()))


def running(tail: Tail, then: Callable[[list[float]], Coroutine[None, None, None]]) -> None:
    """Run a tail beside a coroutine of the test; its sleeps are noted and take no time."""

    async def main() -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await asyncio.sleep(0)

        works = (tail.run(sleep), BroadcastLoop(tail.feed, Slices(FakeClock()), FakeClock()).run())
        tasks = [asyncio.create_task(work) for work in works]
        await settle()
        await then(slept)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(main())


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def bodies(tail: Tail) -> list[bytes]:
    found = tail.feed.ring.after(tail.feed.ring.floor)
    return [record.body.partition(b"data: ")[2].partition(b"\n")[0] for record in found]


async def publish(broker: LocalBroker, *numbers: int) -> None:
    for number in numbers:
        await broker.publish(Update(("a",), Event(str(number))))


def test_a_feed_is_filled_with_the_newest_updates_and_then_follows_the_broker() -> None:
    broker = FlakyBroker()
    asyncio.run(publish(broker, *range(30)))
    tail = tail_of(broker)

    async def then(_slept: list[float]) -> None:
        assert tail.ready
        assert bodies(tail) == [b"%d" % number for number in range(20, 30)]
        await publish(broker, 30)
        await settle()
        assert bodies(tail)[-1] == b"30"

    running(tail, then)


def test_updates_from_before_a_stream_opened_are_not_sent_to_it_live() -> None:
    broker = FlakyBroker()
    tail = tail_of(broker)
    asyncio.run(publish(broker, 1, 2))
    stream, writer = fake_stream()

    async def then(_slept: list[float]) -> None:
        with tail.feed.follow(stream, None):
            await publish(broker, 3)
            await settle()

    running(tail, then)
    assert writer.body.count(b"data: ") == 1


def test_a_broker_that_is_away_is_tried_again_less_and_less_often() -> None:
    broker = FlakyBroker()
    broker.away = True
    tail = tail_of(broker)

    async def then(slept: list[float]) -> None:
        assert not tail.ready
        assert not tail.filled
        assert slept[:4] == [0.1, 0.2, 0.4, 0.8]
        assert max(slept) == MOST_RETRY_SECONDS
        broker.away = False
        await settle()
        assert tail.ready
        slept.clear()
        broker.away = True
        await publish(broker, 1)
        await settle()
        assert not tail.ready
        assert slept[0] == 0.1

    running(tail, then)


def test_a_changed_cause_of_an_absence_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    broker = FlakyBroker()
    broker.away = True
    tail = tail_of(broker)

    async def then(_slept: list[float]) -> None:
        for why in ("refused", "loading", "loading", "refused"):
            broker.why = why
            await settle()

    running(tail, then)
    causes = [vars(record)["why"] for record in caplog.records]
    assert causes == ["away", "refused", "loading", "refused"]


def sent_over_an_absence(broker: FlakyBroker, ring_events: int) -> tuple[bytes, list[int]]:
    """Return what a stream got of 29 events, and their numbers; 28 came during an absence."""
    tail = tail_of(broker, ring_events)
    stream, writer = fake_stream()

    async def then(_slept: list[float]) -> None:
        with tail.feed.follow(stream, None):
            await publish(broker, 1)
            await settle()
            broker.away = True
            await publish(broker, *range(2, 30))
            await settle()
            broker.away = False
            await settle()

    running(tail, then)
    return writer.body, [int(number) for number in re.findall(rb"(?m)^data: (\d+)$", writer.body)]


def test_after_an_absence_of_the_broker_the_tail_misses_no_update() -> None:
    _, numbers = sent_over_an_absence(FlakyBroker(), 100)
    assert numbers == list(range(1, 30))


def test_updates_that_left_the_history_during_an_absence_are_reported_as_a_gap() -> None:
    body, numbers = sent_over_an_absence(FlakyBroker(history_events=10), 5)
    assert body.count(b"barestream.gap") == 1
    assert numbers == [1, *range(20, 30)]


def test_an_update_that_is_too_old_for_the_history_leaves_the_ring_too() -> None:
    clock = FakeClock(1.0)
    broker = LocalBroker(HistoryBounds(1000, 60, 10**9), clock)
    tail = tail_of(broker)

    async def then(_slept: list[float]) -> None:
        await publish(broker, 1, 2)
        clock.seconds = 50
        await publish(broker, 3)
        await settle()
        assert bodies(tail) == [b"1", b"2", b"3"]
        clock.seconds = 90
        trimming = asyncio.create_task(tail.trim(lambda _: asyncio.sleep(0)))
        await settle()
        trimming.cancel()
        assert bodies(tail) == [b"3"]

    running(tail, then)


def test_a_publisher_that_keeps_pace_waits_until_the_streams_were_sent_most_events() -> None:
    async def main() -> None:
        tail = tail_of(FlakyBroker())
        stream, _ = fake_stream()
        with tail.feed.follow(stream, None):
            assert not await tail.pace()
            data = "x" * MOST_PUBLISHED_BYTES
            tail.feed.append(Update(("t",), Event(data)).at(Place(2, 0)))
            assert await tail.pace()
            for _ in tail.feed.flush():
                pass
            assert not await tail.pace()

    asyncio.run(main())
