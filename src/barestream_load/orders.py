"""The messages between the processes of a load."""

from typing import NamedTuple


class Begin(NamedTuple):
    """Every event that is published from now on is expected in each open stream.

    It is sent to the crowds, and to the publishers once each crowd has reported that it has begun.
    """


class Stop(NamedTuple):
    """Sent to the publishers: stop publishing. They answer with Published."""


class Finish(NamedTuple):
    """Sent to a crowd: report once each stream has its expected events. It answers with Findings.

    Attributes:
        numbers: Those of Published.
        untaken: Those of Published.
    """

    numbers: list[int]
    untaken: list[list[int]]


class Progress(NamedTuple):
    """Sent by a crowd, several times a second.

    Attributes:
        settled: Streams that were opened, or failed to open.
        open: Streams that are open.
        events: How many events came since the load began.
        has_begun: Whether the crowd has received Begin.
    """

    settled: int
    open: int
    events: int
    has_begun: bool = False
