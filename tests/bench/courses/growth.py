"""From 1,000 streams to 10,000: whether a delivery costs the same."""

from collections.abc import Iterator
from functools import partial

from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Job, Table
from bench.servers import Ours, Peers

NAME = "growth"

STREAMS = (1000, 2000, 5000, 10_000)
QUICK_STREAMS = (1000, 5000)

# A peer is compared at both ends alone: the sizes between take 5 minutes.
ENDS = (STREAMS[0], STREAMS[-1])

# The same at every size. What a worker does anyway (its timers, its supervisor's beat) would weigh
# ten times as much on a delivery to 1,000 streams as to 10,000 at one event a second.
DELIVERIES_PER_SECOND = 10_000

# Of nginx: a worker of 20,000 files holds so many, even alone.
MOST_STREAMS = 9500

# Alone, streams wait in the kernel's queue. Through nginx those that the app does not take in time
# are told to come back, which the client does not: so no more than the app takes.
CONNECTS_PER_SECOND = 1500
NGINX_CONNECTS_PER_SECOND = 400


def course(stand: Stand, peers: Peers) -> Course:
    """Return the course."""
    columns = [
        Column("CPU a delivery", "cpu_us", "{:.1f} us"),
        Column("p50", "p50_ms", "{:.0f} ms"),
        Column("p99", "p99_ms", "{:.0f} ms"),
        Column("max", "max_ms", "{:.0f} ms"),
        Column("longest hold", "hold_ms", "<= {:.0f} ms"),
        Column("at arrival", "arrival_hold_ms", "{:.0f} ms"),
        Column("failed", "failed", "{:,.0f}"),
        Column("lost", "lost", "{:,.0f}"),
        Column("twice", "twice", "{:,.0f}"),
    ]
    tables = [
        Table(
            "Growth, app alone: 10,000 deliveries/s of 130 bytes, to 10,000 streams 1 event/s",
            list(_alone(stand, peers)),
            columns,
        )
    ]
    if not stand.is_quick:
        jobs = list(_behind_nginx(stand))
        first = jobs[0].row
        tables.append(
            Table(
                "Growth, behind nginx: 9,500 deliveries/s, to 9,500 streams 1 event/s for 60 s",
                jobs,
                [Column(f"to {first}", "cpu_us", "{:.2f}", first), *columns],
            )
        )
    return Course(NAME, tables)


def row(name: str, streams: int) -> str:
    """Return the name of a server's row."""
    return f"{name}, {streams:,} streams"


def server_of(name: str) -> str:
    """Return whose a row is."""
    return name.rpartition(", ")[0]


def _alone(stand: Stand, peers: Peers) -> Iterator[Job]:
    for make in peers.alone():
        name = make().name
        is_ours = make is Ours
        if stand.is_quick and not is_ours:
            continue
        sizes = QUICK_STREAMS if stand.is_quick else STREAMS if is_ours else ENDS
        for streams in sizes:
            yield broadcast_job(
                stand,
                make,
                _load(
                    streams,
                    DELIVERIES_PER_SECOND / streams,
                    CONNECTS_PER_SECOND,
                    3 if stand.is_quick else 5,
                ),
                Measurement.deliveries,
                pinned=True,
                row=row(name, streams),
            )


def _behind_nginx(stand: Stand) -> Iterator[Job]:
    make = partial(Ours, behind_nginx=True)
    name, few = make().name, STREAMS[0]
    for label, streams, events_per_second, measure_seconds in (
        (name, few, MOST_STREAMS / few, 8),
        (f"{name} at 1 event/s", few, 1, 15),
        (name, MOST_STREAMS, 1, 60),
    ):
        yield broadcast_job(
            stand,
            make,
            _load(streams, events_per_second, NGINX_CONNECTS_PER_SECOND, measure_seconds),
            Measurement.deliveries,
            pinned=False,
            row=row(label, streams),
        )


def _load(
    streams: int, events_per_second: float, connects_per_second: float, measure_seconds: float
) -> Load:
    return Load(
        streams=streams,
        ramp_seconds=streams / connects_per_second,
        publishers=1,
        events_per_second=events_per_second,
        warm_up_seconds=1,
        measure_seconds=measure_seconds,
    )
