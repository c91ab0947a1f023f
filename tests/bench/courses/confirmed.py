"""What it costs to have a replica confirm each update before it is accepted (WAITAOF)."""

from collections.abc import Iterator
from contextlib import ExitStack

from bench.broadcasting import START_SECONDS, rehearsed
from bench.client import Load
from bench.courses.publishing import PUBLISHERS
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Ours, Peers
from support.servers.sentinel_group import replicate
from support.servers.valkey_server import ValkeyServer, binary, is_since

NAME = "confirmed"

# The first server that knows WAITAOF.
_LEAST_VERSION = (7, 2)


def course(stand: Stand, peers: Peers) -> Course:  # noqa: ARG001 (ours alone)
    """Return the course; it is empty where no server knows WAITAOF."""
    if not (binary() and is_since(_LEAST_VERSION)):
        return Course(NAME, [])
    return Course(
        NAME,
        [
            Table(
                f"{publishers} at once, to Valkey with one replica, both on one disk",
                [*_jobs(stand, publishers)],
                [
                    Column("accepted/s", "accepted_per_second", "{:,.0f}"),
                    Column("p50", "p50_ms", "{:.2f} ms"),
                    Column("to no confirmation", "p50_ms", "{:.2f}", _row(publishers, 0)),
                    Column("p99", "p99_ms", "{:.2f} ms"),
                    Column("the app's CPU an event", "cpu_us", "{:.0f} us"),
                    Column("to no confirmation", "cpu_us", "{:.2f}", _row(publishers, 0)),
                    Column("refused", "refused", "{:,.0f}"),
                ],
            )
            for publishers in PUBLISHERS
        ],
    )


def _row(publishers: int, replicas: int) -> str:
    return f"{publishers} at once, {'a replica' if replicas else 'none'} confirms"


def _jobs(stand: Stand, publishers: int) -> Iterator[Job]:
    load = Load(
        publishers=publishers, warm_up_seconds=1, measure_seconds=1 if stand.is_quick else 4
    )
    for replicas in (0, 1):
        yield _job(stand, load, replicas, _row(publishers, replicas))


def _job(stand: Stand, load: Load, replicas: int, row: str) -> Job:
    def run() -> Figures:
        with ExitStack() as stack:
            primary, replica = (stack.enter_context(ValkeyServer()) for _ in range(2))
            replicate(replica, primary)
            ours = Ours(
                broker_url=primary.url,
                broker_password=primary.password,
                broker_replicas=replicas,
            )
            server = stack.enter_context(ours)
            complete = rehearsed(stand, server, load)
            return Measurement.publishes(stand.measure(server, complete, pinned=False))

    return Job(row, load.seconds + START_SECONDS, run)
