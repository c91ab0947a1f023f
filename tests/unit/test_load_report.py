import json
from collections import Counter

import pytest

from barestream_load.findings import Findings, Outcome, Published
from barestream_load.histogram import Histogram
from barestream_load.plan import Plan, Publishing
from barestream_load.report import as_json, remarks, table
from barestream_load.target import target
from barestream_load.usage import Usage

URL = "http://127.0.0.1:8000"
PUBLISHING = Publishing(10, 1, ("t",), 130, "token")
PLAN = Plan(URL, target(URL, ("t",), None, 1), (), b"01234567", 100, 1, 1, 10, PUBLISHING)


def histogram_of(*durations_us: int) -> Histogram:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.record(duration_us)
    return histogram


def outcome(**found: object) -> Outcome:
    well: dict[str, object] = {"streams": 100, "opened": 100, "events": 10_000}
    findings = Findings(**{**well, **found})  # type: ignore[arg-type]
    usage = Usage("1 publisher", 0.1, 10, 0.02)
    published = Published([100], [[]], usage, answered_after=histogram_of(*[1000] * 100))
    return Outcome(10, findings, published)


def test_a_load_without_a_fault_passes_without_a_remark() -> None:
    assert outcome().is_well
    assert remarks(PLAN, outcome()) == []


@pytest.mark.parametrize("fault", ["lost", "twice", "disordered", "gaps_told", "cut"])
def test_one_fault_fails_the_load(fault: str) -> None:
    assert not outcome(**{fault: 1}).is_well


def test_a_failure_of_many_streams_is_reported_in_one_sentence() -> None:
    failed = outcome(opened=0, events=0, failed=Counter({"Connection refused": 100}))
    assert not failed.is_well
    assert remarks(PLAN, failed) == ["100 streams were not opened: Connection refused."]


def test_a_refused_publish_is_reported() -> None:
    refused = outcome()
    assert refused.published
    refused.published.answers["429 Too Many Requests"] = 7
    assert not refused.is_well
    assert remarks(PLAN, refused) == ["7 publishes were not accepted: 429 Too Many Requests."]


def test_a_busy_load_process_is_reported_as_the_cause_of_the_latencies() -> None:
    [remark] = remarks(PLAN, outcome(usages=[Usage("100 streams", 3, 10, 0.93)]))
    assert remark.startswith("Process 1 of this tool was busy (93% of a core), so the latencies")


@pytest.mark.parametrize(("own_us", "count"), [(60_000, 1), (20_000, 0)])
def test_a_latency_that_is_mostly_caused_by_the_load_itself_is_reported(
    own_us: int, count: int
) -> None:
    waited = outcome(latency=histogram_of(100_000), own_wait=histogram_of(own_us))
    assert len(remarks(PLAN, waited)) == count


def test_the_table_has_two_columns_and_a_line_for_each_figure() -> None:
    lines = table(PLAN, outcome(latency=histogram_of(1000, 2000))).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert all(line.count("|") == 3 for line in lines)
    assert any("latency" in line and "1.0 ms, 2.0 ms, 2.0 ms, 2.0 ms" in line for line in lines)


def test_json_has_null_for_unknown_figures() -> None:
    found = json.loads(json.dumps(as_json(PLAN, outcome(is_compared=False))))
    assert found["events"]["lost"] is None
    assert found["events"]["latency_us"]["p99"] is None


def test_the_findings_of_several_processes_add_up() -> None:
    first = Findings(streams=1, failed=Counter({"x": 1}), silence_us=5, usages=[Usage("a")])
    first.add(Findings(streams=2, failed=Counter({"x": 2}), silence_us=3, is_compared=False))
    assert (first.streams, first.failed, first.silence_us) == (3, Counter({"x": 3}), 5)
    assert not first.is_compared
