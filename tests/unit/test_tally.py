from prometheus_client import CollectorRegistry, Counter

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
