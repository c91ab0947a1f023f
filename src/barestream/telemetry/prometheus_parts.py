"""The parts of prometheus_client that the metrics' folder builds on, and that prometheus_client
does not document: its files of counts, and how it adds up those of some processes.

tests/unit/test_library_parts.py compares the installed prometheus_client with this file.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

# The version in which the parts were read.
READ_IN = {"prometheus-client": "0.26.0"}

# By class: the methods that are called here, with their parameters.
PARTS = {
    MmapedDict: (
        *("__init__(self, filename, read_mode)", "close(self)"),
        "read_all_values_from_file(filename)",
        "write_value(self, key, value, timestamp)",
    ),
    MultiProcessCollector: ("merge(files, accumulate)",),
}


def read_counts(path: Path) -> Iterator[tuple[str, float]]:
    """Yield the keys and the counts of a file.

    Raises:
        OSError: It cannot be read.
        RuntimeError: It is damaged.
        ValueError: It is damaged.
    """
    for key, value, *_ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
        yield key, value


def write_counts(path: Path, counts: Mapping[str, float]) -> None:
    """Write counts by their keys to a file that does not exist: an existing one is added to.

    Raises:
        OSError: It cannot be written.
    """
    written = MmapedDict(os.fspath(path))  # type: ignore[no-untyped-call]
    try:
        for key, value in counts.items():
            written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        written.close()  # type: ignore[no-untyped-call]


def merged(paths: Iterable[Path]) -> Iterable[Metric]:
    """Return the metrics of some files, added up.

    Raises:
        OSError, RuntimeError, ValueError: As for ``read_counts``; the files of live gauges may be
            removed meanwhile.
    """
    found: Iterable[Metric] = MultiProcessCollector.merge(  # type: ignore[no-untyped-call]
        [*map(os.fspath, paths)]
    )
    return found
