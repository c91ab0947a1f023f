"""Each event to 2,000 streams: what a delivery costs."""

from pathlib import Path

from bench.broadcasting import alone, behind_nginx
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Table

NAME = "fan-out"


def course(stand: Stand, cache: Path) -> Course:
    """Return the course."""
    load = Load(
        streams=2000,
        ramp_seconds=2,
        publishers=1,
        events_per_second=10,
        warm_up_seconds=1,
        measure_seconds=3 if stand.is_quick else 10,
    )
    cost = Column("CPU a delivery", "cpu_us", "{:.1f} us")
    columns = [
        Column("p50", "p50_ms", "{:.0f} ms"),
        Column("p99", "p99_ms", "{:.0f} ms"),
        Column("lost", "lost", "{:,.0f}"),
        Column("on the wire", "wire_bytes", "{:.0f} B"),
        Column("client", "client_cores", "{:.0%} of a core"),
    ]
    return Course(
        NAME,
        [
            Table(
                "Fan-out, app alone: 2,000 streams, 10 events/s of 130 bytes",
                alone(stand, cache, load, Measurement.deliveries),
                [
                    cost,
                    Column("to the floor", "cpu_us", "{:.2f}", "C floor"),
                    Column("to nchan", "cpu_us", "{:.2f}", "nchan"),
                    *columns,
                ],
            ),
            Table(
                "Fan-out, behind nginx",
                behind_nginx(stand, cache, load, Measurement.deliveries),
                [
                    cost,
                    Column("to better-sse", "cpu_us", "{:.2f}", "better-sse behind nginx"),
                    Column("to sse-starlette", "cpu_us", "{:.2f}", "sse-starlette behind nginx"),
                    *columns,
                ],
            ),
        ],
    )
