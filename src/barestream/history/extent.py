"""How much a history has."""

from typing import NamedTuple


class Extent(NamedTuple):
    """How much a history has at a moment.

    Attributes:
        updates: How many updates.
        bytes: How much memory they and the index of topics take, by the weights of the broker.
        oldest_seconds: The age of the oldest update, by the history's clock; 0 without updates.
        used_bytes: The memory that Valkey takes; 0 where it is not known.
        most_used_bytes: How much that may be (maxmemory); 0 without a bound, or if not known.
    """

    updates: int
    bytes: int
    oldest_seconds: float
    used_bytes: int = 0
    most_used_bytes: int = 0
