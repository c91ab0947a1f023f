"""The folder in which the processes of one service keep their figures, a file for each.

The files are prometheus_client's. It leaves those of a dead process for ever, since its counts
must not be lost, and reads all of them at each scrape. Here the counts of the dead are added up
in one file of each kind.
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

# The beginning of the name of the folder that is made for one service.
METRICS_FOLDER = "barestream-metrics-"

# The kinds that outlive their process; prometheus_client removes its live gauges.
_KINDS = ("counter", "histogram")

# In place of a process's id.
_DEAD = "dead"


class BusyFolderError(Exception):
    """Another process changes the folder, or reads it while this one wants to change it."""


@contextmanager
def unchanging(folder: Path) -> Iterator[None]:
    """Keep the files of the dead as they are, so that each count is read once.

    Raises:
        BusyFolderError: They are being added up, which takes milliseconds. Waiting could take for
            ever: the master that adds them up may be stopped.
    """
    with _locked(folder, fcntl.LOCK_SH):
        yield


class DeadProcesses:
    """The dead processes whose counts are still in files of their own."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def add_up(self, folder: Path, pid: int, living: Iterable[int] = ()) -> None:
        """Add the counts of a process that has ended to those of all dead ones.

        While a scrape reads, or where the disk is full, the process's own files stay; they are
        added up when the next process ends.

        Args:
            folder: Of the figures.
            pid: The process's id.
            living: Ids of processes that live; one of them may have the id of an earlier one.
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
            # RuntimeError and ValueError: prometheus_client's, for a damaged file.
            logger.warning("the counts of a worker that ended stay in its own files: %s", error)
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
    # Not *.db, so no scrape reads it. One that was left half-written would be added to.
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
