"""Loads whose streams all get every event."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.client import SEQUENCE, STAMP, Load, Target
from bench.measurement import Measurement, NotServedError, Stand
from bench.rounds import Figures, Job
from bench.servers import Server

# What an event has on the wire, its framing included.
EVENT_BYTES = 130

# Until a server answers, its rehearsal, and its end.
START_SECONDS = 4

# Enough streams and events to tell what an event's framing takes, and to have a server load what
# it loads for its first stream.
_REHEARSAL = Load(
    streams=20, publishers=1, events_per_second=40, warm_up_seconds=0.1, measure_seconds=0.4
)

# It ends as padding does, and not with a space, which a server may strip.
LEAST_DATA = f"{SEQUENCE} {STAMP} ."


def broadcast_job(
    stand: Stand,
    make: Callable[[], Server],
    load: Load,
    figures: Callable[[Measurement], Figures],
    *,
    pinned: bool,
    row: str | None = None,
) -> Job:
    """Return the job of a load.

    Args:
        stand: Where it is done.
        make: Makes the server.
        load: The load, without its targets and its request.
        figures: What of it is asked for.
        pinned: As for Stand.measure.
        row: The row's name, where it is not the server's.
    """

    def run() -> Figures:
        with make() as server:
            return figures(stand.measure(server, rehearsed(stand, server, load), pinned=pinned))

    return Job(row or make().name, load.seconds + START_SECONDS, run)


def broadcast_jobs(
    stand: Stand,
    makes: Sequence[Callable[[], Server]],
    load: Load,
    figures: Callable[[Measurement], Figures],
    *,
    pinned: bool,
    peers_load: Load | None = None,
) -> list[Job]:
    """Return the jobs of a load on several servers, of which the first is ours.

    Args:
        stand: Where they are done.
        makes: Make the servers.
        load: The load, as for broadcast_job.
        figures: What of it is asked for.
        pinned: As for Stand.measure.
        peers_load: The peers' where it is another one.
    """
    ours, *peers = makes
    return [
        broadcast_job(stand, ours, load, figures, pinned=pinned),
        *(broadcast_job(stand, peer, peers_load or load, figures, pinned=pinned) for peer in peers),
    ]


def rehearsed(
    stand: Stand,
    server: Server,
    load: Load,
    post: Callable[[str, str], bytes] | None = None,
) -> Load:
    """Return a load with its requests, of events of EVENT_BYTES; the server is warm then.

    Args:
        stand: Where it is done.
        server: The server.
        load: The load, as for broadcast_job.
        post: Makes the request that publishes, where it is not the server's `post`.

    Raises:
        NotServedError: The server delivers nothing.
    """
    return _with_requests(load, server, _framing_bytes(stand, server), post or server.post)


def _framing_bytes(stand: Stand, server: Server) -> int:
    """Return what a server puts around an event's data."""
    rehearsal = _with_requests(_REHEARSAL, server, EVENT_BYTES, server.post)
    found = stand.client.run(server.address, rehearsal).measured
    if not found.delivered:
        raise NotServedError("nothing was delivered at the rehearsal")
    return round(found.bytes / found.delivered) - len(LEAST_DATA)


def _with_requests(
    load: Load, server: Server, framing_bytes: int, post: Callable[[str, str], bytes]
) -> Load:
    padding = "." * (EVENT_BYTES - framing_bytes - len(LEAST_DATA))
    return replace(
        load,
        targets=[Target(server.get("bench"))],
        request=post("bench", LEAST_DATA + padding),
    )
