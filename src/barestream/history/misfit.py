"""Why a history does not fit into its broker."""

from typing import NamedTuple


class Misfit(NamedTuple):
    """Why the history may lose updates that its bounds should keep.

    Attributes:
        what: The problem, in one sentence.
        figures: Its numbers and settings, by name.
        remedy: How to solve it.
    """

    what: str
    figures: dict[str, int | str]
    remedy: str
