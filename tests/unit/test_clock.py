import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from barestream.delivery.clock import Clock
from barestream.delivery.time_slices import Slices
from barestream.history.record import Place
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, fake_stream, flush

# 2026-11-22T16:40:00Z
THEN = 1795365600


def clock_of(
    interval_seconds: int,
    history_events: int,
    now: Callable[[], float],
    steady: Callable[[], float] | None = None,
    metrics: Metrics | None = None,
) -> Clock:
    """Return a clock whose wall clock does not jump where it has no other monotonic one."""
    return Clock(interval_seconds, history_events, now, steady or now, metrics or Metrics())


def look(clock: Clock) -> None:
    for _ in clock.look():
        pass
    flush(clock.feed)


async def run(clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> None:
    await clock.run(Slices(lambda: 0.0), sleep)


def ticks(clock: Clock, after: Place) -> list[bytes]:
    return [record.body for record in clock.feed.ring.after(after)]


def test_the_figures_of_jumps_begin_at_0() -> None:
    metrics = Metrics()
    clock_of(1, 3, FakeClock(THEN), metrics=metrics)
    lines = metrics.text().decode().splitlines()
    for direction in ("back", "forward"):
        assert f'barestream_clock_jumps_total{{direction="{direction}"}} 0.0' in lines


def test_a_tick_carries_its_second_in_its_id_and_in_rfc_3339() -> None:
    clock = clock_of(1, 3, FakeClock(THEN + 0.5))
    assert ticks(clock, clock.feed.ring.before(1)) == [
        b"data: 2026-11-22T16:40:00+00:00\nid: #1795365600000-0\n\n"
    ]


def test_the_ring_of_the_clock_is_computed_and_full_from_the_start() -> None:
    clock = clock_of(1, 3, FakeClock(THEN + 0.5))
    assert len(ticks(clock, clock.feed.ring.floor)) == 3
    assert clock.feed.ring.floor == Place((THEN - 3) * 1000, 0)


def test_two_workers_that_started_at_different_times_send_the_same_bytes() -> None:
    early_time, late_time = FakeClock(THEN - 60), FakeClock(THEN + 0.9)
    early, late = clock_of(5, 10, early_time), clock_of(5, 10, late_time)
    early_time.seconds = THEN + 0.1
    look(early)
    start = early.feed.ring.floor
    assert ticks(early, start) == ticks(late, start)


@pytest.mark.parametrize("unknown", [[], [""], ["garbage"], ["#9999999999999-0"]])
def test_without_a_readable_id_a_client_starts_with_the_newest_tick(unknown: list[str]) -> None:
    clock = clock_of(1, 10, FakeClock(THEN + 0.5))
    assert clock.resumption(unknown).place == Place((THEN - 1) * 1000, 0)


def test_a_client_resumes_from_a_readable_id() -> None:
    clock = clock_of(1, 10, FakeClock(THEN + 0.5))
    assert clock.resumption(["#1795365595000-0"]).place == Place(1795365595000, 0)


def test_ticks_stand_on_multiples_of_the_interval() -> None:
    log = clock_of(5, 3, FakeClock(THEN + 4.99)).feed.ring
    assert log.last == Place(THEN * 1000, 0)


def test_no_tick_comes_before_its_second_even_where_the_timer_is_early() -> None:
    time = FakeClock(THEN + 0.2)
    clock = clock_of(1, 10, time)
    slept: list[float] = []

    async def early_sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise asyncio.CancelledError
        # The first wake comes a millisecond early.
        time.seconds += seconds - (0.001 if len(slept) == 1 else 0)
        assert clock.feed.ring.last.ms <= time.seconds * 1000

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run(clock, early_sleep))
    assert slept == pytest.approx([0.8, 0.001, 1.0, 1.0], abs=1e-6)
    assert clock.feed.ring.last == Place((THEN + 2) * 1000, 0)


def test_a_tick_that_falls_due_while_the_clock_is_read_is_not_a_tick_late() -> None:
    # Two reads at the start, then one for each look, and one for the lag of a tick.
    readings = iter([THEN - 0.0002, THEN - 0.0001, THEN - 0.00005, THEN + 0.00005, THEN + 0.0001])
    clock = clock_of(1, 10, lambda: next(readings), lambda: 0.0)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run(clock, sleep))
    assert slept[0] < 0.001
    assert clock.feed.ring.last == Place(THEN * 1000, 0)


class Clocks:
    """A wall clock that can be set, and a monotonic one."""

    def __init__(self) -> None:
        self.wall, self.steady = FakeClock(THEN), FakeClock(1000)

    def pass_by(self, seconds: float) -> None:
        self.wall.seconds += seconds
        self.steady.seconds += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def clock(clocks: Clocks, metrics: Metrics) -> Clock:
    return clock_of(1, 10, clocks.wall, clocks.steady, metrics)


def seconds_of(body: bytes) -> list[int | None]:
    """Return the second of each tick, from now on, and None for a gap."""
    found = re.findall(rb"(?m)^(event: barestream.gap\n)?data: .*\nid: #(\d+)000-0$", body)
    return [int(second) - THEN if not gap else None for gap, second in found]


