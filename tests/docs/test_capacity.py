"""The page on capacity: its worked-out rows are what its own costs and formulas give."""

import re

import pytest

from support.manual.pages import DOCS

PAGE = (DOCS / "capacity.md").read_text()

MOST_STREAMS_OF_WORKER = 40_000

HOST_CORES = 8

# What a worker's reading costs Valkey does not grow above this rate.
MOST_READ_PER_SECOND = 200


def cost(name: str) -> float:
    """Return a cost of the page's first table, in seconds, bytes or cores."""
    found = re.search(rf"\| {re.escape(name)} \| ([\d.]+) (\w+) \|", PAGE)
    assert found, name
    units = {"us": 1e-6, "ms": 1e-3, "MB": 1e6, "KB": 1e3, "B": 1, "cores": 1}
    return float(found[1]) * units[found[2]]


ROWS = re.findall(r"(?m)^\| ([\d,]+) \| (scoreboard|rooms) \| (.+) \|$", PAGE)


def valkey_cores(events: int, workers: int) -> float:
    """Return Valkey's CPU."""
    reads = workers * min(events, MOST_READ_PER_SECOND)
    return events * cost("Valkey's CPU of a publish") + reads * cost(
        "Valkey's CPU of a worker's read"
    )


def test_the_page_has_a_row_for_each_size_and_page() -> None:
    assert [row[:2] for row in ROWS] == [
        (streams, page)
        for streams in ("10,000", "1,000,000", "10,000,000")
        for page in ("scoreboard", "rooms")
    ]


@pytest.mark.parametrize(("streams_text", "page", "cells"), ROWS)
def test_a_row_is_what_the_formulas_give(streams_text: str, page: str, cells: str) -> None:
    streams = int(streams_text.replace(",", ""))
    events, goes_to = (1, streams) if page == "scoreboard" else (streams // 1000, 100)
    hosts, workers, *found = [
        float(cell.split()[0].replace(",", "")) for cell in cells.split(" | ")
    ]
    # With one host lost.
    assert (hosts - 1) * (workers / hosts) * MOST_STREAMS_OF_WORKER >= streams
    memory_gb = streams * cost("Memory of a stream") / 1e9
    memory_gb += workers * cost("Memory of a worker") / 1e9
    cores = events * goes_to * cost("CPU of a delivery")
    cores += workers * cost("CPU of a worker's reading")
    assert cores / (hosts - 1) < HOST_CORES
    mb = events * workers * cost("Valkey's traffic of an event to a worker") / 1e6
    # As precise as the page has them.
    assert found == [
        pytest.approx(value, rel=0.01, abs=half)
        for value, half in (
            (memory_gb, 0.005),
            (cores, 0.005),
            (events, 0),
            (valkey_cores(events, int(workers)), 0.005),
            (mb, 0.05),
        )
    ]


def test_so_many_workers_leave_valkey_the_time_that_is_planned() -> None:
    found = re.findall(r"(?m)^\| ([\d,]+) \| (\d+) \|$", PAGE)
    assert len(found) == 3
    for events_text, most in found:
        events = int(events_text.replace(",", ""))
        assert valkey_cores(events, int(most)) <= 0.7 < valkey_cores(events, int(most) + 1)
