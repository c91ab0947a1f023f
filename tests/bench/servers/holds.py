"""How long a server's loop was held, by what it tells of itself."""

import re
from collections.abc import Mapping
from typing import NamedTuple, Self

_MOST = re.compile(r"^barestream_loop_lag_max_seconds (\S+)$", re.MULTILINE)
_BUCKET = re.compile(r'^barestream_loop_lag_seconds_bucket{le="(\S+)"} (\S+)$', re.MULTILINE)


class Holds(NamedTuple):
    """What it tells at one moment.

    Attributes:
        most_seconds: The longest since it started.
        counts: How often it looked and was held for no longer than so many seconds.
    """

    most_seconds: float
    counts: Mapping[float, float]

    @classmethod
    def parse(cls, metrics: str) -> Self | None:
        """Read them from barestream's metrics; None where those of another commit lack them."""
        most = _MOST.search(metrics)
        if most is None:
            return None
        counts = {float(bound): float(count) for bound, count in _BUCKET.findall(metrics)}
        return cls(float(most[1]), counts)

    def longest_since(self, before: Self) -> float:
        """Return what no hold since then was longer than, as exactly as the counts tell it."""
        since = {bound: count - before.counts[bound] for bound, count in self.counts.items()}
        return min(bound for bound, count in since.items() if count == max(since.values()))
