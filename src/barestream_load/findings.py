"""The findings of the processes of a load, and their sum."""

from collections import Counter
from dataclasses import dataclass, field

from barestream_load.histogram import Histogram
from barestream_load.usage import Usage


@dataclass
class Findings:
    """The findings about streams.

    Attributes:
        opened: How many streams were opened.
        failed: How many were not opened, by the reason.
        ended: Streams that the server ended by the rules of HTTP.
        cut: Streams whose connection was cut.
        silent: Open streams that received no event.
        unstamped: Events from other publishers, if this load published.
        gaps_told: Events of type barestream.gap.
        is_compared: Whether events could be compared, so that lost, twice and disordered count.
        open_after: Time from the first packet to the head of the answer.
        latency: Time from the sending of an event to its reading.
        own_wait: The largest part of the latency that this load's own process may have caused.
        silence_us: The longest time in which a stream received no byte.
    """

    streams: int = 0
    opened: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    cut: int = 0
    silent: int = 0
    events: int = 0
    wire_bytes: int = 0
    unstamped: int = 0
    gaps_told: int = 0
    is_compared: bool = True
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    open_after: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)
    own_wait: Histogram = field(default_factory=Histogram)
    silence_us: int = 0
    usages: list[Usage] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add the findings of another process."""
        self.streams += other.streams
        self.opened += other.opened
        self.failed += other.failed
        self.ended += other.ended
        self.cut += other.cut
        self.silent += other.silent
        self.events += other.events
        self.wire_bytes += other.wire_bytes
        self.unstamped += other.unstamped
        self.gaps_told += other.gaps_told
        self.is_compared = self.is_compared and other.is_compared
        self.lost += other.lost
        self.twice += other.twice
        self.disordered += other.disordered
        self.open_after.add(other.open_after)
        self.latency.add(other.latency)
        self.own_wait.add(other.own_wait)
        self.silence_us = max(self.silence_us, other.silence_us)
        self.usages += other.usages


@dataclass
class Published:
    """The findings of the publishers.

    Attributes:
        numbers: For each publisher, how many events it has sent.
        untaken: For each publisher, the numbers of the events that were not answered with 200.
        answers: How many were not answered with 200, by the reason.
        answered_after: Time from the sending of an event to its answer, if that was 200.
    """

    numbers: list[int]
    untaken: list[list[int]]
    usage: Usage
    answers: Counter[str] = field(default_factory=Counter)
    answered_after: Histogram = field(default_factory=Histogram)

    @property
    def taken(self) -> int:
        """How many events were answered with 200."""
        return len(self.answered_after)


@dataclass
class Outcome:
    """The result of a load.

    Attributes:
        seconds: How long it lasted.
        published: None if it did not publish.
    """

    seconds: float
    findings: Findings
    published: Published | None

    @property
    def is_well(self) -> bool:
        """Whether each stream was opened and not cut, and each event came once and in order."""
        found = self.findings
        faults = found.lost + found.twice + found.disordered + found.gaps_told + found.cut
        unpublished = self.published.answers.total() if self.published else 0
        return not faults and not unpublished and found.opened == found.streams
