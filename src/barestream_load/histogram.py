"""A histogram of durations, whose buckets are wider for longer durations. Pure."""

# A bucket keeps 7 binary digits of a number: it is at most 1/64 of its value wide, and its middle
# differs by at most 0.8 % from any value in it.
_KEPT_BITS = 7


class Histogram:
    """Durations in microseconds, in memory that does not grow with their number.

    Attributes:
        most_us: The longest, exactly.
    """

    __slots__ = ("_counts", "most_us")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.most_us = 0

    def __len__(self) -> int:
        return sum(self._counts.values())

    def record(self, duration_us: int) -> None:
        """Count a duration; one below 0 counts as 0."""
        if duration_us > self.most_us:
            self.most_us = duration_us
        elif duration_us < 0:
            duration_us = 0
        shift = duration_us.bit_length() - _KEPT_BITS
        if shift > 0:
            duration_us = duration_us >> shift << shift
        # A plain dict: a Counter takes twice as long for it.
        counts = self._counts
        counts[duration_us] = counts.get(duration_us, 0) + 1

    def add(self, other: "Histogram") -> None:
        """Add the durations of another histogram."""
        for floor_us, count in other._counts.items():  # noqa: SLF001 (its own class)
            self._counts[floor_us] = self._counts.get(floor_us, 0) + count
        self.most_us = max(self.most_us, other.most_us)

    def percentile_us(self, percent: float) -> int | None:
        """Return a duration that so many percent do not exceed; None if the histogram is empty."""
        due = len(self) * percent / 100
        for floor_us in sorted(self._counts):
            due -= self._counts[floor_us]
            # A rounding error of floats must not shift the result by a bucket.
            if due <= 1e-6:
                width_us = 1 << max(0, floor_us.bit_length() - _KEPT_BITS)
                return min(floor_us + width_us // 2, self.most_us)
        return None
