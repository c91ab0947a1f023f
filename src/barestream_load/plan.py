"""The parameters of a load."""

import math
from dataclasses import dataclass

from barestream_load.target import Target


class TooFewFilesError(Exception):
    """The streams need more open files than a process may have."""


@dataclass(frozen=True)
class Publishing:
    """The parameters of publishing.

    Attributes:
        events_per_second: The rate of all publishers together.
        publishers: How many publish at the same time; each waits for an answer before its next
            event.
        data_bytes: How large an event's data is.
    """

    events_per_second: float
    publishers: int
    topics: tuple[str, ...]
    data_bytes: int
    token: str


@dataclass(frozen=True)
class Plan:
    """The parameters of a load.

    Attributes:
        url: The URL as the user wrote it.
        fields: Header fields for each stream's request.
        run: The random id of this load, with which its stamps begin.
        ramp_seconds: The time over which the streams are opened evenly.
        seconds: How long the load lasts once they are open.
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
        """The numbers of each process's streams, dealt out in turn."""
        return [range(nth, self.streams, self.processes) for nth in range(self.processes)]


def check_files(plan: Plan, files: int, room: int) -> None:
    """Check that each process may open a file for each of its streams.

    Args:
        plan: The load.
        files: How many files a process may open.
        room: How many of them may be streams.

    Raises:
        TooFewFilesError: It may not.
    """
    if len(plan.shares[0]) > room:
        raise TooFewFilesError(
            f"--streams {plan.streams}: expected at most {room * plan.processes} with --processes "
            f"{plan.processes}, because a process may open {files} files (ulimit -Hn). "
            f"Use --processes {math.ceil(plan.streams / room)}."
        )
