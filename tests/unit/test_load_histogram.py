import random

import pytest

from barestream_load.histogram import Histogram


def histogram_of(*durations_us: int) -> Histogram:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.record(duration_us)
    return histogram


def test_without_durations_there_is_no_percentile() -> None:
    assert histogram_of().percentile_us(50) is None
    assert not histogram_of()


def test_short_durations_are_exact() -> None:
    assert [histogram_of(*range(101)).percentile_us(percent) for percent in (50, 99)] == [50, 99]


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.9, 100])
def test_a_percentile_is_within_two_percent(percent: float) -> None:
    rng = random.Random(7)
    durations_us = sorted(int(rng.lognormvariate(9, 3)) for _ in range(20_000))
    exact_us = durations_us[max(0, round(len(durations_us) * percent / 100) - 1)]
    assert histogram_of(*durations_us).percentile_us(percent) == pytest.approx(exact_us, 0.02, 1)


def test_the_longest_duration_is_exact_and_no_percentile_exceeds_it() -> None:
    histogram = histogram_of(5, 1_000_001)
    assert histogram.most_us == 1_000_001
    assert histogram.percentile_us(100) == pytest.approx(1_000_001, 0.02)
    assert (histogram.percentile_us(100) or 0) <= 1_000_001


def test_a_duration_below_zero_counts_as_zero() -> None:
    assert histogram_of(-3).percentile_us(100) == 0


def test_two_merged_histograms_equal_one_of_all_durations() -> None:
    first, second = histogram_of(1, 2, 300), histogram_of(300, 70_000)
    first.add(second)
    assert len(first) == 5
    assert first.most_us == 70_000
    assert first.percentile_us(60) == pytest.approx(300, 0.02)


def test_a_histogram_does_not_grow_with_the_number_of_durations() -> None:
    histogram = histogram_of(*range(0, 1_000_000, 7))
    assert len(histogram._counts) < 1000
