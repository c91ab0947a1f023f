"""The findings of runs of the drill of a failover: a row for each fault, over all runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from drill.findings import markdown

HEADS = (
    *("fault", "accepted", "accepted, and lost", "twice without a gap between"),
    *("twice after a gap", "out of order", "gaps sent", "losses not reported by a gap"),
    *("publishes retried", "slowest acceptance", "all live after"),
    *("accepted after the choice", "delivered after the choice"),
)


@dataclass(frozen=True)
class Row:
    """The figures of one fault, over some runs; the counts are their sums.

    Attributes:
        fault: Its name.
        accepted: Updates.
        lost: Accepted updates that are not in the history at the end.
        twice: Updates that came to a stream once more, without a gap between.
        twice_after_gap: Updates that came to a stream once more, with a gap between.
        disordered: Updates that came to a stream in the wrong order.
        gaps: Gaps that streams were sent.
        unreported: Losses of a stream that it was sent no gap for (see Verdict).
        retried: Updates that were not accepted at once.
        acceptance_seconds: The longest time until an update was accepted.
        live_seconds: The longest time until each client had an event that was made after the
            fault; None where some had none in time.
        writers_seconds: The longest time from the choice of another primary until each publisher
            had an update accepted; None where no other was chosen.
        readers_seconds: The same until each client of busy topics whose stream was open had an
            event; None also where no stream stayed open.
    """

    fault: str
    accepted: int
    lost: int
    twice: int
    twice_after_gap: int
    disordered: int
    gaps: int
    unreported: int
    retried: int
    acceptance_seconds: float
    live_seconds: float | None
    writers_seconds: float | None = None
    readers_seconds: float | None = None

    def with_run(self, other: "Row") -> "Row":
        """Return the figures of this and of other runs."""
        counts = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.type is int
        }
        slowest = max(self.acceptance_seconds, other.acceptance_seconds)
        lives = (self.live_seconds, other.live_seconds)
        return Row(
            self.fault,
            acceptance_seconds=slowest,
            live_seconds=None if None in lives else _longest(*lives),
            writers_seconds=_longest(self.writers_seconds, other.writers_seconds),
            readers_seconds=_longest(self.readers_seconds, other.readers_seconds),
            **counts,
        )

    def cells(self) -> list[str]:
        """Return it as cells of the table."""
        *first, acceptance, live, writers, readers = asdict(self).values()
        times = [(acceptance, ""), (live, "not in time"), (writers, ""), (readers, "")]
        return [
            *map(str, first),
            *(unknown if seconds is None else f"{seconds:.1f} s" for seconds, unknown in times),
        ]


def _longest(*seconds: float | None) -> float | None:
    return max((each for each in seconds if each is not None), default=None)


class Run(NamedTuple):
    """The findings of one run.

    Attributes:
        rows: A row for each fault.
        turned_away: The answers after which a client or a publisher would not have come back.
    """

    rows: Sequence[Row]
    turned_away: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """The findings of some runs with one number of replicas that confirm updates.

    Attributes:
        replicas: BARESTREAM_BROKER_REPLICAS.
        runs: The runs, at least one.
    """

    replicas: int
    runs: Sequence[Run]

    @property
    def rows(self) -> list[Row]:
        """A row for each fault."""
        first, *others = self.runs
        rows = list(first.rows)
        for other in others:
            rows = [row.with_run(each) for row, each in zip(rows, other.rows, strict=True)]
        return rows

    @property
    def is_well(self) -> bool:
        """Whether no accepted update was lost, and each stream was served or told of a gap.

        Without a confirmation a failover may lose accepted updates.
        """
        rows = self.rows
        faults = sum(row.twice + row.disordered + row.unreported for row in rows)
        lost = sum(row.lost for row in rows) if self.replicas else 0
        turned_away = any(each.turned_away for each in self.runs)
        came_back = all(row.live_seconds is not None for row in rows)
        return came_back and not (faults or lost or turned_away)

    def table(self) -> str:
        """Return the rows."""
        return markdown(HEADS, [row.cells() for row in self.rows])
