import asyncio

import pytest

from barestream.delivery.broadcast_loop import MOST_REST_SECONDS, REST_RATIO, BroadcastLoop
from barestream.delivery.feed import Feed
from barestream.delivery.time_slices import Slices
from barestream.delivery.writer import MARK_BYTES
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.sse import Frame
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream

FLOOR = Place(100, 0)


class SlowWriter(FakeWriter):
    """A writer that takes some time for each write."""

    def __init__(self, now: FakeClock, write_seconds: float) -> None:
        super().__init__()
        self._now = now
        self._write_seconds = write_seconds

    def write(self, frame: Frame) -> bool:
        self._now.seconds += self._write_seconds
        return super().write(frame)


def rests(
    write_seconds: float, bursts: list[int], between_seconds: float = 0
) -> tuple[list[float], FakeWriter]:
    """Append bursts of events, each so long after the one before was sent; return the rests.

    The first event of a burst is appended before the rest, the others in it.
    """
    now = FakeClock()
    feed = Feed(Ring(1000, FLOOR), Metrics(), FakeClock())
    writer = SlowWriter(now, write_seconds)
    rested: list[float] = []
    left = 0

    def append(events: int) -> None:
        for _ in range(events):
            feed.append(Record(Place(feed.ring.last.ms + 1, 0), b"<>", ("a",)))

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        append(left)
        await asyncio.sleep(0)

    async def main() -> None:
        nonlocal left
        stream, _ = fake_stream()
        stream.writer = writer
        running = asyncio.create_task(BroadcastLoop(feed, Slices(now), now, rest).run())
        with feed.follow(stream, None):
            await asyncio.sleep(0)
            append(bursts[0])
            for burst in (0, *bursts[1:]):
                left = burst - 1
                append(1 if burst else 0)
                for _ in range(10):
                    await asyncio.sleep(0)
                now.seconds += between_seconds
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())
    return rested, writer


def test_events_that_arrive_in_the_rest_after_a_broadcast_are_sent_together() -> None:
    rested, writer = rests(0.001, [1, 5, 3])
    assert rested == [pytest.approx(REST_RATIO * 0.001)] * 2
    assert writer.writes == 3
    assert writer.body == b"<>" * 9


def test_an_event_that_arrives_after_the_rest_waits_for_no_timer() -> None:
    rested, writer = rests(0.001, [1, 1], REST_RATIO * 0.001)
    assert rested == []
    assert writer.writes == 2


def test_a_rest_is_bounded_however_long_the_broadcast_took() -> None:
    rested, _ = rests(1.0, [1, 1])
    assert rested == [pytest.approx(MOST_REST_SECONDS)]


def test_a_batch_of_more_than_one_write_waits_for_no_further_event() -> None:
    _, writer = rests(0.0, [MARK_BYTES])
    assert writer.writes == 2
    assert len(writer.body) == 2 * MARK_BYTES
