import asyncio
from contextlib import ExitStack
from typing import Any

from barestream.delivery.feed import Feed
from barestream.delivery.replay import MOST_READS, Replay
from barestream.delivery.stream import EndReason
from barestream.delivery.subscription import Subscription
from barestream.delivery.time_slices import Slices
from barestream.history.broker import MOST_PAGE_BYTES, BrokerAwayError, HistoryBounds, Page
from barestream.history.local import LocalBroker
from barestream.history.record import Place
from barestream.history.ring import Ring
from barestream.history.topic_state import Reader
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream, flush

BEGIN = Place(0, 0)


class SlowBroker(LocalBroker):
    """A broker that answers a read some turns later, and counts the reads that wait at once."""

    def __init__(self, history_events: int = 1000) -> None:
        super().__init__(HistoryBounds(history_events, 1e9, 10**9), FakeClock(1.0))
        self.failures = 0
        self.failure: Exception = BrokerAwayError("away")
        self.reads = self.at_once = self.most_at_once = 0

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        self.reads += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise self.failure
        return await super().read(after, most_events, most_bytes, reader)


async def fill(broker: LocalBroker, feed: Feed, numbers: range, topic: str = "a") -> None:
    for number in numbers:
        place = Place.parse(await broker.publish(Update((topic,), Event(str(number)))))
        feed.append(Update((topic,), Event(str(number))).at(place))
        flush(feed)


def numbers(writer: FakeWriter) -> list[int]:
    lines = writer.body.decode().splitlines()
    return [int(line[6:]) for line in lines if line.startswith("data: ") and line[6:].isdigit()]


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def feed_on(broker: LocalBroker, ring_events: int) -> Feed:
    return Feed(
        Ring(ring_events, BEGIN),
        Metrics(),
        FakeClock(1.0),
        replay=Replay(broker, Slices(FakeClock())),
    )


def test_events_that_left_the_ring_are_replayed_from_the_history_before_live_ones() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(700))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 0)):
            # Published while the history is read.
            await asyncio.sleep(0)
            await fill(broker, feed, range(700, 720))
            await settle()
            await fill(broker, feed, range(720, 722))
        assert numbers(writer) == list(range(722))

    asyncio.run(main())


def test_a_client_behind_the_history_is_sent_a_gap_and_goes_on() -> None:
    async def main() -> None:
        broker = SlowBroker(history_events=50)
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 20)):
            await settle()
        assert writer.body.count(b"barestream.gap") == 1
        assert b'"from": "#1000-20"' in writer.body
        assert numbers(writer) == list(range(50, 100))

    asyncio.run(main())


class LateBroker(LocalBroker):
    """A broker that answers late, with the history that it had when it was asked."""

    reads = 0

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        page = await super().read(after, most_events, most_bytes, reader)
        self.reads += 1
        await settle()
        return page


def test_a_page_of_a_history_that_was_lost_meanwhile_is_not_sent() -> None:
    async def main() -> None:
        bounds = HistoryBounds(1000, 1e9, 10**9)
        broker, copy = (LateBroker(bounds, FakeClock(1.0)) for _ in range(2))
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100))
        for number in (*range(50), *range(500, 600)):
            await copy.publish(Update(("a",), Event(str(number))))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 20)):
            while not broker.reads:
                await asyncio.sleep(0)
            # An older copy was put back, and went on with other events.
            broker.__dict__.update(copy.__dict__)
            page = await broker.newest(10, 10**6)
            records = page.records
            for _ in feed.leap(page.floor, records, Place(1000, 50)):
                pass
            for _ in range(10):
                await settle()
        assert numbers(writer) == [*range(20, 50), *range(500, 600)]

    asyncio.run(main())


def test_only_wanted_events_are_replayed_from_the_history() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        for number in range(300):
            await fill(broker, feed, range(number, number + 1), "ab"[number % 2])
        stream, writer = fake_stream()
        with feed.follow(stream, BEGIN, Subscription(Selectors(["b"]), Selectors(()))):
            await settle()
        assert numbers(writer) == list(range(1, 300, 2))

    asyncio.run(main())


def test_reads_of_old_history_are_bounded() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100))
        streams = [fake_stream() for _ in range(5 * MOST_READS)]
        following = [feed.follow(stream, Place(1000, 0)) for stream, _ in streams]
        for each in following:
            each.__enter__()
        await settle()
        assert all(numbers(writer) == list(range(100)) for _, writer in streams)
        assert broker.most_at_once == MOST_READS
        for each in following:
            each.__exit__(None, None, None)

    asyncio.run(main())


def test_clients_that_return_together_share_the_same_reads() -> None:
    async def main() -> None:
        broker = SlowBroker(history_events=5000)
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(3000))
        streams = [fake_stream() for _ in range(100)]
        with ExitStack() as following:
            for number, (stream, _) in enumerate(streams):
                following.enter_context(feed.follow(stream, Place(1000, number)))
            for _ in range(20):
                await settle()
        for number, (_, writer) in enumerate(streams):
            assert numbers(writer) == list(range(number, 3000))
        # A stream alone takes 6 pages of 500.
        assert broker.reads < 30

    asyncio.run(main())


