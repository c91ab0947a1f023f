"""Events a second that ours takes while nobody listens."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Job, Table
from bench.servers import Ours
from bench.trial import Judged, Trial
from support.servers.valkey_server import binary

NAME = "publishing"

PUBLISHERS = (1, 64)

_MEMORY = ("its own memory", "local")
_VALKEY = ("Valkey", "valkey")


def course(stand: Stand, cache: Path) -> Course:  # noqa: ARG001 (ours needs no cache)
    """Return the course."""
    columns = [
        Column("accepted/s", "accepted_per_second", "{:,.0f}"),
        Column("p50", "p50_ms", "{:.2f} ms"),
        Column("p99", "p99_ms", "{:.2f} ms"),
        Column("CPU an event", "cpu_us", "{:.0f} us"),
        Column("refused", "refused", "{:,.0f}"),
    ]
    title = "Publishing: barestream alone, no streams, each publisher as fast as it is answered"
    return Course(NAME, [Table(title, list(_jobs(stand)), columns)])


def trials(stand: Stand) -> list[Trial]:
    """Return what is judged of two trees: a publish."""
    judged = [Judged("CPU a publish", "cpu_us", "{:.0f} us")]
    return [
        Trial(
            f"{NAME} to {name}, {publishers} at once",
            Load(
                publishers=publishers,
                settle_seconds=0.1,
                warm_up_seconds=0.5,
                measure_seconds=1 if stand.is_quick else 4,
                # So that those that are under way at a turn's end are few beside the turn's own.
                turn_seconds=0.25,
            ),
            Measurement.publishes,
            judged,
            pairs=1 if stand.is_quick else 2,
            broker=broker,
        )
        for name, broker in _logs()
        for publishers in PUBLISHERS
    ]


def _logs() -> list[tuple[str, str]]:
    """Return the homes of the log that there are here: a name of each, and what Ours calls it."""
    return [_MEMORY, _VALKEY] if binary() else [_MEMORY]


def _jobs(stand: Stand) -> Iterator[Job]:
    for name, broker in _logs():
        for publishers in PUBLISHERS:
            yield broadcast_job(
                stand,
                partial(Ours, broker=broker),
                Load(
                    publishers=publishers,
                    warm_up_seconds=0.5,
                    measure_seconds=1 if stand.is_quick else 2,
                ),
                Measurement.publishes,
                # As it is used: Valkey has a core of its own where there is one.
                pinned=broker == "local",
                row=f"to {name}, {publishers} at once",
            )
