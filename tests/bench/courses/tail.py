"""What reading costs: each worker of each host reads every event of one Valkey."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench import processes
from bench.broadcasting import START_SECONDS, rehearsed
from bench.client import Load
from bench.measurement import NotServedError, Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Ours, Peers
from support.servers.valkey_server import ValkeyServer, binary

NAME = "tail"

# The workers of each host; the hosts are services of their own on this machine.
HOSTS = ((1,), (1, 1), (2, 2), (4, 4))

# So few that each read brings one; nearly the most that do; and so many that a read brings several.
_RATES = (200, 800, 2000)

# A worker that has just started still imports what its first event needs.
_SETTLE_SECONDS = 1.0


def course(stand: Stand, peers: Peers) -> Course:  # noqa: ARG001 (ours alone)
    """Return the course."""
    if not binary():
        return Course(NAME, [])
    columns = [
        Column("events/s", "events_per_second", "{:,.0f}"),
        Column("Valkey's CPU an event", "valkey_us", "{:.0f} us"),
        Column("Valkey's bytes an event", "valkey_bytes", "{:,.0f}"),
        Column("a reading worker's CPU an event", "reader_us", "{:.0f} us"),
    ]
    return Course(
        NAME,
        [
            Table(
                f"Reading workers, at {rate:,} events/s that another service publishes, no streams",
                list(_jobs(stand, rate)),
                columns,
            )
            for rate in _RATES
        ],
    )


def _jobs(stand: Stand, rate: int) -> Iterator[Job]:
    load = Load(
        publishers=32,
        events_per_second=rate,
        warm_up_seconds=1,
        measure_seconds=1 if stand.is_quick else 5,
    )
    for workers in HOSTS:
        hosts = f"{len(workers)} host{'s' if len(workers) > 1 else ''}"
        yield _job(stand, workers, load, f"{sum(workers)} on {hosts}, {rate:,} events/s")


def _job(stand: Stand, workers: tuple[int, ...], load: Load, row: str) -> Job:
    def run() -> Figures:
        with ExitStack() as stack:
            valkey = stack.enter_context(ValkeyServer())
            where = {"broker_url": valkey.url, "broker_password": valkey.password}
            publisher = stack.enter_context(Ours(**where))
            hosts = [stack.enter_context(Ours(workers=each, **where)) for each in workers]
            time.sleep(_SETTLE_SECONDS)
            return _figures(stand, valkey, publisher, hosts, load)

    return Job(row, load.seconds + START_SECONDS + len(workers), run)


def _figures(
    stand: Stand, valkey: ValkeyServer, publisher: Ours, hosts: list[Ours], load: Load
) -> Figures:
    complete = rehearsed(stand, publisher, load)
    valkey_pid = int(valkey.ask("INFO", "server")["process_id"])
    # Each of them is a worker but for its host's first process, which starts and watches them.
    workers = [pid for host in hosts for pid in host.pids()[1:]]
    valkey_seconds: dict[str, float] = {}
    readers_seconds: dict[str, float] = {}
    sent_bytes: dict[str, int] = {}

    def look(mark: str) -> None:
        valkey_seconds[mark] = processes.cpu_seconds([valkey_pid])
        readers_seconds[mark] = processes.cpu_seconds(workers)
        sent_bytes[mark] = valkey.ask("INFO", "stats")["total_net_output_bytes"]

    result = stand.client.run(publisher.address, complete, on_mark=look)
    events = result.measured.accepted
    if not events:
        raise NotServedError(f"nothing was accepted: {result}")
    return {
        "events_per_second": events / result.measured.seconds,
        "valkey_us": 1e6 * (valkey_seconds["end"] - valkey_seconds["start"]) / events,
        "valkey_bytes": (sent_bytes["end"] - sent_bytes["start"]) / events,
        "reader_us": 1e6
        * (readers_seconds["end"] - readers_seconds["start"])
        / events
        / len(workers),
    }
