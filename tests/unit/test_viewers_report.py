from collections.abc import Sequence

import pytest

from support.clients.event_source import Visit
from support.judges.verdict import Verdict
from support.viewers.report import Report, most_in_a_second
from support.viewers.show import place


def visits(*began_at: float) -> list[Visit]:
    return [Visit("", at, at + 0.5, 200, "ended", 0) for at in began_at]


def report(
    courses: Sequence[Sequence[Visit]],
    *,
    refused: Sequence[str] = (),
    verdict: Verdict | None = None,
    closed: Sequence[str] = (),
    gaps: Sequence[str] = (),
) -> Report:
    return Report(
        published=1,
        refused=refused,
        verdict=verdict or Verdict(),
        closed=closed,
        gaps=gaps,
        visits=courses,
        began_at=100,
        silences_seconds=[0.5, 2, 1],
        lag_seconds=0,
    )


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5], 1),
        ([0, 0.9, 1.8, 2.7], 2),
        ([0.6, 0.9, 1.1, 1.5, 2.2], 4),
        ([0, 1], 2),
        ([0, 1.01], 1),
    ],
)
def test_the_fullest_second_may_begin_at_any_time(times: list[float], most: int) -> None:
    assert most_in_a_second(times) == most


def test_streams_that_stay_open_and_a_slope_of_reconnects_are_not_reported() -> None:
    still = [visits(90) for _ in range(8)]
    sloping = [visits(90, 101.0), visits(90, 103.0)]
    found = report([*still, *sloping])
    assert found.reconnects == [1, 3]
    assert found.noticed(drain_seconds=10) == []
    found.assert_unnoticed(drain_seconds=10)


def test_a_wall_of_reconnects_is_reported() -> None:
    found = report([visits(90, 101 + nth / 10) for nth in range(10)])
    assert found.noticed(drain_seconds=10) == ["10 reconnects in a second; 2 are allowed"]
    assert found.noticed(drain_seconds=2) == []


def test_a_stream_that_was_ended_twice_is_reported_with_its_course() -> None:
    found = report([visits(90, 101, 105), *(visits(90) for _ in range(9))])
    [sentence] = found.noticed(drain_seconds=1)
    assert sentence == (
        "touched twice: viewer 0: 200 from -10.00 to -9.50 s, ended; "
        "200 from 1.00 to 1.50 s, ended; 200 from 5.00 to 5.50 s, ended"
    )


def test_every_other_fault_of_a_viewer_is_reported() -> None:
    verdict = Verdict(accounts=["viewer 3: 7 did not come"])
    found = report(
        [visits(90)], refused=["502 "], verdict=verdict, closed=["404 text/plain"], gaps=["{}"]
    )
    sentences = [
        "viewer 3: 7 did not come",
        "refused: 502 ",
        "closed for ever: 404 text/plain",
        "gap: {}",
    ]
    assert found.noticed(drain_seconds=1) == sentences
    with pytest.raises(AssertionError, match="7 did not come"):
        found.assert_unnoticed(drain_seconds=1)


def test_the_report_is_a_table_and_a_line_for_each_second_of_reconnects() -> None:
    lines = str(report([visits(90, 101.5), visits(90, 101.6), visits(90, 103)])).splitlines()
    assert lines[:3] == ["|  | found |", "| --- | ---: |", "| streams | 3 |"]
    assert "| longest silence | 2.0 s |" in lines
    assert "| its median | 1.0 s |" in lines
    assert lines[-4:] == ["", "   1 s    2 ##", "   2 s    0 ", "   3 s    1 #"]


def test_places_are_sorted_in_the_order_of_the_history() -> None:
    ids = ["#10-10", "#9-0", "#10-2", "#10-0"]
    assert sorted(ids, key=place) == ["#9-0", "#10-0", "#10-2", "#10-10"]
