from barestream.history.standing import Standing, Standings
from barestream.telemetry.metrics import Metrics


def shown(metrics: Metrics) -> list[str]:
    """Return the lines of the metrics that tell of sentinels."""
    lines = metrics.text().decode().splitlines()
    return [each for each in lines if each.startswith(("barestream_sent", "barestream_history_pr"))]


def test_without_sentinels_nothing_is_said() -> None:
    metrics = Metrics()
    assert Standings(metrics).words == ""
    assert shown(metrics) == ["barestream_sentinels 0.0"]


def test_the_words_name_no_address_and_the_metrics_name_the_primary() -> None:
    metrics = Metrics()
    standings = Standings(metrics)
    standings.note(Standing("valkey:6379", 2, 3))
    assert standings.words == "2 of 3 sentinels name the primary\n"
    assert shown(metrics) == [
        "barestream_sentinels 2.0",
        'barestream_history_primary{address="valkey:6379"} 1.0',
    ]


def test_after_a_failover_the_earlier_primary_has_no_worker() -> None:
    metrics = Metrics()
    standings = Standings(metrics)
    for primary in (None, "a:1", "a:1", "b:1"):
        standings.note(Standing(primary, 3, 3))
    assert shown(metrics)[1:] == [
        'barestream_history_primary{address="a:1"} 0.0',
        'barestream_history_primary{address="b:1"} 1.0',
    ]
