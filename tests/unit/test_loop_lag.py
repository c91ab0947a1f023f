import asyncio
from collections.abc import Iterable

from barestream.telemetry.loop_lag import PERIOD_SECONDS, LoopLag
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock


def noted(*late_seconds: float) -> list[str]:
    """Return the lines that wakes so late leave in the metrics."""
    return asyncio.run(look(late_seconds))


async def look(late_seconds: Iterable[float]) -> list[str]:
    time, metrics, left = FakeClock(1000), Metrics(), list(late_seconds)

    async def sleep(seconds: float) -> None:
        if not left:
            raise asyncio.CancelledError
        time.seconds += seconds + left.pop(0)

    task = asyncio.create_task(LoopLag(time, metrics).run(sleep))
    await asyncio.wait([task])
    return metrics.text().decode().splitlines()


def test_each_wake_is_counted_by_how_late_it_was() -> None:
    lines = noted(0, 0.004, 0.3)
    for bound, count in (("0.001", 1), ("0.005", 2), ("0.25", 2), ("0.5", 3), ("+Inf", 3)):
        assert f'barestream_loop_lag_seconds_bucket{{le="{bound}"}} {count}.0' in lines


def test_the_latest_wake_of_all_is_kept() -> None:
    [most] = [line for line in noted(0.125, 0.5, 0.25) if "lag_max_seconds 0" in line]
    assert abs(float(most.split()[1]) - 0.5) < 1e-9


def test_a_wake_before_its_time_is_not_late() -> None:
    assert "barestream_loop_lag_seconds_sum 0.0" in noted(-PERIOD_SECONDS / 100)
