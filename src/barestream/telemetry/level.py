"""A gauge of what changes thousands of times a second."""

from prometheus_client import Gauge


class Level:
    """Holds a value in memory, and sets a gauge to it now and then (see Tally).

    Args:
        gauge: The gauge.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._value: float = 0
        self._shown: float | None = None

    def set(self, value: float) -> None:
        """Hold another value."""
        self._value = value

    def flush(self) -> None:
        """Set the gauge to what is held."""
        if self._value != self._shown:
            self._gauge.set(self._value)
            self._shown = self._value