def gap_ids(body: bytes) -> list[bytes]:
    """Return the id of each gap."""
    return re.findall(rb"(?m)^event: barestream.gap\ndata: .*\nid: (.*)$", body)


def lags(metrics: Metrics, above: float) -> float:
    """Return how many lags above a bound were observed."""
    [family] = metrics.lag_seconds.collect()
    buckets = {sample.labels.get("le"): sample.value for sample in family.samples}
    return buckets["+Inf"] - buckets[str(above)]


def test_a_clock_set_back_a_little_is_silent_until_its_last_tick_is_past(
    clock: Clock, clocks: Clocks
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        clocks.wall.seconds -= 3
        for _ in range(4):
            look(clock)
            clocks.pass_by(1)
        look(clock)
    assert seconds_of(writer.body) == [0, 1]


def test_a_clock_set_back_far_sends_a_gap_and_goes_on_at_once(
    clock: Clock, clocks: Clocks, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        clocks.wall.seconds -= 3600
        look(clock)
        clocks.pass_by(1)
        look(clock)
    assert seconds_of(writer.body) == [0, None, -3600, -3599]
    # The cursor of a client follows.
    assert gap_ids(writer.body) == [f"#{THEN - 3601}000-0".encode()]
    assert b'"missed": 0' in writer.body
    [record] = caplog.records
    assert record.getMessage() == "the wall clock was set back"
    assert record.jump_seconds == -3600  # type: ignore[attr-defined]
    assert lags(metrics, above=0.001) == 0


def test_many_small_steps_back_count_as_a_large_one(clock: Clock, clocks: Clocks) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        for _ in range(3):
            clocks.wall.seconds -= 4
            look(clock)
            clocks.pass_by(1)
    assert seconds_of(writer.body) == [0, None, -7]


def test_a_clock_set_forward_sends_a_gap_and_the_newest_tick(
    clock: Clock, clocks: Clocks, metrics: Metrics
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        clocks.wall.seconds += 3600
        look(clock)
        clocks.pass_by(1)
        look(clock)
    assert seconds_of(writer.body) == [0, None, 3600, 3601]
    assert b'"missed": 3599' in writer.body
    assert lags(metrics, above=0.001) == 0


def test_ticks_delayed_by_a_held_loop_are_all_sent(
    clock: Clock, clocks: Clocks, metrics: Metrics
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        clocks.pass_by(7)
        look(clock)
    assert seconds_of(writer.body) == [0, 1, 2, 3, 4, 5, 6, 7]
    # And they were late.
    assert lags(metrics, above=5.0) == 1


def test_a_clock_whose_loop_was_held_for_longer_than_its_ring_lasts_sends_a_gap(
    clock: Clock, clocks: Clocks
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        clocks.pass_by(100)
        look(clock)
    assert seconds_of(writer.body) == [0, None, *range(91, 101)]


def test_a_slow_client_goes_on_at_the_new_time_after_a_jump_of_the_clock(
    clock: Clock, clocks: Clocks
) -> None:
    stream, writer = fake_stream()
    with clock.feed.follow(stream, clock.resumption([]).place):
        writer.take_bytes = 0
        for _ in range(3):
            clocks.pass_by(1)
            look(clock)
        clocks.wall.seconds -= 3600
        look(clock)
        writer.drain()
        clocks.pass_by(1)
        writer.take_bytes = None
        look(clock)
    assert seconds_of(writer.body) == [0, 1, None, -3597, -3596]


def test_a_client_with_a_place_from_before_the_clock_was_set_back_is_sent_a_gap(
    clock: Clock, clocks: Clocks
) -> None:
    clocks.wall.seconds -= 3600
    look(clock)
    last_id = f"#{THEN}000-0"
    start = clock.resumption([last_id])
    assert start.missed is not None
    assert start.missed.after == last_id
    stream, writer = fake_stream()
    with clock.feed.follow(stream, start.place, missed=start.missed):
        pass
    assert seconds_of(writer.body) == [None, -3600]


@pytest.mark.parametrize("known", [[], [""], ["garbage"], [f"#{THEN}000-0"], [f"#{THEN + 3}000-0"]])
def test_an_id_of_a_machine_that_is_slightly_ahead_is_accepted(
    clock: Clock, known: list[str]
) -> None:
    assert clock.resumption(known).missed is None


def test_a_clock_that_ticks_rarely_checks_the_time_every_second(clocks: Clocks) -> None:
    clock = clock_of(3600, 10, clocks.wall, clocks.steady)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run(clock, sleep))
    assert slept == [1.0]


def test_a_client_resumes_from_an_id_of_another_interval() -> None:
    clock = clock_of(5, 10, FakeClock(THEN + 1))
    stream, _ = fake_stream()
    with clock.feed.follow(stream, clock.resumption([f"#{THEN - 7}000-0"]).place):
        pass
    assert stream.sent_events == 2
