import time

import pytest

from barestream_load.usage import Meter


def test_the_usage_of_a_process_is_measured_from_the_start_of_the_meter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, cpu = 100.0, 50.0
    monkeypatch.setattr(time, "monotonic", lambda: at)
    monkeypatch.setattr(time, "process_time", lambda: cpu)
    meter = Meter("streams")
    for seconds, cpu_seconds in ((0.5, 0.1), (0.5, 0.1), (1.0, 0.6), (0.5, 0.0)):
        at, cpu = at + seconds, cpu + cpu_seconds
        meter.look()
    usage = meter.stop()
    assert usage.wall_seconds == pytest.approx(2.5)
    assert usage.cpu_seconds == pytest.approx(0.8)
    assert usage.share == pytest.approx(0.32)
    assert usage.busiest == pytest.approx(0.6)


def test_a_run_shorter_than_a_second_has_no_busiest_second(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: at)
    meter = Meter("streams")
    at += 0.5
    assert meter.stop().busiest == 0
