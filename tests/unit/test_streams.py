import asyncio
import logging

import pytest

from barestream.delivery.slices import Slices
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import FLUSH_SECONDS, Hub, HubLimits
from barestream.mercure.budget import UNBOUNDED
from barestream.mercure.sse import frame
from barestream.telemetry.metrics import Metrics
from fake_outlet import FakeClock, FakeOutlet, fake_stream

LIMITS = HubLimits(heartbeat_seconds=15, slow_seconds=30, drain_seconds=2, retry_ms=2000)


@pytest.fixture
def now() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hub(now: FakeClock) -> Hub:
    return Hub(LIMITS, now, Metrics(), Slices(now), uniform=lambda low, high: (low + high) / 2)


def sweep(hub: Hub) -> None:
    for _ in hub.sweep(UNBOUNDED):
        pass


def open_streams(hub: Hub, now: FakeClock, number: int) -> list[tuple[Stream, FakeOutlet]]:
    opened = [fake_stream(now) for _ in range(number)]
    for stream, _ in opened:
        hub.open(stream)
    return opened


def test_a_stream_starts_with_a_reconnection_delay(hub: Hub, now: FakeClock) -> None:
    [(_, outlet)] = open_streams(hub, now, 1)
    assert outlet.body == b"retry: 2000\n"


def test_delays_are_drawn_around_their_mean() -> None:
    drawn = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    hub = Hub(LIMITS, FakeClock(), Metrics(), Slices(FakeClock()), uniform)
    assert hub.retry().body == b"retry: 1000\n"
    assert drawn == [(1000, 3000)]


def test_silence_gets_a_heartbeat_and_traffic_does_not(hub: Hub, now: FakeClock) -> None:
    [(_, silent), (busy, loud)] = open_streams(hub, now, 2)
    for second in range(1, 31):
        now.seconds = second
        busy.write(frame(b"x"))
        sweep(hub)
    assert silent.body.count(b":\n") == 2
    assert b":\n" not in loud.body.replace(b"retry: 2000\n", b"")


def test_a_client_that_takes_nothing_is_cut(hub: Hub, now: FakeClock) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 0
    stream.write(frame(b"x" * 100))
    for second in range(1, 30):
        now.seconds = second
        sweep(hub)
    assert not outlet.aborted
    now.seconds = 30
    sweep(hub)
    assert outlet.aborted
    assert stream.end_reason is EndReason.TOO_SLOW


def test_a_client_that_takes_a_little_is_not_cut(hub: Hub, now: FakeClock) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 0
    stream.write(frame(b"x" * 1000))
    for second in range(1, 200):
        now.seconds = second
        outlet.pending_bytes -= second % 20 == 0
        sweep(hub)
    assert not outlet.aborted
    assert b":\n" not in outlet.body[len(b"retry: 2000\n") :]


def test_a_drain_ends_all_streams_evenly_with_a_delay(hub: Hub, now: FakeClock) -> None:
    opened = open_streams(hub, now, 4)
    ended_at: list[float] = []

    async def sleep(seconds: float) -> None:
        await now.sleep(seconds)
        for stream, outlet in opened:
            if outlet.closed and stream in hub._streams:
                ended_at.append(now.seconds)
                hub.close(stream)

    asyncio.run(hub.drain(sleep=sleep))
    assert [round(at, 1) for at in ended_at] == [0.5, 1.0, 1.5, 1.5]
    assert all(outlet.body.endswith(b"retry: 2000\n" * 2) for _, outlet in opened)
    assert {stream.end_reason for stream, _ in opened} == {EndReason.DRAINED}


def test_a_quick_drain_ends_all_at_once(hub: Hub, now: FakeClock) -> None:
    opened = open_streams(hub, now, 4)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for stream, _ in opened:
            hub.close(stream)

    asyncio.run(hub.drain(quick=True, sleep=sleep))
    assert slept == [0.01]


def test_a_stream_that_does_not_flush_is_cut_at_the_end_of_the_drain(
    hub: Hub, now: FakeClock
) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    asyncio.run(hub.drain(sleep=now.sleep))
    assert outlet.aborted
    assert stream.end_reason is EndReason.DRAINED
    assert now.seconds == pytest.approx(FLUSH_SECONDS, abs=0.1)


