"""Events a second that a server takes while nobody listens."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import servers
from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Job, Table
from bench.servers import Server

NAME = "publishing"

PUBLISHERS = (1, 64)


def course(stand: Stand, cache: Path) -> Course:
    """Return the course."""
    columns = [
        Column("accepted/s", "accepted_per_second", "{:,.0f}"),
        Column("p50", "p50_ms", "{:.2f} ms"),
        Column("p99", "p99_ms", "{:.2f} ms"),
        Column("CPU an event", "cpu_us", "{:.0f} us"),
        Column("refused", "refused", "{:,.0f}"),
    ]
    title = "Publishing: no streams, each publisher as fast as it is answered"
    return Course(NAME, [Table(title, list(_jobs(stand, cache)), columns)])


def _jobs(stand: Stand, cache: Path) -> Iterator[Job]:
    with_valkey = partial(servers.Ours, broker="valkey")
    makes: list[tuple[str, Callable[[], Server], bool]] = [
        *((make().name, make, True) for make in servers.alone(cache)),
        # As it is used: Valkey has a core of its own where there is one.
        ("barestream with Valkey", with_valkey, False),
    ]
    for name, make, pinned in makes:
        for publishers in PUBLISHERS:
            yield broadcast_job(
                stand,
                make,
                Load(
                    publishers=publishers,
                    warm_up_seconds=0.5,
                    measure_seconds=1 if stand.is_quick else 2,
                ),
                Measurement.publishes,
                pinned=pinned,
                row=f"{name}, {publishers} at once",
            )
