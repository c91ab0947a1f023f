import asyncio
from collections.abc import Callable

import pytest

from barestream.clock import Clock
from barestream.event_log import Place
from barestream.metrics import Metrics
from fake_outlet import FakeClock, fake_stream

# 2026-11-22T16:40:00Z
THEN = 1795365600


def clock_of(interval_seconds: int, history_events: int, now: Callable[[], float]) -> Clock:
    return Clock(interval_seconds, history_events, now, Metrics())


def ticks(clock: Clock, after: Place) -> list[bytes]:
    return [record.body for record in clock.feed.log.after(after)]


def test_a_tick_says_its_second_in_its_id_and_in_rfc_3339() -> None:
    clock = clock_of(1, 3, FakeClock(THEN + 0.5))
    assert ticks(clock, clock.feed.log.before(1)) == [
        b"id: #1795365600000-0\ndata: 2026-11-22T16:40:00+00:00\n\n"
    ]


def test_its_log_is_full_from_the_start_by_computation() -> None:
    clock = clock_of(1, 3, FakeClock(THEN + 0.5))
    assert len(ticks(clock, clock.feed.log.floor)) == 3
    assert clock.feed.log.floor == Place((THEN - 3) * 1000, 0)


def test_two_workers_that_started_at_different_times_say_the_same_bytes() -> None:
    early_time, late_time = FakeClock(THEN - 60), FakeClock(THEN + 0.9)
    early, late = clock_of(5, 10, early_time), clock_of(5, 10, late_time)
    early_time.seconds = THEN + 0.1
    early.fill(early_time.seconds)
    start = early.feed.log.floor
    assert ticks(early, start) == ticks(late, start)


@pytest.mark.parametrize("unknown", [None, "", "garbage", "#9999999999999-0"])
def test_without_a_readable_id_a_client_starts_with_the_newest_tick(unknown: str | None) -> None:
    clock = clock_of(1, 10, FakeClock(THEN + 0.5))
    assert clock.resume(unknown) == Place((THEN - 1) * 1000, 0)


def test_a_readable_id_is_where_the_client_goes_on() -> None:
    clock = clock_of(1, 10, FakeClock(THEN + 0.5))
    assert clock.resume("#1795365595000-0") == Place(1795365595000, 0)


def test_ticks_stand_on_multiples_of_the_interval() -> None:
    log = clock_of(5, 3, FakeClock(THEN + 4.99)).feed.log
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
        assert clock.feed.log.last.ms <= time.seconds * 1000

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(clock.run(early_sleep))
    assert slept == pytest.approx([0.8, 0.001, 1.0, 1.0], abs=1e-6)
    assert clock.feed.log.last == Place((THEN + 2) * 1000, 0)


def test_a_tick_that_comes_while_the_clock_is_read_is_not_a_tick_late() -> None:
    readings = iter([THEN - 0.0001, THEN - 0.00005, THEN + 0.00005, THEN + 0.0001])
    clock = clock_of(1, 10, lambda: next(readings))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(clock.run(sleep))
    assert slept[0] < 0.001
    assert clock.feed.log.last == Place(THEN * 1000, 0)


def test_a_clock_set_back_is_silent_until_its_last_tick_is_past() -> None:
    time = FakeClock(THEN)
    clock = clock_of(1, 10, time)
    time.seconds = THEN - 30
    clock.fill(time.seconds)
    clock.feed.flush()
    assert clock.feed.log.last == Place(THEN * 1000, 0)
    time.seconds = THEN + 1
    clock.fill(time.seconds)
    clock.feed.flush()
    assert clock.feed.log.last == Place((THEN + 1) * 1000, 0)


def test_a_stream_open_over_a_long_jump_is_told_how_many_ticks_it_missed() -> None:
    time = FakeClock(THEN)
    clock = clock_of(1, 10, time)
    stream, outlet = fake_stream()
    with clock.feed.follow(stream, clock.resume(None)):
        time.seconds = THEN + 86_400 * 365
        clock.fill(time.seconds)
        clock.feed.flush()
    assert b'"missed": 31535990' in outlet.body
    assert stream.sent_events == 1 + 1 + 10


def test_a_jump_within_the_history_fills_every_tick() -> None:
    time = FakeClock(THEN)
    clock = clock_of(1, 10, time)
    stream, outlet = fake_stream()
    with clock.feed.follow(stream, clock.resume(None)):
        time.seconds = THEN + 7
        clock.fill(time.seconds)
        clock.feed.flush()
    assert stream.sent_events == 8
    assert b"barestream.gap" not in outlet.body


def test_an_id_of_another_interval_is_resumed_from() -> None:
    clock = clock_of(5, 10, FakeClock(THEN + 1))
    stream, _ = fake_stream()
    with clock.feed.follow(stream, clock.resume(f"#{THEN - 7}000-0")):
        pass
    assert stream.sent_events == 2
