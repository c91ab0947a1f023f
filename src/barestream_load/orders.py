"""What the parts of a load tell each other through their pipes."""

from typing import NamedTuple


class Begin(NamedTuple):
    """What is published from now on is owed to every stream that is open.

    To the crowds, and to the publishers when each crowd has told that it has begun.
    """


class Stop(NamedTuple):
    """To the publishers: no more; they answer with Published."""


class Finish(NamedTuple):
    """To a crowd: report, as soon as each stream has what it is owed; it answers with Findings.

    Attributes:
        numbers: As of Published.
        untaken: As of Published.
    """

    numbers: list[int]
    untaken: list[list[int]]


class Progress(NamedTuple):
    """From a crowd, now and then.

    Attributes:
        settled: Streams that were opened, or were not and will not be.
        open: Those that are open now.
        events: How many came since the load began.
        has_begun: Whether it has heard Begin.
    """

    settled: int
    open: int
    events: int
    has_begun: bool = False
