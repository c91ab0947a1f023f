"""What one more worker costs: each of them reads every event of Valkey."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bench.broadcasting import broadcast_job
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Column, Course, Figures, Job, Table
from bench.servers import Ours, Peers

NAME = "workers"

WORKERS = (1, 2, 4, 8)

# As many as nginx lets one address have at once, but for a few.
PUBLISHERS = 60

# So that events come one by one: the next is due long after one was read by all workers.
EVENTS_PER_SECOND = 200


def course(stand: Stand, peers: Peers) -> Course:  # noqa: ARG001 (ours alone)
    """Return the course."""
    costs = [
        Column("CPU an event", "cpu_us", "{:.0f} us"),
        Column("of each further worker", "further_us", "{:.0f} us"),
    ]
    busy = Load(
        publishers=PUBLISHERS, warm_up_seconds=0.5, measure_seconds=1 if stand.is_quick else 4
    )
    calm = Load(
        streams=1,
        publishers=4,
        events_per_second=EVENTS_PER_SECOND,
        warm_up_seconds=0.5,
        measure_seconds=1 if stand.is_quick else 5,
    )
    tables = [
        Table(
            f"Workers, behind nginx, to Valkey: {PUBLISHERS} publishers, each as fast as it is "
            "answered, no streams",
            list(_jobs(stand, busy, Measurement.publishes, "")),
            [
                Column("accepted/s", "accepted_per_second", "{:,.0f}"),
                Column("to 1 worker", "accepted_per_second", "{:.2f}", _row(1, "")),
                *costs,
                Column("refused", "refused", "{:,.0f}"),
            ],
        ),
        Table(
            f"The same at {EVENTS_PER_SECOND} events/s, to 1 stream",
            list(_jobs(stand, calm, Measurement.deliveries, _CALM)),
            [
                *costs,
                Column("p50", "p50_ms", "{:.1f} ms"),
                Column("p99", "p99_ms", "{:.1f} ms"),
                Column("lost", "lost", "{:,.0f}"),
            ],
        ),
    ]
    return Course(NAME, tables)


_CALM = f", {EVENTS_PER_SECOND} events/s"


def _row(workers: int, load: str) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}{load}"


@dataclass
class _Further:
    """What each further worker costs, by the difference to one worker in the same round."""

    cpu_us: dict[int, float] = field(default_factory=dict)

    def of(self, workers: int, figures: Figures) -> Figures:
        """Return the figures of so many workers, with that one; for one worker it is 0."""
        self.cpu_us[workers] = figures["cpu_us"]
        more_us = figures["cpu_us"] - self.cpu_us.get(1, figures["cpu_us"])
        return {**figures, "further_us": more_us / max(1, workers - 1)}


def _jobs(
    stand: Stand, load: Load, figures: Callable[[Measurement], Figures], name: str
) -> Iterator[Job]:
    further = _Further()
    for workers in WORKERS:
        job = broadcast_job(
            stand,
            partial(Ours, workers=workers, behind_nginx=True, broker="valkey"),
            load,
            figures,
            pinned=False,
            row=_row(workers, name),
        )
        yield job._replace(run=lambda job=job, workers=workers: further.of(workers, job.run()))
