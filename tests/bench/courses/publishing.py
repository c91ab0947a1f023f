"""Events a second that a server takes while nobody listens."""

from collections.abc import Iterable
from functools import partial

from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Job, Table
from bench.servers import Make, Ours, Peers
from bench.trial import Judged, Trial
from support.servers.valkey_server import binary

NAME = "publishing"

PUBLISHERS = (1, 64)

_MEMORY = ("its own memory", "local")
_VALKEY = ("Valkey", "valkey")


def course(stand: Stand, peers: Peers) -> Course:
    """Return the course."""
    columns = [
        Column("accepted/s", "accepted_per_second", "{:,.0f}"),
        Column("p50", "p50_ms", "{:.2f} ms"),
        Column("p99", "p99_ms", "{:.2f} ms"),
        Column("CPU an event", "cpu_us", "{:.0f} us"),
        Column("refused", "refused", "{:,.0f}"),
        Column("server", "server_cores", "{:.2f} cores"),
        Column("client", "client_cores", "{:.2f} cores"),
    ]
    in_memory = [(make().name, make) for make in peers.alone()]
    durable: list[tuple[str, Make]] = [(make().name, make) for make in peers.durable()]
    if binary():
        durable.insert(0, ("barestream to Valkey", partial(Ours, broker="valkey")))
    tables = [
        Table(
            "Publishing, in memory: no streams, each publisher as fast as it is answered",
            _jobs(stand, in_memory, pinned=True),
            columns,
        )
    ]
    if durable:
        # As they are used: Valkey has a core of its own where there is one.
        jobs = _jobs(stand, durable, pinned=False)
        title = "Publishing, each event on the disk before it is answered: the same"
        tables.append(Table(title, jobs, columns))
    return Course(NAME, tables)


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


def _jobs(stand: Stand, makes: Iterable[tuple[str, Make]], *, pinned: bool) -> list[Job]:
    """Return the jobs of servers, each given with its name."""
    return [
        broadcast_job(
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
        for name, make in makes
        for publishers in PUBLISHERS
    ]