def test_a_stream_that_comes_while_draining_is_told_to_retry(hub: Hub, now: FakeClock) -> None:
    asyncio.run(hub.drain(sleep=now.sleep))
    [(_, outlet)] = open_streams(hub, now, 1)
    assert outlet.body == b"retry: 2000\n"
    assert outlet.closed


def test_a_streams_end_is_logged_once_with_what_it_was(
    hub: Hub, now: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    [(stream, _)] = open_streams(hub, now, 1)
    stream.write(frame(b"12345"), events=1)
    now.seconds = 2.5
    hub.close(stream)
    [record] = caplog.records
    assert record.getMessage() == "stream ended"
    found = {name: getattr(record, name) for name in ("route", "seconds", "events", "bytes")}
    assert found == {"route": "/test", "seconds": 2.5, "events": 1, "bytes": 17}
    assert record.reason == "client left"  # type: ignore[attr-defined]
    assert len(hub) == 0


def test_a_client_that_takes_little_and_is_always_behind_is_not_cut(
    hub: Hub, now: FakeClock
) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 0
    stream.on_resume(lambda: stream.write(frame(b"x" * 100)))
    stream.write(frame(b"x" * 100))
    for second in range(1, 100):
        now.seconds = second
        if second % 20 == 0:
            # Between two looks at it: as much waits for it as before.
            outlet.drain()
        sweep(hub)
    assert not outlet.aborted


def test_one_stream_too_many_is_told_to_come_back(now: FakeClock) -> None:
    limits = HubLimits(most_streams=2)
    hub = Hub(limits, now, Metrics(), Slices(now), uniform=lambda low, high: (low + high) / 2)
    [_, (second, _), (third, outlet)] = open_streams(hub, now, 3)
    assert second.end_reason is None
    assert third.end_reason is EndReason.FULL
    assert outlet.body == b"retry: 2000\n"
    assert outlet.closed


def test_a_streams_own_heartbeat_is_what_its_silence_gets(hub: Hub, now: FakeClock) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    stream.heartbeat = lambda: frame(b"beat")
    now.seconds = LIMITS.heartbeat_seconds
    sweep(hub)
    assert outlet.body.endswith(b"beat")


def swept_each_second(hub: Hub, now: FakeClock, upto: int) -> None:
    while now.seconds < upto:
        now.seconds += 1
        sweep(hub)


def test_what_the_kernel_sends_counts_as_taken(hub: Hub, now: FakeClock) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes, outlet.unacknowledged_bytes = 0, 3_000_000
    stream.write(frame(b"x" * 1000))
    for _ in range(100):
        outlet.unacknowledged_bytes -= 15_000
        swept_each_second(hub, now, upto=int(now.seconds) + 1)
    assert not outlet.aborted
    swept_each_second(hub, now, upto=int(now.seconds) + 31)
    assert outlet.aborted


def test_a_client_below_the_mark_that_takes_nothing_is_cut(hub: Hub, now: FakeClock) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 1_000_000
    for _ in range(40):
        # Nothing of it leaves, so it is no sign of a client that takes something.
        stream.write(frame(b"x" * 100))
        swept_each_second(hub, now, upto=int(now.seconds) + 1)
    assert not stream.paused
    assert outlet.aborted
    assert stream.end_reason is EndReason.TOO_SLOW


def test_a_client_whose_buffer_is_filled_up_again_each_time_is_not_cut(
    hub: Hub, now: FakeClock
) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 1_000_000
    for _ in range(100):
        stream.write(frame(b"x" * 100))
        outlet.pending_bytes = 100
        outlet.unacknowledged_bytes = 500_000
        swept_each_second(hub, now, upto=int(now.seconds) + 1)
    assert not outlet.aborted


def test_a_stream_that_has_ended_is_cut_where_its_client_takes_nothing(
    hub: Hub, now: FakeClock
) -> None:
    [(stream, outlet)] = open_streams(hub, now, 1)
    outlet.take_bytes = 1_000_000
    stream.end(EndReason.EXPIRED, frame(b"last"))
    swept_each_second(hub, now, upto=29)
    assert not outlet.aborted
    swept_each_second(hub, now, upto=30)
    assert outlet.aborted
    assert stream.end_reason is EndReason.EXPIRED
