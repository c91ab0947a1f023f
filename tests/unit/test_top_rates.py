"""What `barestream top` makes of two answers of a hub."""

import json
import math
from typing import Any

import pytest

from barestream.commands.rates import Lag, interval
from barestream.commands.top_view import as_json

COUNTS = ("updates_published", "publishes_refused", "publishes_failed", "events_delivered")


def measured(*counts: int, sum_seconds: float = 0) -> dict[str, Any]:
    """Return a lag whose bounds, 1 ms, 1 s and infinity, so many measurements did not exceed."""
    up_to = dict(zip(("0.001", "1.0", "+Inf"), counts, strict=True))
    return {"count": counts[-1], "sum_seconds": sum_seconds, "up_to": up_to}


def worker(pid: int, count: int = 0, **members: Any) -> dict[str, Any]:
    """Return a worker that has counted so much of everything."""
    history = {"answers": True, "accepts_updates": True, "since": 900.0, "failed_at": None}
    return {
        "pid": pid,
        "uptime_seconds": 60.0,
        "memory_bytes": 50_000_000,
        "cpu_seconds": count / 100,
        "draining": False,
        "streams": 3,
        "slow_streams": 1,
        "history": {**history, "failed_because": None},
        "delivery_lag": measured(count, count, count),
        "loop_lag": measured(count, count, count),
        **dict.fromkeys(COUNTS, count),
        **members,
    }


def figures(at: float, *workers: dict[str, Any], ended: int = 0, **members: Any) -> dict[str, Any]:
    """Return the figures of a time; ``ended`` was counted by workers that are gone."""
    totals = {name: ended + sum(each[name] for each in workers) for name in COUNTS}
    return {
        "release": "1.0",
        "host": "vm",
        "instance": "main",
        "history": "valkey",
        "at": 1000 + at,
        "steady_seconds": at,
        "totals": totals,
        "workers": list(workers),
        **members,
    }


def test_a_rate_is_what_was_counted_in_the_time_between() -> None:
    found = interval(figures(1, worker(1), worker(2)), figures(3, worker(1, 20), worker(2, 40)))
    assert found.seconds == 2
    assert [each.activity.deliveries for each in found.workers] == [10, 20]
    assert (found.total.deliveries, found.total.publishes, found.total.failed) == (30, 30, 30)
    # Each worker reads every event, so these are not added up.
    assert found.total.events == 20
    assert (found.total.streams, found.total.slow_streams) == (6, 2)
    assert [each.cpu_share for each in found.workers] == [0.1, 0.2]


def test_the_first_answer_has_no_rates() -> None:
    found = interval(None, figures(1, worker(1, 5)))
    assert (found.seconds, found.total.deliveries, found.total.lag) == (None, None, Lag())
    assert found.total.streams == 3
    assert not found.workers[0].is_hanging


@pytest.mark.parametrize(
    "before",
    [
        figures(1, worker(1), host="another"),
        figures(1, worker(1), instance="green"),
        # Of another start of the machine.
        figures(9, worker(1)),
        figures(2, worker(1)),
    ],
    ids=["host", "instance", "clock", "same moment"],
)
def test_figures_that_cannot_be_compared_have_no_rates(before: dict[str, Any]) -> None:
    found = interval(before, figures(2, worker(1, 5)))
    assert (found.seconds, found.total.deliveries, found.workers[0].cpu_share) == (None,) * 3


def test_a_count_that_fell_is_no_rate_and_never_a_negative_one() -> None:
    found = interval(figures(1, worker(1, 100)), figures(2, worker(1, 7)))
    of_all = [found.total, found.workers[0].activity]
    assert {(each.deliveries, each.publishes, each.events) for each in of_all} == {(None,) * 3}
    assert {each.lag for each in of_all} == {Lag()}
    assert found.workers[0].cpu_share is None


def test_the_total_goes_on_over_the_restart_of_a_worker() -> None:
    before = figures(1, worker(1, 100), worker(2, 100))
    found = interval(before, figures(2, worker(1, 110), worker(3, 5), ended=100))
    assert found.total.deliveries == 15
    assert [each.activity.deliveries for each in found.workers] == [10, None]


def test_a_lag_is_the_least_bound_that_a_share_did_not_exceed() -> None:
    before = worker(1, delivery_lag=measured(50, 50, 50, sum_seconds=1))

    def lag(*counts: int) -> Lag:
        after = worker(1, delivery_lag=measured(*counts, sum_seconds=3))
        return interval(figures(1, before), figures(2, after)).total.lag

    assert lag(149, 150, 150) == Lag(0.02, 0.001, 0.001)
    assert lag(100, 150, 150) == Lag(0.02, 0.001, 1.0)
    assert lag(50, 148, 150) == Lag(0.02, 1.0, math.inf)
    assert lag(50, 50, 50) == Lag()


def test_a_worker_whose_loop_does_not_wake_hangs() -> None:
    still, woken = worker(1, 5), worker(2, 5)
    after = figures(2, still, {**woken, "loop_lag": measured(6, 6, 6)})
    found = interval(figures(1, still, woken), after)
    assert [each.is_hanging for each in found.workers] == [True, False]
    # Between two wakes no time is too short.
    assert not interval(figures(1, still), figures(1.05, still)).workers[0].is_hanging


def test_the_history_is_as_the_worker_sees_it_that_sees_it_worst() -> None:
    well = worker(1)
    away = {"answers": False, "accepts_updates": False, "since": 990.0, "failed_at": 1001.0}
    ill = worker(2, history={**away, "failed_because": "unreachable"})
    found = interval(None, figures(2, well, ill)).history
    assert (found.answers, found.accepts, found.failed_because) == (False, False, "unreachable")
    assert (found.since_seconds, found.failed_seconds) == (12, 1)
    # The wall clock was set back.
    assert interval(None, figures(-500, ill)).history.failed_seconds == 0


def test_a_system_that_says_nothing_of_processes_leaves_these_figures_out() -> None:
    unknown = {"cpu_seconds": None, "memory_bytes": None, "uptime_seconds": None}
    found = interval(figures(1, worker(1, **unknown)), figures(2, worker(1, **unknown)))
    assert found.workers[0][2:5] == (None, None, None)


def test_json_has_no_number_that_json_does_not_know() -> None:
    after = worker(1, delivery_lag=measured(0, 0, 10, sum_seconds=200))
    told = as_json("http://a", interval(figures(1, worker(1)), figures(2, after)))
    again = json.loads(json.dumps(told, allow_nan=False))
    assert (again["lag_p99_seconds"], again["lag_mean_seconds"]) == (None, 20)
    assert again["workers"][0]["events_per_second"] == 10
