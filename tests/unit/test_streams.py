import asyncio
import logging

import pytest

from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import FLUSH_SECONDS, StreamLimits, Streams
from barestream.delivery.time_slices import Slices
from barestream.delivery.writer import MARK_BYTES
from barestream.mercure.sse import frame
from barestream.mercure.time_budget import UNBOUNDED
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream

LIMITS = StreamLimits(heartbeat_seconds=15, slow_seconds=30, drain_seconds=2, retry_ms=2000)


@pytest.fixture
def now() -> FakeClock:
    return FakeClock()


def mean(low: float, high: float) -> float:
    return (low + high) / 2


@pytest.fixture
def streams(now: FakeClock) -> Streams:
    return Streams(LIMITS, now, Metrics(), Slices(now), uniform=mean)


def sweep(streams: Streams) -> None:
    for _ in streams.sweep(UNBOUNDED):
        pass


def open_streams(streams: Streams, now: FakeClock, number: int) -> list[tuple[Stream, FakeWriter]]:
    opened = [fake_stream(now) for _ in range(number)]
    for stream, _ in opened:
        streams.open(stream)
    return opened


def test_the_figure_of_each_end_begins_at_0_and_the_limit_is_told() -> None:
    metrics = Metrics()
    Streams(LIMITS, FakeClock(), metrics, Slices(FakeClock()))
    lines = metrics.text().decode().splitlines()
    for reason in EndReason:
        assert f'barestream_streams_ended_total{{reason="{reason}"}} 0.0' in lines
    assert f"barestream_streams_limit {LIMITS.most_streams}.0" in lines


def test_a_stream_starts_with_a_reconnection_delay(streams: Streams, now: FakeClock) -> None:
    [(_, writer)] = open_streams(streams, now, 1)
    assert writer.body == b"retry: 2000\n"


def test_delays_are_drawn_around_their_mean() -> None:
    drawn = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    streams = Streams(LIMITS, FakeClock(), Metrics(), Slices(FakeClock()), uniform)
    assert streams.retry().body == b"retry: 1000\n"
    assert drawn == [(1000, 3000)]


def test_a_silent_stream_gets_heartbeats_and_a_busy_one_does_not(
    streams: Streams, now: FakeClock
) -> None:
    [(_, silent), (busy, loud)] = open_streams(streams, now, 2)
    for second in range(1, 31):
        now.seconds = second
        busy.write(frame(b"x"))
        sweep(streams)
    assert silent.body.count(b":\n") == 2
    assert b":\n" not in loud.body.replace(b"retry: 2000\n", b"")


def test_a_client_that_takes_nothing_is_cut(streams: Streams, now: FakeClock) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 0
    stream.write(frame(b"x" * 100))
    for second in range(1, 30):
        now.seconds = second
        sweep(streams)
    assert not writer.aborted
    now.seconds = 30
    sweep(streams)
    assert writer.aborted
    assert stream.end_reason is EndReason.TOO_SLOW


def test_a_client_that_takes_a_little_is_not_cut(streams: Streams, now: FakeClock) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 0
    stream.write(frame(b"x" * 1000))
    for second in range(1, 200):
        now.seconds = second
        writer.pending_bytes -= second % 20 == 0
        sweep(streams)
    assert not writer.aborted
    assert b":\n" not in writer.body[len(b"retry: 2000\n") :]


def test_a_drain_ends_all_streams_evenly_with_a_delay(streams: Streams, now: FakeClock) -> None:
    opened = open_streams(streams, now, 4)
    ended_at: list[float] = []

    async def sleep(seconds: float) -> None:
        await now.sleep(seconds)
        for stream, writer in opened:
            if writer.closed and stream in streams._streams:
                ended_at.append(now.seconds)
                streams.close(stream)

    asyncio.run(streams.drain(sleep=sleep))
    assert [round(at, 1) for at in ended_at] == [0.5, 1.0, 1.5, 1.5]
    assert all(writer.body.endswith(b"retry: 2000\n" * 2) for _, writer in opened)
    assert {stream.end_reason for stream, _ in opened} == {EndReason.DRAINED}


def test_a_quick_drain_ends_all_streams_at_once(streams: Streams, now: FakeClock) -> None:
    opened = open_streams(streams, now, 4)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for stream, _ in opened:
            streams.close(stream)

    asyncio.run(streams.drain(quick=True, sleep=sleep))
    assert slept == [0.01]


