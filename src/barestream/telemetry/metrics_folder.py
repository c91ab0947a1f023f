"""The folder in which the processes of one service keep their figures, each in files of its own.

prometheus_client writes the files. It keeps those of a dead process for ever, because its counts
must not be lost, and reads all of them at each scrape. This module adds up the counts of the dead
processes in one file of each kind.
Source: https://prometheus.github.io/client_python/multiprocess/
"""

import fcntl
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from barestream.telemetry.prometheus_parts import read_counts, write_counts

logger = logging.getLogger(__name__)

# The prefix of the folder's name.
METRICS_FOLDER = "barestream-metrics-"

# The kinds of metrics that outlive their process; prometheus_client removes its live gauges.
_KINDS = ("counter", "histogram")

# The file's name has this in place of a process's id.
_DEAD = "dead"


class BusyFolderError(Exception):
    """Another process changes the folder, or reads it while this process wants to change it."""


@contextmanager
def unchanging(folder: Path) -> Iterator[None]:
    """Keep the files of dead processes unchanged, so that each count is read once.

    Raises:
        BusyFolderError: Another process adds them up, which takes milliseconds. A wait could last
            for ever, because that process may be stopped.
    """
    with _locked(folder, fcntl.LOCK_SH):
        yield


def files_by_process(folder: Path) -> tuple[dict[int, list[Path]], list[Path]]:
    """Return the files of each live process, in the order of their ids, and those of all others.

    Only a live process has files of live gauges.
    """
    of_all = defaultdict(list)
    for path in sorted(folder.glob("*.db")):
        of_all[path.stem.rpartition("_")[2]].append(path)
    living, ended = {}, []
    for owner, files in of_all.items():
        if any(path.name.startswith("gauge_live") for path in files):
            living[int(owner)] = files
        else:
            ended += files
    return dict(sorted(living.items())), ended


class DeadProcesses:
    """The dead processes whose counts are still in files of their own."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def add_up(self, folder: Path, pid: int, living: Iterable[int] = ()) -> None:
        """Add the counts of a process that has ended to those of all dead ones.

        While a scrape reads, or where the disk is full, the process's own files stay; they are
        added up when the next process ends.

        Args:
            folder: The folder of the figures.
            pid: The id of the process.
            living: Ids of live processes; a live process may have the id of an earlier one.
        """
        self._pids.add(pid)
        self._pids.difference_update(living)
        try:
            with _locked(folder, fcntl.LOCK_EX):
                for kind in _KINDS:
                    _merge(folder, kind, self._pids)
        except BusyFolderError:
            return
        except (OSError, RuntimeError, ValueError) as error:
            # prometheus_client raises RuntimeError or ValueError for a damaged file.
            logger.warning(
                "the metrics of a worker that ended stay in its own files, and correct: %s",
                error,
            )
            return
        self._pids.clear()


def _merge(folder: Path, kind: str, pids: Iterable[int]) -> None:
    merged = folder / f"{kind}_{_DEAD}.db"
    own = [path for pid in pids if (path := folder / f"{kind}_{pid}.db").exists()]
    if not own:
        return
    counts: defaultdict[str, float] = defaultdict(float)
    for path in [merged, *own] if merged.exists() else own:
        for key, value in read_counts(path):
            counts[key] += value
    # A scrape reads only *.db. write_counts would add to a file that was left half-written.
    unfinished = folder / f"{kind}_{_DEAD}.unfinished"
    unfinished.unlink(missing_ok=True)
    write_counts(unfinished, counts)
    unfinished.replace(merged)
    for path in own:
        path.unlink()


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyFolderError from None
        yield
