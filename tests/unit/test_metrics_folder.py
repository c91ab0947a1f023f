import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from barestream.telemetry.metrics_folder import (
    BusyFolderError,
    DeadProcesses,
    files_by_process,
    unchanging,
)


class Process:
    """The metrics of a process of this id, in files of its own."""

    def __init__(self, pid: int) -> None:
        kind = values.MultiProcessValue(lambda: pid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(values, "ValueClass", kind)
            registry = CollectorRegistry()
            self._ended = Counter("ended", "Ends.", ["reason"], registry=registry)
            self._lag = Histogram("lag", "Lag.", buckets=(0.1, 1), registry=registry)
            self._ended.labels("left")
            self._ended.labels(f"only {pid}")

    def count(self, number: int) -> None:
        self._ended.labels("left").inc(number)
        self._lag.observe(0.5)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", os.fspath(tmp_path))
    return tmp_path


def scraped(folder: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)
    with unchanging(folder):
        lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.db"))


def test_the_counts_of_all_dead_processes_are_in_one_file_of_each_kind(folder: Path) -> None:
    dead = DeadProcesses()
    for pid in range(1, 40):
        Process(pid).count(pid)
        before = scraped(folder)
        dead.add_up(folder, pid)
        assert scraped(folder) == before
    assert files(folder) == ["counter_dead.db", "histogram_dead.db"]
    assert scraped(folder)['ended_total{reason="left"}'] == sum(range(1, 40))
    assert scraped(folder)['lag_bucket{le="1.0"}'] == scraped(folder)["lag_count"] == 39


def test_the_files_of_a_dead_process_are_not_merged_while_they_are_read(folder: Path) -> None:
    dead = DeadProcesses()
    Process(1).count(1)
    with unchanging(folder):
        dead.add_up(folder, 1)
    assert files(folder) == ["counter_1.db", "histogram_1.db"]
    Process(2).count(2)
    dead.add_up(folder, 2)
    assert files(folder) == ["counter_dead.db", "histogram_dead.db"]
    assert scraped(folder)['ended_total{reason="left"}'] == 3


def test_the_files_of_each_live_process_are_apart_from_those_of_all_others(folder: Path) -> None:
    names = [
        *("counter_7.db", "gauge_livesum_7.db", "histogram_7.db"),
        *("counter_8.db", "counter_dead.db", "histogram_dead.db", "counter_dead.unfinished"),
    ]
    for name in names:
        (folder / name).touch()
    (folder / "gauge_livesum_10.db").touch()
    living, ended = files_by_process(folder)
    assert [(pid, [path.name for path in files]) for pid, files in living.items()] == [
        (7, names[:3]),
        (10, ["gauge_livesum_10.db"]),
    ]
    assert sorted(path.name for path in ended) == names[3:6]


def test_a_process_that_has_the_id_of_a_dead_one_keeps_its_files(folder: Path) -> None:
    dead = DeadProcesses()
    Process(1).count(1)
    with unchanging(folder):
        dead.add_up(folder, 1)
    successor = Process(1)
    dead.add_up(folder, 2, living={1})
    successor.count(1)
    assert scraped(folder)['ended_total{reason="left"}'] == 2


def test_a_damaged_file_harms_no_other_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    Process(1).count(1)
    (folder / "counter_2.db").write_bytes(b"\xff\xff\x00\x00" + b"x" * 60)
    DeadProcesses().add_up(folder, 2)
    assert "stay in its own files" in caplog.text


def _scrape(folder: Path, is_over: Callable[[], bool], counts: list[float]) -> None:
    while not is_over():
        try:
            found = scraped(folder)
        except BusyFolderError:
            continue
        counts.append(found['ended_total{reason="left"}'])


def _scrape_into(folder: Path, over: object, pipe: object) -> None:
    counts: list[float] = []
    _scrape(folder, over.is_set, counts)  # type: ignore[attr-defined]
    pipe.send(counts)  # type: ignore[attr-defined]


def test_a_scrape_during_a_merge_sees_each_count_once(folder: Path) -> None:
    for pid in range(1, 101):
        Process(pid).count(1)
    context = multiprocessing.get_context("fork")
    over, (ours, theirs) = context.Event(), context.Pipe()
    scraping = context.Process(target=_scrape_into, args=(folder, over, theirs))
    scraping.start()
    dead = DeadProcesses()
    for pid in range(1, 101):
        dead.add_up(folder, pid)
    over.set()
    assert set(ours.recv()) <= {100}
    scraping.join(10)
