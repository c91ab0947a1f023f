"""All that an examination has seen of one path. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from barestream_doctor.answers import Distance, RoundTrip, distance
from barestream_doctor.exchange import Exchange, arrivals
from barestream_doctor.timing import Delivered

# The type of the diagnostic endpoint's events.
DIAGNOSIS_TYPE = "barestream.diagnosis"


@dataclass(slots=True)
class BodySent:
    """A streamed publish whose body went on for a while after its first line.

    Attributes:
        answer: The answer; its times count from the first line.
        line_came_at: When the event of that line came by a stream; None if it did not.
        ended_at: When the body ended.
    """

    answer: Exchange
    line_came_at: float | None
    ended_at: float


@dataclass(slots=True)
class LimitsSeen:
    """What --limits has found.

    Attributes:
        of_http1: The answers to seven streams of HTTP/1.1, then to a plain request beside them.
        most_streams: How many streams of one address were open at once.
        refused: The answer to the first stream that was refused; None if none was.
        of_http2: How many of 129 streams of one connection of HTTP/2 were open; None without it.
        http2_streams: How many the server allows; None if it does not say.
        sizes: By the name and size in bytes of what was sent: the status.
    """

    of_http1: list[Exchange] = field(default_factory=list)
    most_streams: int = 0
    refused: Exchange | None = None
    of_http2: int | None = None
    http2_streams: int | None = None
    sizes: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """What one path has shown; a field without its probe is empty.

    Attributes:
        origin: The origin that was asked.
        sent_token: Whether the requests had a token.
        is_quick: Whether only what takes under 15 s was probed.
        plain: The first answer of the diagnostic endpoint.
        trips: The round trips of plain answers.
        first_hop: The answer to a request that is no HTTP: the first hop gives it by itself.
        stream: The answer of the stream that the URL names.
        courses: By the version of HTTP: a stream of small events whose times are known.
        begun: By the version of HTTP: the beginning of another such stream, a moment later.
        sweep: By the bytes of padding: a stream of larger events.
        silent: A stream without events and heartbeats.
        beating: The same with heartbeats.
        silent_seconds: How long they were watched.
        transformed: A stream that may be changed on the way, without no-transform.
        statuses: By the status that the app gave: the answer that came.
        ended: A stream that the app ended properly.
        cut: A stream that the app cut.
        twins: Two streams of one URL, opened together.
        resumed: A stream with ids, the same after a drop, and the same with an unknown id.
        origin_asked: The origin of pages that was given.
        crossed: A request of that origin, and its preflight.
        body: A streamed publish.
        limits: What --limits has found.
        stalls: When this process itself did not run, on the wall clock.
        notices: What could not be probed, and why.
    """

    origin: str = ""
    sent_token: bool = False
    is_quick: bool = False
    plain: Exchange = field(default_factory=Exchange)
    trips: list[RoundTrip] = field(default_factory=list)
    first_hop: Exchange = field(default_factory=Exchange)
    stream: Exchange | None = None
    courses: dict[str, Exchange] = field(default_factory=dict)
    begun: dict[str, Exchange] = field(default_factory=dict)
    sweep: dict[int, Exchange] = field(default_factory=dict)
    silent: Exchange | None = None
    beating: Exchange | None = None
    silent_seconds: float = 0
    transformed: Exchange | None = None
    statuses: dict[int, Exchange] = field(default_factory=dict)
    ended: Exchange | None = None
    cut: Exchange | None = None
    twins: tuple[Exchange, Exchange] | None = None
    resumed: tuple[Exchange, Exchange, Exchange] | None = None
    origin_asked: str = ""
    crossed: tuple[Exchange, Exchange] | None = None
    body: BodySent | None = None
    limits: LimitsSeen | None = None
    stalls: list[tuple[float, float]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def has_diagnosis(self) -> bool:
        """Whether the server has the diagnostic endpoint, and let the doctor use it."""
        return "heartbeat_seconds" in self.facts

    @property
    def facts(self) -> dict[str, Any]:
        """What the diagnostic endpoint says of the app."""
        return json_object(self.plain.body)

    @property
    def distance(self) -> Distance | None:
        """How far the server is; None without a round trip."""
        return distance(self.trips)

    def all_streams(self) -> Iterator[Exchange]:
        """Yield the streams that were to come as they were sent."""
        yield from self.courses.values()
        yield from self.sweep.values()
        if self.stream is not None and self.stream.is_stream:
            yield self.stream


def json_object(text: bytes | str) -> dict[str, Any]:
    """Return what a text holds, if that is an object of JSON; else an empty one."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def delivered(exchange: Exchange, between: Distance) -> list[Delivered]:
    """Return the stamped events of a diagnostic stream, on this machine's wall clock."""
    found = []
    for event in arrivals(exchange):
        if event.type == DIAGNOSIS_TYPE and event.data is not None:
            sent_at = json_object(event.data).get("at")
            if isinstance(sent_at, float | int):
                came_at = exchange.sent_at + event.at
                found.append(Delivered(sent_at + between.back_seconds, came_at, event.bytes))
    return found


def run_of(exchange: Exchange) -> str:
    """Return the name of the run that a diagnostic stream belongs to; empty if none came."""
    for event in arrivals(exchange):
        if event.type == DIAGNOSIS_TYPE and event.data is not None:
            return str(json_object(event.data).get("run", ""))
    return ""


def ids(exchange: Exchange) -> list[str]:
    """Return the ids of a stream's events, as a client keeps them."""
    return [event.id for event in arrivals(exchange) if event.data is not None and event.id]


def padded(sizes: Sequence[int]) -> str:
    """Return sizes of padding for people."""
    return ", ".join("small" if not size else f"{size // 1024} KB" for size in sizes)
