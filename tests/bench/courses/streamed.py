"""Events in the bodies of requests that stay open: how many a worker takes, and how late."""

from collections.abc import Iterator

from bench.broadcasting import START_SECONDS, rehearsed
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Ours, Peers
from support.servers.valkey_server import binary

NAME = "streamed"

REQUESTS = (1, 8)
STREAMS = 20

# Half of what a worker is to take a second, in its own memory and to Valkey: a rate for a service
# that has room left.
_CALM_MEMORY, _CALM_VALKEY = 10_000, 5_000

# What is under way in the sockets at the end takes a slow server so long.
_DRAIN_SECONDS = 20


def course(stand: Stand, peers: Peers) -> Course:  # noqa: ARG001 (no peer has such a request)
    """Return the course."""
    event = [
        Column("events/s", "events_per_second", "{:,.0f}"),
        Column("CPU an event", "event_us", "{:.0f} us"),
    ]
    cores = [
        Column("lost", "lost", "{:,.0f}"),
        Column("refused", "refused", "{:,.0f}"),
        Column("server", "server_cores", "{:.2f} cores"),
        Column("client", "client_cores", "{:.2f} cores"),
    ]
    latency = [Column("p50", "p50_ms", "{:.1f} ms"), Column("p99", "p99_ms", "{:.1f} ms")]
    return Course(
        NAME,
        [
            Table(
                "Streamed publish: each request as fast as its body is read, to 1 stream",
                list(_jobs(stand, 1, is_calm=False)),
                [*event, *cores],
            ),
            Table(
                f"Streamed publish: at half the rate that is asked of a worker, to {STREAMS} "
                "streams",
                list(_jobs(stand, STREAMS, is_calm=True)),
                [*event, *latency, *cores],
            ),
        ],
    )


def _jobs(stand: Stand, streams: int, *, is_calm: bool) -> Iterator[Job]:
    homes = [("in memory", "local", _CALM_MEMORY)]
    if binary():
        homes.append(("to Valkey", "valkey", _CALM_VALKEY))
    for name, broker, calm_per_second in homes:
        for requests in REQUESTS:
            load = Load(
                streams=streams,
                publishers=requests,
                streamed=True,
                events_per_second=calm_per_second if is_calm else 0,
                warm_up_seconds=1,
                measure_seconds=1 if stand.is_quick else 4,
                drain_seconds=_DRAIN_SECONDS,
            )
            rate = f", {calm_per_second:,} events/s" if is_calm else ""
            yield _job(stand, broker, load, f"{name}, {requests} at once{rate}")


def _job(stand: Stand, broker: str, load: Load, row: str) -> Job:
    def run() -> Figures:
        with Ours(broker=broker) as server:
            complete = rehearsed(stand, server, load, server.streamed)
            # As it is used: Valkey has a core of its own where there is one.
            return _figures(stand.measure(server, complete, pinned=broker == "local"))

    return Job(row, load.seconds + START_SECONDS, run)


def _figures(measurement: Measurement) -> Figures:
    """Return those of a delivery, and those of an event, which each stream had."""
    of_delivery = measurement.deliveries()
    streams = of_delivery["streams"]
    return {
        **of_delivery,
        "events_per_second": of_delivery["delivered_per_second"] / streams,
        "event_us": of_delivery["cpu_us"] * streams,
    }
