import pytest

from barestream.delivery.lag import DeliveryLag
from barestream.history.record import Place
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock

# 2026-11-22T16:40:00Z
THEN = 1795365600


class Source:
    """A source whose clock is off, and the two clocks of the machine that reads it."""

    def __init__(self, off_seconds: float = 0) -> None:
        self.wall, self.steady = FakeClock(THEN), FakeClock(1000)
        self.off_seconds = off_seconds
        self.metrics = Metrics()
        self.lag = DeliveryLag(self.metrics, self.wall, self.steady)

    def pass_by(self, seconds: float) -> None:
        self.wall.seconds += seconds
        self.steady.seconds += seconds

    def now(self) -> Place:
        """Return a place of this moment by the source's clock."""
        return Place(round((self.wall.seconds + self.off_seconds) * 1000), 0)

    def observed(self) -> list[float]:
        [family] = self.metrics.lag_seconds.collect()
        return [sample.value for sample in family.samples if sample.name.endswith("_sum")]


def delivered(source: Source) -> None:
    """Have an event wait 0.2 s for its read, and be sent for 0.1 s."""
    source.lag.ask()
    source.lag.read_to_end()
    source.pass_by(0.5)
    source.lag.ask()
    place = source.now()
    source.pass_by(0.2)
    source.lag.begin(place)
    source.lag.read_to_end()
    source.pass_by(0.1)
    source.lag.end(1, observed=True)


def test_the_lag_is_the_time_from_the_place_of_an_event_to_the_end_of_its_sending() -> None:
    source = Source()
    delivered(source)
    assert source.observed() == [pytest.approx(0.3)]


def test_a_source_whose_clock_is_behind_adds_no_more_than_the_time_since_it_was_read() -> None:
    source = Source(off_seconds=-3600)
    delivered(source)
    assert source.observed() == [pytest.approx(0.7 + 0.1)]


def test_a_source_whose_clock_is_ahead_adds_nothing() -> None:
    source = Source(off_seconds=3600)
    delivered(source)
    assert source.observed() == [pytest.approx(0.1)]


def test_a_jump_of_the_clock_while_an_event_is_sent_does_not_count() -> None:
    source = Source()
    source.lag.begin(source.now())
    source.wall.seconds += 3600
    source.pass_by(0.1)
    source.lag.end(1, observed=True)
    assert source.observed() == [pytest.approx(0.1)]


def test_after_a_long_absence_of_the_source_the_whole_lag_counts() -> None:
    source = Source()
    place = source.now()
    source.pass_by(60)
    source.lag.begin(place)
    source.lag.end(1, observed=True)
    assert source.observed() == [pytest.approx(60)]


def test_an_event_that_no_subscriber_was_sent_does_not_count() -> None:
    source = Source()
    source.lag.begin(source.now())
    source.lag.end(1, observed=False)
    assert source.observed() == [0]
