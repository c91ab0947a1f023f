"""What the random courses share: the bounds of their histories, and a clock."""

from hypothesis import strategies as st

# 2026-11-22T16:40:00Z
THEN_MS = 1795365600_000

# Two updates with two topics each are within each of these bounds, so that no publish removes what
# it added.
BOUNDS = st.fixed_dictionaries(
    {
        "events": st.sampled_from([4, 8, 1000, 1000]),
        "seconds": st.sampled_from([4, 3600]),
        "topic_events": st.sampled_from([2, 2, 3, 1000]),
        "topic_seconds": st.just(0),
        "topics": st.sampled_from([4, 5, 6, 1000]),
        "kept_values": st.sampled_from([1, 3, 1000, 1000]),
        "kept_bytes": st.sampled_from([40, 10**6, 10**6]),
    }
)


class SetClock:
    """A clock that a course sets; in seconds."""

    def __init__(self) -> None:
        self.ms = THEN_MS

    def __call__(self) -> float:
        return self.ms / 1000
