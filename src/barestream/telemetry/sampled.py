"""What some processes have counted, by the names that Prometheus has for it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from prometheus_client import Metric


class Sampled:
    """The samples of some metrics, as they were read.

    Args:
        metrics: The metrics.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._samples: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for metric in metrics:
            for sample in metric.samples:
                self._samples[sample.name].append((sample.labels, sample.value))

    def sum(self, name: str) -> float:
        """Return a figure, over all of its labels; 0 where nothing was counted."""
        return sum(value for _, value in self._samples.get(name, ()))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return a figure by one of its labels."""
        return {labels[label]: value for labels, value in self._samples.get(name, ())}
