"""More events than can be written one by one: 32 publishers at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.broadcasting import broadcast_jobs
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Peers, Server
from bench.trial import Judged, Trial

NAME = "burst"

MEASURE_SECONDS = 20

# Enough to see who keeps up; what grows with the time is the queue of who does not.
PEERS_SECONDS = 6


def course(stand: Stand, peers: Peers) -> Course:
    """Return the course."""
    columns = [
        Column("deliveries/s", "delivered_per_second", "{:,.0f}"),
        Column("lost", "lost", "{:,.0f}"),
        # A server may cut streams that are behind.
        Column("failed", "failed", "{:,.0f}"),
        Column("p50", "p50_ms", "{:,.0f} ms"),
        Column("p99", "p99_ms", "{:,.0f} ms"),
        Column("CPU a delivery", "cpu_us", "{:.1f} us"),
        Column("longest hold", "hold_ms", "<= {:.0f} ms"),
        Column("at arrival", "arrival_hold_ms", "{:.0f} ms"),
        Column("server", "server_cores", "{:.2f} cores"),
        Column("client", "client_cores", "{:.2f} cores"),
    ]
    return Course(
        NAME,
        [
            Table(
                "Burst, app alone: 1,000 streams, 32 publishers at once, 500 events/s of 130 bytes",
                _jobs(stand, peers.alone(), 500, pinned=True),
                columns,
            ),
            Table(
                "Burst, behind nginx: the same with 250 events/s",
                _jobs(stand, peers.behind_nginx(), 250, pinned=False),
                columns,
            ),
        ],
    )


def trials(stand: Stand) -> list[Trial]:
    """Return what is judged of two trees: a delivery's cost, and whether one falls behind."""
    alone = Load(
        streams=1000,
        ramp_seconds=1,
        publishers=32,
        events_per_second=500,
        together=True,
        warm_up_seconds=1,
        measure_seconds=2 if stand.is_quick else 4,
    )
    due_per_second = alone.streams * alone.events_per_second

    def kept_up(measurement: Measurement) -> Figures:
        return at_most_due(measurement.deliveries(), due_per_second)

    # One burst a turn.
    by_turns = replace(alone, turn_seconds=alone.publishers / alone.events_per_second)
    cost = Judged("CPU a delivery", "cpu_us", "{:.2f} us")
    rate = Judged("deliveries/s", "delivered_per_second", "{:,.0f}", more_is_better=True)
    return [
        Trial(NAME, by_turns, Measurement.deliveries, [cost], pairs=1 if stand.is_quick else 5),
        # A tree that falls behind would go on in the other one's turns, and not be seen to.
        Trial(f"{NAME}, no turns", alone, kept_up, [rate], pairs=1),
    ]


def at_most_due(figures: Figures, due_per_second: float) -> Figures:
    """Return the figures without deliveries that were due before the measured seconds.

    They are in the rate of a server that was behind at that moment, which is then higher than the
    rate of one that kept up.
    """
    rate = min(figures["delivered_per_second"], due_per_second)
    return {**figures, "delivered_per_second": rate}


def _jobs(
    stand: Stand,
    makes: Sequence[Callable[[], Server]],
    events_per_second: float,
    *,
    pinned: bool,
) -> list[Job]:
    ours, peers = (
        Load(
            streams=1000,
            ramp_seconds=1,
            publishers=32,
            events_per_second=events_per_second,
            together=True,
            warm_up_seconds=1,
            measure_seconds=3 if stand.is_quick else measure_seconds,
        )
        for measure_seconds in (MEASURE_SECONDS, PEERS_SECONDS)
    )
    return broadcast_jobs(
        stand, makes, ours, Measurement.deliveries, pinned=pinned, peers_load=peers
    )
