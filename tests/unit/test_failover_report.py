from dataclasses import replace

import pytest

from drill.failover_report import HEADS, Findings, Row, Run

ROW = Row("a fault", 5, 0, 0, 0, 0, 4, 0, 3, 1.5, 2.5, 0.5, 0.75)


def run(row: Row = ROW, *turned_away: str) -> Run:
    """Return a run with a row before it."""
    return Run([replace(ROW, fault="none"), row], turned_away)


def test_the_counts_of_runs_are_added_and_of_the_times_the_longest_is_told() -> None:
    other = replace(
        ROW, accepted=6, lost=2, twice_after_gap=7, acceptance_seconds=9.25, live_seconds=2.25
    )
    found = Findings(0, [run(), run(other), run()])
    assert found.rows[1] == Row("a fault", 16, 2, 0, 7, 0, 12, 0, 9, 9.25, 2.5, 0.5, 0.75)
    assert found.rows[0].fault == "none"


def test_a_run_whose_clients_did_not_come_back_in_time_is_told_whatever_the_others_did() -> None:
    found = Findings(1, [run(), run(replace(ROW, live_seconds=None)), run()])
    assert found.rows[1].live_seconds is None
    assert found.table().splitlines()[-1].endswith("| not in time | 0.5 s | 0.8 s |")
    assert not found.is_well


def test_the_times_since_the_choice_are_those_of_the_runs_in_which_another_was_chosen() -> None:
    none = replace(ROW, writers_seconds=None, readers_seconds=None)
    assert Findings(1, [run(none), run(none)]).table().splitlines()[-1].endswith("| 2.5 s |  |  |")
    slower = replace(ROW, writers_seconds=2, readers_seconds=0.25)
    row = Findings(1, [run(none), run(), run(slower)]).rows[1]
    assert (row.writers_seconds, row.readers_seconds) == (2, 0.75)


def test_the_table_has_a_cell_for_each_head() -> None:
    lines = Findings(1, [run()]).table().splitlines()
    assert (
        lines[-1] == "| a fault | 5 | 0 | 0 | 0 | 0 | 4 | 0 | 3 | 1.5 s | 2.5 s | 0.5 s | 0.8 s |"
    )
    assert {line.count("|") for line in lines} == {len(HEADS) + 1}


def test_a_loss_that_a_gap_reports_is_well_only_where_no_replica_confirms_updates() -> None:
    lossy = run(replace(ROW, lost=2, twice_after_gap=9))
    assert Findings(0, [run(), lossy]).is_well
    assert not Findings(1, [run(), lossy]).is_well


@pytest.mark.parametrize("fault", ["twice", "disordered", "unreported"])
def test_no_run_is_well_where_a_stream_got_something_wrong(fault: str) -> None:
    assert not Findings(0, [run(), run(replace(ROW, **{fault: 1}))]).is_well


def test_no_run_is_well_where_a_client_or_a_publisher_was_turned_away_for_good() -> None:
    assert Findings(1, [run()]).is_well
    assert not Findings(1, [run(ROW, "404 text/plain"), run()]).is_well
