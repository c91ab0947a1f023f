"""The page on capacity: its worked-out rows are what its own costs and formulas give."""

import re

import pytest

from support.manual.pages import DOCS

PAGE = (DOCS / "capacity.md").read_text()

STREAMS_PER_WORKER = 40_000

# R is no more than this.
MOST_READS_PER_SECOND = 200


def cost(name: str) -> float:
    """Return a cost of the page's first table, in seconds, bytes or cores."""
    found = re.search(rf"\| {re.escape(name)} \| ([\d.]+) (\w+) \|", PAGE)
    assert found, name
    units = {"us": 1e-6, "ms": 1e-3, "KB": 1e3, "B": 1, "cores": 1}
    return float(found[1]) * units[found[2]]


ROWS = re.findall(r"(?m)^\| ([\d,]+) \| (scoreboard|rooms) \| (.+) \|$", PAGE)


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
    workers = -(-streams // STREAMS_PER_WORKER)
    memory_gb = streams * cost("Memory of a stream") / 1e9
    cores = events * goes_to * cost("CPU of a delivery")
    cores += workers * cost("CPU of a worker's reading")
    reads = workers * min(events, MOST_READS_PER_SECOND)
    valkey_cores = events * cost("Valkey's CPU of a publish")
    valkey_cores += reads * cost("Valkey's CPU of a worker's read")
    mb = events * workers * cost("Valkey's traffic of an event to a worker") / 1e6

    found = [float(cell.split()[0].replace(",", "")) for cell in cells.split(" | ")]
    # As precise as the page has them.
    precise = [
        pytest.approx(value, rel=0.01, abs=half)
        for value, half in (
            (workers, 0),
            (memory_gb, 0.005),
            (cores, 0.005),
            (events, 0),
            (valkey_cores, 0.005),
            (mb, 0.05),
        )
    ]
    assert found == precise