def test_a_stream_that_does_not_flush_is_cut_at_the_end_of_the_drain(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    asyncio.run(streams.drain(sleep=now.sleep))
    assert writer.aborted
    assert stream.end_reason is EndReason.DRAINED
    assert now.seconds == pytest.approx(FLUSH_SECONDS, abs=0.1)


def test_a_stream_opened_during_a_drain_gets_a_retry_delay_and_is_closed(
    streams: Streams, now: FakeClock
) -> None:
    asyncio.run(streams.drain(sleep=now.sleep))
    [(_, writer)] = open_streams(streams, now, 1)
    assert writer.body == b"retry: 2000\n"
    assert writer.closed


def test_the_end_of_a_stream_is_logged_once_with_its_figures(
    streams: Streams, now: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    [(stream, _)] = open_streams(streams, now, 1)
    stream.write(frame(b"12345"), events=1)
    now.seconds = 2.5
    streams.close(stream)
    [record] = caplog.records
    assert record.getMessage() == "stream ended"
    found = {name: getattr(record, name) for name in ("route", "seconds", "events", "bytes")}
    assert found == {"route": "/test", "seconds": 2.5, "events": 1, "bytes": 17}
    assert record.reason == "client left"  # type: ignore[attr-defined]
    assert len(streams) == 0


def test_a_client_that_takes_little_and_is_always_behind_is_not_cut(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 0
    stream.on_resume(lambda: stream.write(frame(b"x" * 100)))
    stream.write(frame(b"x" * 100))
    for second in range(1, 100):
        now.seconds = second
        if second % 20 == 0:
            # Between two sweeps: as many bytes wait as before.
            writer.drain()
        sweep(streams)
    assert not writer.aborted


def test_a_stream_beyond_the_limit_gets_a_retry_delay_and_is_ended(now: FakeClock) -> None:
    limits = StreamLimits(most_streams=2)
    streams = Streams(
        limits, now, Metrics(), Slices(now), uniform=lambda low, high: (low + high) / 2
    )
    [_, (second, _), (third, writer)] = open_streams(streams, now, 3)
    assert second.end_reason is None
    assert third.end_reason is EndReason.FULL
    assert writer.body == b"retry: 2000\n"
    assert writer.closed


def test_a_silent_stream_gets_its_own_kind_of_heartbeat(streams: Streams, now: FakeClock) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    stream.heartbeat = lambda: frame(b"beat")
    now.seconds = LIMITS.heartbeat_seconds
    sweep(streams)
    assert writer.body.endswith(b"beat")


def swept_each_second(streams: Streams, now: FakeClock, upto: int) -> None:
    while now.seconds < upto:
        now.seconds += 1
        sweep(streams)


def test_bytes_that_the_kernel_sends_count_as_taken_by_the_client(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes, writer.unacknowledged_bytes = 0, 3_000_000
    stream.write(frame(b"x" * 1000))
    for _ in range(100):
        writer.unacknowledged_bytes -= 15_000
        swept_each_second(streams, now, upto=int(now.seconds) + 1)
    assert not writer.aborted
    swept_each_second(streams, now, upto=int(now.seconds) + 31)
    assert writer.aborted


def test_a_client_below_the_mark_that_takes_nothing_is_cut(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 1_000_000
    for _ in range(40):
        # No byte of it is taken, so it is no sign that the client reads.
        stream.write(frame(b"x" * 100))
        swept_each_second(streams, now, upto=int(now.seconds) + 1)
    assert not stream.paused
    assert writer.aborted
    assert stream.end_reason is EndReason.TOO_SLOW


def test_a_client_whose_buffer_is_refilled_each_time_is_not_cut(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 1_000_000
    for _ in range(100):
        stream.write(frame(b"x" * 100))
        writer.pending_bytes = 100
        writer.unacknowledged_bytes = 500_000
        swept_each_second(streams, now, upto=int(now.seconds) + 1)
    assert not writer.aborted


def test_an_ended_stream_is_cut_when_its_client_takes_nothing(
    streams: Streams, now: FakeClock
) -> None:
    [(stream, writer)] = open_streams(streams, now, 1)
    writer.take_bytes = 1_000_000
    stream.end(EndReason.EXPIRED, frame(b"last"))
    swept_each_second(streams, now, upto=29)
    assert not writer.aborted
    swept_each_second(streams, now, upto=30)
    assert writer.aborted
    assert stream.end_reason is EndReason.EXPIRED


def test_only_the_streams_of_revoked_tokens_end(streams: Streams, now: FakeClock) -> None:
    opened = open_streams(streams, now, 4)
    for (stream, _), jti in zip(opened, "aab", strict=False):
        stream.token = TokenId(None, jti, None, None, ())
    slow, writer = opened[1]
    writer.take_bytes = 0
    slow.write(frame(b"x" * MARK_BYTES))
    asyncio.run(streams.end_revoked(lambda token: token.jti == "a"))
    assert [stream.end_reason for stream, _ in opened] == [EndReason.REVOKED] * 2 + [None] * 2
    assert [(writer.closed, writer.aborted) for _, writer in opened] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
    ]
