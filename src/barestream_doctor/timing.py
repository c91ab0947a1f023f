"""What the times of a stream's events say about the way they came. Pure.

An event is late by what it took longer than the fastest plain answer on the same path, so neither
the distance nor the offset of the two clocks counts. One late event says nothing: a busy machine
has those. A fault shows in most of the events, and in their structure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import NamedTuple

# People notice a delay from about 0.1 s on, and a machine whose cores are busy seldom delays half
# of the events by this much.
LATE_SECONDS = 0.15

# Events that were sent one by one and come within this time came together.
TOGETHER_SECONDS = 0.03

# Fewer events show no structure.
LEAST_EVENTS = 4

# The share of events that must fit a structure.
_MOST = 0.8


class Delivered(NamedTuple):
    """One event on its way.

    Attributes:
        sent: When the server sent it, in seconds of any clock.
        came: When it came, in seconds of the same clock, as far as the offset is known.
        bytes: Its size.
    """

    sent: float
    came: float
    bytes: int

    @property
    def late(self) -> float:
        """The seconds that it is late."""
        return self.came - self.sent


class Pattern(Enum):
    """The structures that are told apart."""

    PROMPT = "prompt"
    NOTHING = "nothing"
    HELD_TO_END = "held to the end"
    ONE_BEHIND = "one behind"
    CLUMPS = "clumps"
    DRIFT = "drift"
    CONSTANT = "constant"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a stream.

    Attributes:
        pattern: The structure of the delays.
        events: How many events came.
        late: The median of the delays, in seconds.
        most_late: The greatest delay, in seconds.
        groups: The sizes of the groups that came together, in bytes.
        apart: The median of the seconds between two groups; 0 with fewer than two.
        behind: How many events behind the stream is.
    """

    pattern: Pattern
    events: int = 0
    late: float = 0
    most_late: float = 0
    groups: tuple[int, ...] = ()
    apart: float = 0
    behind: int = 0


def course(
    delivered: Sequence[Delivered],
    stalls: Sequence[tuple[float, float]] = (),
    noise_seconds: float = 0,
) -> Course:
    """Return the course of a stream's events.

    Args:
        delivered: The events, in order.
        stalls: When this process itself did not run: the begin and the end of each time. What was
            read at the end of one may have come at its begin.
        noise_seconds: How late most plain answers were at the same time.
    """
    counted = [_excused(each, stalls) for each in delivered]
    if not counted:
        return Course(Pattern.NOTHING)
    delays = [each.late for each in counted]
    groups = _groups(counted)
    starts = [group[0].came for group in groups]
    pattern, behind = _pattern(counted, groups, LATE_SECONDS + 2 * noise_seconds)
    return Course(
        pattern,
        len(counted),
        median(delays),
        max(delays),
        tuple(sum(each.bytes for each in group) for group in groups),
        median(after - before for before, after in pairwise(starts)) if len(starts) > 1 else 0,
        behind,
    )


def _excused(one: Delivered, stalls: Sequence[tuple[float, float]]) -> Delivered:
    for begin, end in stalls:
        if begin <= one.came <= end + TOGETHER_SECONDS:
            return one._replace(came=max(min(one.sent, one.came), begin))
    return one


def _groups(delivered: Sequence[Delivered]) -> list[list[Delivered]]:
    """Return the events by the groups in which they came."""
    groups = [[delivered[0]]]
    for before, after in pairwise(delivered):
        if after.came - before.came <= TOGETHER_SECONDS < after.sent - before.sent:
            groups[-1].append(after)
        else:
            groups.append([after])
    return groups


def _pattern(
    counted: Sequence[Delivered], groups: list[list[Delivered]], late_seconds: float
) -> tuple[Pattern, int]:
    late = [each for each in counted if each.late > late_seconds]
    if 2 * len(late) < len(counted) or len(counted) < LEAST_EVENTS:
        return Pattern.PROMPT, 0
    if counted[0].came > counted[-1].sent - LATE_SECONDS and len(groups) <= 2:
        return Pattern.HELD_TO_END, 0
    behind = next((number for number in (1, 2, 3) if _is_behind(counted, number)), 0)
    if behind:
        return Pattern.ONE_BEHIND, behind
    if 2 * len(groups) <= len(counted):
        return Pattern.CLUMPS, 0
    return _without_groups(counted), 0


def _without_groups(counted: Sequence[Delivered]) -> Pattern:
    third = len(counted) // 3
    lowest = [
        min(each.late for each in counted[nth * third : (nth + 1) * third]) for nth in range(3)
    ]
    if third and all(after - before > LATE_SECONDS for before, after in pairwise(lowest)):
        return Pattern.DRIFT
    delays = sorted(each.late for each in counted)
    quarter = len(delays) // 4
    spread = delays[-1 - quarter] - delays[quarter]
    is_constant = spread < max(LATE_SECONDS, 0.3 * median(delays))
    return Pattern.CONSTANT if is_constant else Pattern.LATE


def _is_behind(counted: Sequence[Delivered], behind: int) -> bool:
    """Return whether each event comes when the one so many places after it was sent."""
    pairs = list(zip(counted, counted[behind:], strict=False))
    if len(pairs) < LEAST_EVENTS:
        return False
    fit = sum(abs(first.came - later.sent) <= LATE_SECONDS for first, later in pairs)
    # Where all pauses are the same, a constant delay of that length looks the same.
    pauses = [later.sent - first.sent for first, later in pairs]
    return fit >= _MOST * len(pairs) and max(pauses) - min(pauses) > 2 * LATE_SECONDS