def test_clients_that_return_together_each_with_an_own_topic_read_it_once() -> None:
    async def main() -> None:
        broker = LocalBroker(HistoryBounds(1000, 1e9, 10**9), FakeClock(1.0))
        reads = 0
        whole_read = broker.read

        async def read(*args: Any, **named: Any) -> Page:
            nonlocal reads
            reads += 1
            return await whole_read(*args, **named)

        broker.__dict__["read"] = read
        # Each step of the replay has a turn of its own; the history answers several in one.
        slices = Slices(FakeClock(), slice_seconds=0)
        feed = Feed(Ring(10, BEGIN), Metrics(), FakeClock(), replay=Replay(broker, slices))
        for number in range(300):
            await fill(broker, feed, range(number, number + 1), str(number % 100))
        streams = [fake_stream() for _ in range(100)]
        with ExitStack() as following:
            for number, (stream, _) in enumerate(streams):
                wanted = Subscription(Selectors([str(number)]), Selectors(()))
                following.enter_context(feed.follow(stream, BEGIN, wanted))
            for _ in range(20):
                await settle()
        for number, (_, writer) in enumerate(streams):
            assert numbers(writer) == list(range(number, 300, 100))
        assert reads == 100

    asyncio.run(main())


def test_a_client_whose_next_event_the_worker_has_not_read_yet_gets_it_once() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100), "b")
        # Another worker's event: this one's tail comes to it later.
        place = Place.parse(await broker.publish(Update(("a",), Event("100"))))
        stream, writer = fake_stream()
        with feed.follow(stream, BEGIN, Subscription(Selectors(["a"]), Selectors(()))):
            await settle()
            assert numbers(writer) == []
            feed.append(Update(("a",), Event("100")).at(place))
            flush(feed)
            await settle()
        assert numbers(writer) == [100]

    asyncio.run(main())


def test_a_slow_client_costs_one_page_at_a_time_and_gets_everything() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(300))
        stream, writer = fake_stream()
        writer.take_bytes = 0
        with feed.follow(stream, Place(1000, 0)):
            while numbers(writer) != list(range(300)):
                await settle()
                assert writer.pending_bytes
                writer.drain()
        assert broker.reads < 300

    asyncio.run(main())


def test_events_that_left_the_history_are_not_kept_for_the_next_client() -> None:
    async def main() -> None:
        broker = SlowBroker(history_events=20)
        feed = feed_on(broker, 5)
        await fill(broker, feed, range(20))
        early, _ = fake_stream()
        late, writer = fake_stream()
        with feed.follow(early, Place(1000, 0)):
            await settle()
            await fill(broker, feed, range(20, 60))
        with feed.follow(late, Place(1000, 0)):
            await settle()
        assert writer.body.count(b"barestream.gap") == 1
        assert numbers(writer) == list(range(40, 60))

    asyncio.run(main())


def test_without_the_broker_a_replay_waits_and_asks_again() -> None:
    async def main() -> None:
        broker = SlowBroker()
        broker.failures = 3
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await asyncio.sleep(0)

        replay = Replay(broker, Slices(FakeClock()), sleep)
        feed = Feed(Ring(10, BEGIN), Metrics(), FakeClock(1.0), replay=replay)
        await fill(broker, feed, range(100))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 0)):
            await settle()
        assert [seconds for seconds in slept if seconds] == [1.0, 1.0, 1.0]
        assert numbers(writer) == list(range(100))

    asyncio.run(main())


def test_when_a_replay_fails_the_stream_ends_so_that_its_client_reconnects() -> None:
    async def main() -> None:
        broker = SlowBroker()
        broker.failures, broker.failure = 1, ZeroDivisionError()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 0)):
            await settle()
        assert stream.end_reason is EndReason.ERROR
        assert writer.closed

    asyncio.run(main())


def test_a_client_that_leaves_ends_its_replay() -> None:
    async def main() -> None:
        broker = SlowBroker()
        feed = feed_on(broker, 10)
        await fill(broker, feed, range(100))
        stream, writer = fake_stream()
        with feed.follow(stream, Place(1000, 0)):
            await asyncio.sleep(0)
        await settle()
        assert writer.body == b""
        assert broker.reads <= 1

    asyncio.run(main())


class SteppingClock(FakeClock):
    """A clock that goes on by a second each time it is read."""

    def __call__(self) -> float:
        self.seconds += 1
        return super().__call__()


def test_any_number_of_subscribers_share_one_slice_between_two_turns_of_the_loop() -> None:
    slice_seconds, streams_at_once = 50, 100

    async def main() -> None:
        broker = SlowBroker()
        clock = SteppingClock()
        slices = Slices(clock, slice_seconds)
        replay = Replay(broker, slices)
        log = Ring(500, BEGIN)
        feed = Feed(log, Metrics(), FakeClock(1.0), replay=replay)
        feed.budget = slices
        await fill(broker, feed, range(300))
        streams = [fake_stream() for _ in range(streams_at_once)]
        held_seconds: list[float] = []
        with ExitStack() as following:
            began_at = clock.seconds
            for stream, _ in streams:
                following.enter_context(feed.follow(stream, BEGIN))
            # A work that asks when the slice is over reads the clock and does nothing else.
            assert clock.seconds - began_at <= slice_seconds + 2 * streams_at_once
            while any(stream.sent_events < 300 for stream, _ in streams):
                before_seconds = clock.seconds
                await asyncio.sleep(0)
                held_seconds.append(clock.seconds - before_seconds)
            all_at = len(held_seconds)
        assert max(held_seconds[2:]) <= slice_seconds + 3
        assert all_at > 300 * streams_at_once / slice_seconds
        assert broker.reads == 0
        assert all(numbers(writer) == list(range(300)) for _, writer in streams)

    asyncio.run(main())
