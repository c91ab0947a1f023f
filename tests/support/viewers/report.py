"""What viewers noticed, as a table for people and as a verdict for tests. Pure."""

import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from support.clients.event_source import Visit
from support.judges.verdict import Verdict
from support.viewers.show import Show

# Failures come in crowds; the first ones tell.
MOST_ACCOUNTS = 20

# A line of a second's reconnects is not wider than a terminal.
MOST_MARKS = 60


@dataclass(frozen=True)
class Report:
    """What became of streams and events.

    Attributes:
        published: How many events were.
        refused: The answers by which others were not; none was tried twice.
        verdict: What the viewers were brought of them.
        closed: The answers after which an EventSource would not have come back.
        gaps: What viewers were told is gone.
        visits: Each viewer's connections.
        began_at: When everybody was there, of time.monotonic.
        silences_seconds: Each viewer's longest time without an event.
        lag_seconds: The longest that the process of the viewers was held up.
    """

    published: int
    refused: Sequence[str]
    verdict: Verdict
    closed: Sequence[str]
    gaps: Sequence[str]
    visits: Sequence[Sequence[Visit]]
    began_at: float
    silences_seconds: Sequence[float]
    lag_seconds: float

    @classmethod
    def of(cls, show: Show) -> "Report":
        """Return what is to be said of a show that is over."""
        return cls(
            published=sum(post.accepted for post in show.ledger.posts),
            refused=show.ledger.refused,
            verdict=show.verdict(),
            closed=[answer for viewer in show.viewers for answer in viewer.closed],
            gaps=[gap for viewer in show.viewers for gap in viewer.gaps],
            visits=[viewer.visits for viewer in show.viewers],
            began_at=show.live_at,
            silences_seconds=show.silences_seconds,
            lag_seconds=show.lag_seconds,
        )

    @property
    def reconnects(self) -> list[float]:
        """When viewers came back, in seconds since everybody was there, in order."""
        returns = (visit.began_at for visits in self.visits for visit in visits[1:])
        return sorted(at - self.began_at for at in returns)

    @property
    def touched_twice(self) -> list[str]:
        """The course of each viewer whose stream was ended more than once."""
        return [
            f"viewer {nth}: {'; '.join(self._account(visit) for visit in visits)}"
            for nth, visits in enumerate(self.visits)
            if len(visits) > 2
        ]

    def _account(self, visit: Visit) -> str:
        came, went = visit.began_at - self.began_at, visit.ended_at - self.began_at
        return f"{visit.status} from {came:.2f} to {went:.2f} s, {visit.end}"

    def noticed(self, drain_seconds: float) -> list[str]:
        """Return a sentence for each thing that a viewer or a publisher noticed.

        Args:
            drain_seconds: Over which the service ends its streams, evenly.
        """
        allowed = 2 * len(self.visits) / drain_seconds
        most = most_in_a_second(self.reconnects)
        return [
            *self.verdict.accounts,
            *(f"refused: {answer}" for answer in self.refused),
            *(f"closed for ever: {answer}" for answer in self.closed),
            *(f"gap: {gap}" for gap in self.gaps),
            *(f"touched twice: {account}" for account in self.touched_twice),
            *([f"{most} reconnects in a second; {allowed:g} are allowed"] * (most > allowed)),
        ]

    def assert_unnoticed(self, drain_seconds: float) -> None:
        """Fail unless nobody was left out, and all that were touched were so once and in turn."""
        noticed = self.noticed(drain_seconds)
        assert not noticed, "\n".join([*noticed[:MOST_ACCOUNTS], "", str(self)])

    def assert_nothing_lost(self) -> None:
        """Fail unless nobody lost anything, was sent anything twice, or was sent away for good."""
        verdict = self.verdict
        found = (verdict.lost.total(), verdict.twice.total(), verdict.disordered.total())
        told = "\n".join([*verdict.accounts[:MOST_ACCOUNTS], "", str(self)])
        assert found == (0, 0, 0), told
        assert self.closed == self.gaps == [], told

    def __str__(self) -> str:
        """Return it as a table, and the reconnects of each second below."""
        rows = [("", "found"), ("---", "---:"), *self._rows()]
        return "\n".join([*(f"| {name} | {value} |" for name, value in rows), "", *self._slope()])

    def _rows(self) -> list[tuple[str, str]]:
        verdict = self.verdict
        return [
            ("streams", str(len(self.visits))),
            ("events published", str(self.published)),
            ("publishes refused", str(len(self.refused))),
            ("events lost", str(verdict.lost.total())),
            ("twice", str(verdict.twice.total())),
            ("out of order", str(verdict.disordered.total())),
            ("gaps", str(len(self.gaps))),
            ("streams closed for ever", str(len(self.closed))),
            ("reconnects", str(len(self.reconnects))),
            ("most reconnects in a second", str(most_in_a_second(self.reconnects))),
            ("streams touched twice", str(len(self.touched_twice))),
            ("longest silence", f"{max(self.silences_seconds):.1f} s"),
            ("its median", f"{statistics.median(self.silences_seconds):.1f} s"),
            ("the viewers held up", f"{self.lag_seconds:.2f} s"),
        ]

    def _slope(self) -> list[str]:
        seconds = Counter(int(at) for at in self.reconnects)
        if not seconds:
            return []
        scale = min(1.0, MOST_MARKS / max(seconds.values()))
        return [
            f"{second:4d} s {seconds[second]:4d} {'#' * round(seconds[second] * scale)}"
            for second in range(min(seconds), max(seconds) + 1)
        ]


def most_in_a_second(times: Sequence[float]) -> int:
    """Return how many of some times, in order, lie in one second, wherever that begins."""
    return max((nth + 1 - bisect_left(times, at - 1) for nth, at in enumerate(times)), default=0)
