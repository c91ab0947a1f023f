"""What a load is asked to do."""

import math
from dataclasses import dataclass

from barestream_load.target import Target


class TooFewFilesError(Exception):
    """The streams asked for need more open files than a process may have."""


@dataclass(frozen=True)
class Publishing:
    """What is published meanwhile.

    Attributes:
        events_per_second: Of all publishers together.
        publishers: How many post at the same time, each one event after the other.
        data_bytes: How large an event's data is.
    """

    events_per_second: float
    publishers: int
    topics: tuple[str, ...]
    data_bytes: int
    token: str


@dataclass(frozen=True)
class Plan:
    """How large a load is.

    Attributes:
        url: As the user wrote it.
        fields: Header fields for each stream's request.
        run: What the stamps of this load begin with, as no other load's do.
        ramp_seconds: Over which the streams are opened evenly.
        seconds: For how long it goes on once they are open.
    """

    url: str
    target: Target
    fields: tuple[str, ...]
    run: bytes
    streams: int
    processes: int
    ramp_seconds: float
    seconds: float
    publishing: Publishing | None

    @property
    def shares(self) -> list[range]:
        """The streams of each process, which are every so manieth."""
        return [range(nth, self.streams, self.processes) for nth in range(self.processes)]


def check_files(plan: Plan, files: int, room: int) -> None:
    """See that each process has a file for every stream of its own.

    Args:
        plan: The load.
        files: How many files a process may open.
        room: How many of them may be streams.

    Raises:
        TooFewFilesError: There are fewer.
    """
    if len(plan.shares[0]) > room:
        raise TooFewFilesError(
            f"--streams {plan.streams}: expected at most {room * plan.processes} with --processes "
            f"{plan.processes}, because a process may open {files} files (ulimit -Hn). "
            f"Use --processes {math.ceil(plan.streams / room)}."
        )
