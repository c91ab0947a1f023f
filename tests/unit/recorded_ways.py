"""What an examination sees of a way, as it was recorded in front of the app, in a short form."""

import json
from collections.abc import Callable, Sequence

from barestream_doctor.answers import RoundTrip
from barestream_doctor.exchange import Ending, Exchange, Read
from barestream_doctor.seen import Seen

# Each pause before an event, in seconds, as the probe asks for it.
PAUSES = (0.7, 0.2, 0.8, 0.35, 1.1, 0.5)
EVENTS = 14

# The server's clock is so far ahead of the client's.
OFFSET = 3600.0

STREAM_HEADERS = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store, no-transform"),
]

# Returns when each event comes, by when each was sent, in seconds.
Way = Callable[[Sequence[float]], Sequence[float]]


def sent_times() -> list[float]:
    """Return when the server sends each event, in seconds since the request."""
    return [
        sum(PAUSES[earlier % len(PAUSES)] for earlier in range(number + 1))
        for number in range(EVENTS)
    ]


def prompt(sent: Sequence[float]) -> list[float]:
    """A way that takes 1 ms."""
    return [each + 0.001 for each in sent]


def held_to_end(sent: Sequence[float]) -> list[float]:
    """A way that passes all on at the end."""
    return [sent[-1] + 0.01] * len(sent)


def one_behind(sent: Sequence[float]) -> list[float]:
    """A way that holds the last event back."""
    return [*(each + 0.001 for each in sent[1:]), sent[-1] + 0.002]


def clumps(sent: Sequence[float]) -> list[float]:
    """A way that passes four events on together."""
    return [
        sent[min(number - number % 4 + 3, len(sent) - 1)] + 0.002 for number in range(len(sent))
    ]


def drift(sent: Sequence[float]) -> list[float]:
    """A way that carries less than is sent."""
    return [1.25 * each for each in sent]


def constant(sent: Sequence[float]) -> list[float]:
    """A way that delays the events of streams by 200 ms, as HAProxy does without http-no-delay."""
    return [each + 0.2 for each in sent]


def busy(sent: Sequence[float]) -> list[float]:
    """A sound way to a machine that is busy: some events are late, by chance."""
    late = (0.002, 0.31, 0.0, 0.09, 0.02, 0.4, 0.01)
    return [each + late[number % len(late)] for number, each in enumerate(sent)]


def stream(way: Way, padding: int = 0, headers: Sequence[tuple[str, str]] = ()) -> Exchange:
    """Return a diagnostic stream that has come by a way."""
    sent = sent_times()
    came = way(sent)
    found = Exchange(sent_at=1000.0, http_version="1.1", status=200, head_at=min(0.002, came[0]))
    found.headers = [*STREAM_HEADERS, *headers]
    for number, (sent_after, at) in enumerate(zip(sent, came, strict=True)):
        fields = {"run": "r", "number": number, "at": 1000.0 + OFFSET + sent_after}
        event = f"event: barestream.diagnosis\ndata: {json.dumps(fields)}\n"
        found.reads.append(Read(at, event.encode() + b":" * padding + b"\n\n"))
    found.ending, found.ended_at = Ending.CLEAN, came[-1]
    return found


def seen(way: Way = prompt, behind_seconds: float = 0.0) -> Seen:
    """Return what an examination sees of a way to the app.

    Args:
        way: When events come.
        behind_seconds: What a plain answer takes behind the first hop, on its way back.
    """
    plain = Exchange(http_version="1.1", status=200, headers=[("content-type", "application/json")])
    facts = {"heartbeat_seconds": 15, "http_version": "1.1"}
    plain.reads = [Read(0.001, json.dumps(facts).encode())]
    first_hop = Exchange(status=400, headers=[("server", "nginx/1.28.0")])
    found = Seen("http://events.example", plain=plain, first_hop=first_hop, silent_seconds=105)
    found.trips = [
        RoundTrip(0.001, 10.0, 10.0005 + OFFSET, 10.0006 + OFFSET, 10.0011 + behind_seconds + extra)
        for extra in (0.3, 0.0, 0.02, 0.001, 0.002)
    ]
    found.courses["1.1"] = stream(way)
    found.sweep = {size: stream(way, size) for size in (2048, 65_536)}
    return found
