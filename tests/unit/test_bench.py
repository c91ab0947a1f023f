import os
import time
from collections.abc import Callable
from xml.etree import ElementTree as ET

from barestream.telemetry.metrics import Metrics
from bench import plot, processes, report, rounds
from bench.client import Result
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers.holds import Holds

COLUMNS = [Column("cost", "cost", "{:.1f} us"), Column("to b", "cost", "{:.2f}", "b")]


def courses(a: Callable[[], Figures], b: Callable[[], Figures]) -> list[Course]:
    jobs = [Job("a", 1, a), Job("b", 1, b)]
    return [Course("race", [Table("Race", jobs, COLUMNS)])]


def costs(*values: float) -> Callable[[], Figures]:
    left = list(values)
    return lambda: {"cost": left.pop(0)}


def silent(_: str) -> None:
    pass


def test_each_round_has_every_job_once() -> None:
    done = []

    def job(name: str) -> Callable[[], Figures]:
        return lambda: done.append(name) or {"cost": 1}  # type: ignore[func-returns-value]

    rounds.run(courses(job("a"), job("b")), 3, silent)
    assert done == ["a", "b"] * 3


def test_a_job_shared_by_two_tables_is_done_once_a_round() -> None:
    done = []
    jobs = [Job("a", 1, lambda: done.append("a") or {"cost": 1})]  # type: ignore[func-returns-value]
    rounds.run(
        [Course("race", [Table("Race", jobs, COLUMNS), Table("Same", jobs, COLUMNS)])], 2, silent
    )
    assert done == ["a", "a"]


def test_a_table_holds_medians_and_their_ratios() -> None:
    race = courses(costs(9, 1, 2), costs(4, 4, 5))
    table = report.tables(race, rounds.run(race, 3, silent))
    assert table.splitlines() == [
        "**Race**",
        "",
        "|  | cost | to b |",
        "| --- | ---: | ---: |",
        "| a | 2.0 us | 0.50 |",
        "| b | 4.0 us | 1.00 |",
    ]


def test_a_failed_job_fails_only_its_own_row() -> None:
    def broken() -> Figures:
        raise OSError("it is gone\nfor good")

    race = courses(costs(3), broken)
    found = rounds.run(race, 1, silent)
    assert report.tables(race, found).splitlines()[4:] == [
        "| a | 3.0 us | - |",
        "| b | - | - |",
        "",
        "b failed in 1 of 1 rounds: OSError: it is gone",
    ]
    assert report.as_json({}, race, found)["courses"]["race"]["b"]["failures"]


def test_a_job_disturbed_by_the_host_is_repeated_at_the_end_of_its_round() -> None:
    done = []

    def disturbed() -> Figures:
        done.append("a")
        return {"cost": len(done), rounds.STOLEN: 0.5 / len(done)}

    race = courses(disturbed, lambda: {"cost": done.append("b") or 1})
    row = rounds.run(race, 1, silent)["race"]["a"]
    assert done == ["a", "b", "a"]
    assert [each["cost"] for each in row.rounds] == [3]


def test_the_remaining_time_is_estimated_from_the_time_taken_so_far() -> None:
    said: list[str] = []
    race = courses(costs(1), lambda: time.sleep(0.01) or {"cost": 1})
    rounds.run(race, 1, said.append)
    assert said == [
        "0:02 left: race, round 1 of 1: a",
        "0:00 left: race, round 1 of 1: b",
    ]


def test_a_picture_has_a_bar_for_each_server_and_a_line_for_each_that_grew() -> None:
    def row(cost_us: float, streams: int = 0) -> object:
        return {"medians": {"cpu_us": cost_us, "streams": streams}}

    drawn = plot.draw(
        {
            "courses": {
                "fan-out": {"barestream": row(9), "nchan": row(11), "nchan behind nginx": row(20)},
                "growth": {
                    "barestream, 1,000 streams": row(9, 1000),
                    "barestream, 10,000 streams": row(10, 10_000),
                },
            }
        }
    )
    picture = ET.fromstring(drawn)
    names = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert (names.count("rect"), names.count("polyline")) == (3, 1)


def test_a_picture_leaves_out_missing_figures() -> None:
    failed = {"medians": {}}
    ET.fromstring(plot.draw({"courses": {"fan-out": {"nchan": failed}}}))


def test_the_cpu_time_of_a_working_process_is_measured() -> None:
    before = processes.cpu_seconds([os.getpid()])
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert 0.05 <= processes.cpu_seconds([os.getpid()]) - before < 1


def test_the_memory_of_a_process_is_measured() -> None:
    assert processes.pss_bytes([os.getpid()]) > 1024 * 1024


def test_the_faults_of_a_result_are_the_sum_of_all_kinds() -> None:
    phase = {"seconds": 1, "delivered": 0, "bytes": 0, "accepted": 0, "client_cpu_seconds": 0}
    counts = {"failed": 1, "ended_early": 2, "lost": 4, "twice": 8, "out_of_order": 16}
    result = Result(
        opened=0,
        first_failure="",
        owed=0,
        delivered=0,
        foreign=32,
        published=0,
        accepted=0,
        refused=64,
        unanswered=128,
        bytes=0,
        connect_ms=None,
        delivery_ms=None,
        answer_ms=None,
        measured=phase,  # type: ignore[arg-type]
        client_cpu_seconds=0,
        **counts,
    )
    assert result.faults == 63


def test_the_longest_hold_is_reported_for_the_time_between_two_looks() -> None:
    def looked(*late_seconds: float) -> Holds:
        metrics = Metrics()
        for late in late_seconds:
            metrics.loop_lag_seconds.observe(late)
        metrics.loop_lag_max_seconds.set(max(late_seconds))
        return Holds.parse(metrics.text().decode())

    before, after = looked(0, 0.2), looked(0, 0.2, 0.003, 0.004)
    assert (after.most_seconds, after.longest_since(before)) == (0.2, 0.005)
