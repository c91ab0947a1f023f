from prometheus_client import CollectorRegistry, Counter, Gauge

from barestream.telemetry.level import Level
from barestream.telemetry.metrics import Metrics
from barestream.telemetry.tally import Tally


def test_what_was_counted_is_added_once() -> None:
    registry = CollectorRegistry()
    tally = Tally(Counter("events", "Events.", registry=registry))
    for _ in range(3):
        tally.inc()
    assert registry.get_sample_value("events_total") == 0
    tally.flush()
    tally.flush()
    assert registry.get_sample_value("events_total") == 3


def test_the_figures_of_a_process_show_all_that_it_has_counted() -> None:
    metrics = Metrics()
    metrics.published.inc()
    assert "barestream_updates_published_total 1.0" in metrics.text().decode()


def test_a_gauge_shows_the_last_value_that_was_set_before_a_flush() -> None:
    registry = CollectorRegistry()
    level = Level(Gauge("streams", "Streams.", registry=registry))
    for value in (1, 2, 3):
        level.set(value)
    assert registry.get_sample_value("streams") == 0
    level.flush()
    assert registry.get_sample_value("streams") == 3
    level.set(0)
    level.flush()
    assert registry.get_sample_value("streams") == 0


def test_the_figures_of_a_process_show_how_many_streams_are_open() -> None:
    metrics = Metrics()
    metrics.streams.set(2)
    assert "barestream_streams 2.0" in metrics.text().decode()
