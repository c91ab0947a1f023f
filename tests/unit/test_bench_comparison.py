from collections.abc import Callable, Iterator

import pytest

from bench import comparison, verdict
from bench.client import Load
from bench.comparison import Outcome, Pair
from bench.courses.burst import at_most_due
from bench.measurement import Measurement
from bench.rounds import STOLEN
from bench.trial import Judged, Trial

COST = Judged("cost", "cost", "{:.1f} us")
RATE = Judged("rate", "rate", "{:,.0f}", more_is_better=True)


def trial(*judged: Judged, pairs: int = 2) -> Trial:
    return Trial("race", Load(), Measurement.deliveries, judged or [COST], pairs)


def costs(*rounds: list[tuple[float, float]]) -> Outcome:
    return Outcome(
        trial(),
        [[Pair({"cost": here}, {"cost": there}) for here, there in pairs] for pairs in rounds],
    )


def one(outcome: Outcome) -> verdict.Row:
    [row] = verdict.rows(outcome)
    return row


def silent(_: str) -> None:
    pass


def test_the_trees_take_turns_at_being_first_within_a_round_and_between_rounds() -> None:
    order = [[comparison.is_here_first(round_, nth) for nth in range(3)] for round_ in range(2)]
    assert order == [[True, False, True], [False, True, False]]


def test_each_round_has_every_pair_of_every_trial() -> None:
    turns: list[bool] = []

    def pair(_: Trial, is_here_first: bool) -> Pair:
        turns.append(is_here_first)
        return Pair({"cost": 1}, {"cost": 1})

    [outcome] = comparison.run([trial()], 2, pair, silent)
    assert turns == [True, False, False, True]
    assert [len(pairs) for pairs in outcome.rounds] == [2, 2]


def test_a_machine_that_slows_down_between_two_pairs_does_not_change_the_ratio() -> None:
    row = one(costs([(10, 10), (20, 20), (40, 40)], [(30, 30), (10, 10), (11, 11)]))
    assert (row.here, row.there) == (15.5, 15.5)
    assert (row.ratio, row.lowest, row.highest) == (1, 1, 1)


def test_the_spread_goes_from_the_lowest_to_the_highest_ratio_of_a_round() -> None:
    row = one(costs([(9, 10), (11, 10)], [(12, 10), (12, 10)], [(8, 10), (10, 10)]))
    assert (row.lowest, row.highest) == pytest.approx((0.9, 1.2))
    assert row.ratio == pytest.approx(1.05)
    assert row.ratio_of_medians == pytest.approx(1.05)


@pytest.mark.parametrize(("cost", "is_dearer"), [(102.9, False), (103, False), (103.1, True)])
def test_a_cost_up_to_1_03_times_as_high_is_not_dearer(cost: float, is_dearer: bool) -> None:
    assert one(costs([(cost, 100)])).is_dearer is is_dearer


@pytest.mark.parametrize(("rate", "is_dearer"), [(98, False), (97, True), (200, False)])
def test_a_rate_may_fall_by_the_same_ratio_and_rise_without_limit(
    rate: float, is_dearer: bool
) -> None:
    outcome = Outcome(trial(RATE), [[Pair({"rate": rate}, {"rate": 100})]])
    assert one(outcome).is_dearer is is_dearer


def test_a_table_has_the_medians_the_ratios_their_spread_and_a_verdict() -> None:
    outcome = costs([(9, 10), (11, 10)], [(12, 10), (12, 10)])
    assert verdict.table([outcome], "abc1234").splitlines() == [
        "|  |  | here | abc1234 | of the medians | ratio | rounds | verdict |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
        "| race | cost | 11.5 us | 10.0 us | 1.150 | 1.150 | 1.000 to 1.200 | ABOVE 1.03 |",
    ]
    assert not verdict.is_passed([outcome])


def test_a_comparison_passes_where_nothing_is_dearer() -> None:
    assert verdict.is_passed([costs([(10, 10)])])


def test_events_that_a_tree_lost_are_listed_below_the_table() -> None:
    lossy = Pair({"cost": 1, "lost": 3}, {"cost": 1, "lost": 0})
    table = verdict.table([Outcome(trial(), [[lossy]])], "abc1234")
    assert table.splitlines()[-1] == "race: 3 lost in here"


def test_a_failed_pair_fails_the_comparison_and_is_reported() -> None:
    def broken(_: Trial, _is_here_first: bool) -> Pair:
        raise OSError("it is gone\nfor good")

    outcomes = comparison.run([trial(pairs=1)], 1, broken, silent)
    assert not verdict.is_passed(outcomes)
    table = verdict.table(outcomes, "abc1234")
    assert table.splitlines()[-1] == "race: pairs that failed: 1; the first: OSError: it is gone"


def in_turn(pairs: Iterator[Pair]) -> Callable[[Trial, bool], Pair]:
    return lambda _trial, _is_here_first: next(pairs)


def test_a_pair_disturbed_by_the_host_is_measured_again_before_the_next_one() -> None:
    disturbed = Pair({"cost": 1, STOLEN: 0}, {"cost": 9, STOLEN: 0.5})
    quiet = Pair({"cost": 2, STOLEN: 0}, {"cost": 2, STOLEN: 0})
    last = Pair({"cost": 3, STOLEN: 0}, {"cost": 3, STOLEN: 0})
    measured = in_turn(iter([disturbed, quiet, last]))
    [outcome] = comparison.run([trial()], 1, measured, silent)
    assert outcome.rounds == [[quiet, last]]


def test_the_json_report_lists_every_pair() -> None:
    found = verdict.as_json([costs([(1, 2)])], "abc1234")
    [pair] = found["trials"]["race"]["rounds"][0]
    assert pair == {"here": {"cost": 1}, "there": {"cost": 2}}


@pytest.mark.parametrize(("rate", "counted"), [(568_000, 500_000), (450_000, 450_000)])
def test_deliveries_that_were_due_earlier_do_not_raise_the_rate(
    rate: float, counted: float
) -> None:
    assert at_most_due({"delivered_per_second": rate}, 500_000) == {"delivered_per_second": counted}
