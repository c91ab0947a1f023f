"""How long things took, in buckets that grow with what they hold. Pure."""

# Of a number's binary digits 7 are kept: a bucket is then at most 1/64 of its value wide, and its
# middle within 0.8 % of all that is in it.
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
        """Take in all that another one holds."""
        for floor_us, count in other._counts.items():  # noqa: SLF001 (its own class)
            self._counts[floor_us] = self._counts.get(floor_us, 0) + count
        self.most_us = max(self.most_us, other.most_us)

    def percentile_us(self, percent: float) -> int | None:
        """Return a duration that so many percent do not exceed; None where there is none."""
        due = len(self) * percent / 100
        for floor_us in sorted(self._counts):
            due -= self._counts[floor_us]
            # What floats lose on the way must not cost a bucket.
            if due <= 1e-6:
                width_us = 1 << max(0, floor_us.bit_length() - _KEPT_BITS)
                return min(floor_us + width_us // 2, self.most_us)
        return None
