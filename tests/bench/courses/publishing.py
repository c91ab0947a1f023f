"""Events a second that ours takes while nobody listens."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Job, Table
from bench.servers import Ours

NAME = "publishing"

PUBLISHERS = (1, 64)


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


def _jobs(stand: Stand) -> Iterator[Job]:
    for name, broker in (("its own memory", "local"), ("Valkey", "valkey")):
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
