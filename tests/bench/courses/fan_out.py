"""2,000 streams that come and stay, and get each event: what a stream costs, and a delivery."""

from bench.broadcasting import broadcast_jobs
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Figures, Table
from bench.servers import Peers
from bench.trial import Judged, Trial

NAME = "fan-out"

# A stream gets an event every two turns. Where that is 200 ms or more (the kernel's TCP_RTO_MIN),
# the receiver's kernel acknowledges each at once, in the sender's time. That is 5 us more a
# delivery, beside which a change of the server would seem smaller than it is.
_TURN_SECONDS = 0.05


def course(stand: Stand, peers: Peers) -> Course:
    """Return the course."""
    load = Load(
        streams=2000,
        ramp_seconds=4,
        publishers=1,
        events_per_second=10,
        warm_up_seconds=1,
        measure_seconds=3 if stand.is_quick else 6,
    )
    jobs_alone = broadcast_jobs(stand, peers.alone(), load, _figures, pinned=True)
    jobs_behind_nginx = broadcast_jobs(stand, peers.behind_nginx(), load, _figures, pinned=False)
    cost = Column("CPU a delivery", "cpu_us", "{:.1f} us")
    deliveries = [
        Column("p50", "p50_ms", "{:.0f} ms"),
        Column("p99", "p99_ms", "{:.0f} ms"),
        Column("lost", "lost", "{:,.0f}"),
        Column("on the wire", "wire_bytes", "{:.0f} B"),
        Column("client", "client_cores", "{:.0%} of a core"),
    ]
    connects = [
        Column("CPU a connect", "connect_us", "{:.0f} us"),
        Column("memory a stream", "stream_kb", "{:.1f} KB"),
        Column("p50 to the head", "head_p50_ms", "{:.1f} ms"),
        Column("p99", "head_p99_ms", "{:.1f} ms"),
        Column("failed", "failed", "{:,.0f}"),
    ]
    return Course(
        NAME,
        [
            Table(
                "Fan-out, app alone: 2,000 streams, 10 events/s of 130 bytes",
                jobs_alone,
                [
                    cost,
                    Column("to the floor", "cpu_us", "{:.2f}", "C floor"),
                    Column("to nchan", "cpu_us", "{:.2f}", "nchan"),
                    *deliveries,
                ],
            ),
            Table(
                "Fan-out, behind nginx",
                jobs_behind_nginx,
                [
                    cost,
                    Column("to better-sse", "cpu_us", "{:.2f}", "better-sse behind nginx"),
                    Column("to sse-starlette", "cpu_us", "{:.2f}", "sse-starlette behind nginx"),
                    *deliveries,
                ],
            ),
            Table(
                "Connects and memory, app alone: the same streams, 500 new ones a second",
                jobs_alone,
                connects,
            ),
            Table("Connects and memory, with nginx", jobs_behind_nginx, connects),
        ],
    )


def trials(stand: Stand) -> list[Trial]:
    """Return what is judged of two trees: a delivery, a connect and a stream's memory."""
    load = Load(
        streams=500 if stand.is_quick else 2000,
        ramp_seconds=0.5 if stand.is_quick else 2,
        publishers=1,
        # One event a turn, whose deliveries are over well before its end: so 10 events/s by the
        # clock, as in the course.
        events_per_second=1 / _TURN_SECONDS,
        warm_up_seconds=1,
        measure_seconds=2 if stand.is_quick else 4,
        turn_seconds=_TURN_SECONDS,
    )
    judged = [
        Judged("CPU a delivery", "cpu_us", "{:.2f} us"),
        Judged("CPU a connect", "connect_us", "{:.0f} us"),
        Judged("memory a stream", "stream_kb", "{:.2f} KB"),
    ]
    return [Trial(NAME, load, _figures, judged, pairs=1 if stand.is_quick else 5)]


def _figures(measurement: Measurement) -> Figures:
    return {**measurement.connects(), **measurement.deliveries()}
