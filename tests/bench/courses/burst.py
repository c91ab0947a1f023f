"""More events than can be written one by one: 32 publishers at once."""

from pathlib import Path

from bench.broadcasting import alone, behind_nginx
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Table

NAME = "burst"


def course(stand: Stand, cache: Path) -> Course:
    """Return the course."""
    columns = [
        Column("deliveries/s", "delivered_per_second", "{:,.0f}"),
        Column("lost", "lost", "{:,.0f}"),
        Column("p50", "p50_ms", "{:,.0f} ms"),
        Column("p99", "p99_ms", "{:,.0f} ms"),
        Column("CPU a delivery", "cpu_us", "{:.1f} us"),
        Column("server", "server_cores", "{:.2f} cores"),
        Column("client", "client_cores", "{:.2f} cores"),
    ]
    return Course(
        NAME,
        [
            Table(
                "Burst, app alone: 1,000 streams, 32 publishers at once, 500 events/s of 130 bytes",
                alone(stand, cache, _load(stand, 500), Measurement.deliveries),
                columns,
            ),
            Table(
                "Burst, behind nginx: the same with 250 events/s",
                behind_nginx(stand, cache, _load(stand, 250), Measurement.deliveries),
                columns,
            ),
        ],
    )


def _load(stand: Stand, events_per_second: float) -> Load:
    return Load(
        streams=1000,
        ramp_seconds=1,
        publishers=32,
        events_per_second=events_per_second,
        together=True,
        warm_up_seconds=1,
        measure_seconds=3 if stand.is_quick else 20,
    )
