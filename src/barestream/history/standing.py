"""Where a worker's history is, if sentinels say so."""

from typing import NamedTuple

from barestream.telemetry.metrics import Metrics


class Standing(NamedTuple):
    """What the sentinels say.

    Attributes:
        primary: The address of the primary; None as long as none was named.
        answering: How many sentinels name a primary.
        sentinels: How many there are.
    """

    primary: str | None
    answering: int
    sentinels: int


class Standings:
    """Shows what the sentinels say.

    Args:
        metrics: Where it is shown.

    Attributes:
        newest: What they said last; None without sentinels.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.newest: Standing | None = None

    @property
    def words(self) -> str:
        """What they said last, as a line without an address; empty without sentinels."""
        if self.newest is None:
            return ""
        return f"{self.newest.answering} of {self.newest.sentinels} sentinels name the primary\n"

    def note(self, standing: Standing) -> None:
        """Take what they say."""
        before, self.newest = self.newest, standing
        self._metrics.sentinels.set(standing.answering)
        if before is not None and before.primary not in (None, standing.primary):
            self._metrics.primary.labels(before.primary).set(0)
        if standing.primary is not None:
            self._metrics.primary.labels(standing.primary).set(1)
