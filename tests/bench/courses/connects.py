"""2,000 streams that come and stay: what it costs to open one, and to hold it."""

from pathlib import Path

from bench.broadcasting import alone, behind_nginx
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Table

NAME = "connects"


def course(stand: Stand, cache: Path) -> Course:
    """Return the course."""
    # Two events, so that each stream has been written to.
    load = Load(
        streams=2000,
        ramp_seconds=4,
        publishers=1,
        events_per_second=2,
        measure_seconds=1,
    )
    columns = [
        Column("CPU a connect", "connect_us", "{:.0f} us"),
        Column("memory a stream", "stream_kb", "{:.1f} KB"),
        Column("p50 to the head", "p50_ms", "{:.1f} ms"),
        Column("p99", "p99_ms", "{:.1f} ms"),
        Column("failed", "failed", "{:,.0f}"),
    ]
    return Course(
        NAME,
        [
            Table(
                "Connects and memory, app alone: 2,000 streams, 500 new ones a second",
                alone(stand, cache, load, Measurement.connects),
                columns,
            ),
            Table(
                "Connects and memory, with nginx",
                behind_nginx(stand, cache, load, Measurement.connects),
                columns,
            ),
        ],
    )
