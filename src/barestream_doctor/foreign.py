"""Findings about a stream whose server has no diagnostic endpoint. Pure."""

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from barestream_doctor import remedies
from barestream_doctor.exchange import Arrived, Ending, Exchange, arrivals
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.seen import Seen
from barestream_doctor.timing import TOGETHER_SECONDS

# Headers take one way there and back; a server may do some work first.
_HEAD_SECONDS = 1.0

# Fewer groups of events show nothing.
_LEAST_GROUPS = 2

# A group of so many events that came at once, after a pause, is a clump if others are too.
_CLUMP_EVENTS = 3
_CLUMP_PAUSE_SECONDS = 1.0


def foreign(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what the stream itself shows."""
    stream = seen.stream
    if stream is None or seen.has_diagnosis:
        return
    if stream.error or not stream.is_stream:
        yield _no_stream(stream, hop)
        return
    late = stream.head_at - stream.connect_seconds
    if late > _HEAD_SECONDS:
        yield Finding(
            "headers-late",
            Severity.WARNING,
            f"The headers came after {stream.head_at:.1f} s.",
            hop,
            remedies.unbuffered(hop),
        )
    else:
        yield Finding("headers", Severity.OK, f"headers after {stream.head_at * 1000:.0f} ms.")
    came = list(arrivals(stream))
    events = [each for each in came if each.data is not None]
    yield _events(events, came, stream, hop)
    if len(events) >= _LEAST_GROUPS and all(each.id is None for each in events):
        yield Finding(
            "no-ids",
            Severity.NOTE,
            f"None of {len(events)} events has an id: a client that was away cannot say what it "
            "has, and misses what came meanwhile.",
            "",
            "give each event an id, and go on after Last-Event-ID",
        )
    if stream.ending is not Ending.OPEN:
        last_at = came[-1].at if came else stream.head_at
        yield Finding(
            "ended",
            Severity.NOTE if stream.ending is Ending.CLEAN else Severity.WARNING,
            f"The stream ended after {stream.ended_at:.1f} s ({stream.ending.value}), and "
            f"{stream.ended_at - last_at:.1f} s after its last event or comment.",
            hop,
            remedies.idle(hop, 60),
        )


def _no_stream(stream: Exchange, hop: str) -> Finding:
    if not stream.status and stream.ending is Ending.OPEN and stream.ended_at > _HEAD_SECONDS:
        return Finding(
            "headers-late",
            Severity.ERROR,
            f"No headers came within {stream.ended_at:.0f} s: something holds the answer back "
            "until it is whole, or the server does not answer.",
            hop,
            remedies.unbuffered(hop),
        )
    if stream.error or stream.turned_away:
        return Finding("no-stream", Severity.ERROR, f"The stream did not open: {stream.failure}.")
    remedy = {
        401: "give a token by --token, or BARESTREAM_TOKEN",
        403: "give a token that may read this stream",
        404: "give the URL of a stream, with its path",
        204: "204 tells an EventSource to stop",
    }.get(stream.status, "an EventSource closes for good on any answer but 200 text/event-stream")
    return Finding(
        "no-stream",
        Severity.ERROR,
        f"There is no stream: {stream.failure}.",
        "",
        remedy,
    )


def _events(events: list[Arrived], came: list[Arrived], stream: Exchange, hop: str) -> Finding:
    if not events:
        return Finding(
            "no-event",
            Severity.NOTE,
            f"No event came within {stream.ended_at:.0f} s, and {len(came)} comments: the stream "
            "is silent, or something holds it back.",
            "",
            "let the server send events meanwhile",
        )
    groups = [[events[0]]]
    for before, after in pairwise(events):
        if after.at - before.at <= TOGETHER_SECONDS:
            groups[-1].append(after)
        else:
            groups.append([after])
    # The first may be the history.
    later = groups[1:]
    clumps = [group for group in later if len(group) >= _CLUMP_EVENTS]
    apart = median([b[0].at - a[0].at for a, b in pairwise(groups)]) if later else 0
    if (
        len(later) >= _LEAST_GROUPS
        and 2 * len(clumps) > len(later)
        and apart > _CLUMP_PAUSE_SECONDS
    ):
        return Finding(
            "clumps",
            Severity.WARNING,
            f"{len(events)} events came in {len(groups)} clumps, {apart:.1f} s apart. If the "
            "server sends them one by one, something holds them back.",
            hop,
            remedies.unbuffered(hop),
        )
    return Finding("events", Severity.OK, f"{len(events)} events came, {apart:.2f} s apart.")
