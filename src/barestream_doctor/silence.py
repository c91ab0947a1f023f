"""Findings about silent streams: who closes them, after how long, and how. Pure."""

from collections.abc import Iterator

from barestream_doctor import remedies
from barestream_doctor.exchange import Ending, Exchange, arrivals
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.seen import Seen

_HOW = {
    Ending.CLEAN: "with a proper end, as if the server had ended it",
    Ending.CUT: "by closing the connection in the middle of the body",
    Ending.RESET: "by a reset",
}

# A timeout that leaves room for one late heartbeat.
_HEARTBEATS = 2

# Two streams that end within this time end for the same reason.
_SAME_SECONDS = 2


def silence(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what becomes of silent streams."""
    silent, beating = seen.silent, seen.beating
    if silent is None or not silent.is_stream:
        return
    heartbeat_seconds = float(seen.facts.get("heartbeat_seconds", 15))
    if not _was_closed(silent):
        yield Finding(
            "silence",
            Severity.OK,
            f"a stream without events and heartbeats is open after {seen.silent_seconds:.0f} s.",
        )
    elif beating is not None and _had_heartbeat(beating) and _together(silent, beating):
        yield Finding(
            "duration-limit",
            Severity.WARNING,
            f"A stream is closed after {beating.ended_at:.1f} s although it gets heartbeats each "
            f"{heartbeat_seconds:.0f} s, {_HOW[beating.ending]}.",
            hop,
            "raise the limit of a request's length; until then clients reconnect each time",
        )
    else:
        # The app sends its only event at once, whenever that comes.
        yield _idle(silent.ended_at, silent, heartbeat_seconds, hop)
    if beating is not None and not _was_closed(beating) and beating.is_stream:
        yield Finding(
            "heartbeats",
            Severity.OK,
            f"a stream with heartbeats each {heartbeat_seconds:.0f} s is open after "
            f"{seen.silent_seconds:.0f} s.",
        )


def _was_closed(exchange: Exchange) -> bool:
    return exchange.ending is not Ending.OPEN


def _had_heartbeat(beating: Exchange) -> bool:
    """Return whether a stream got a heartbeat, so that it was not as silent as the other."""
    return any(each.data is None and each.at > _SAME_SECONDS for each in arrivals(beating))


def _together(one: Exchange, other: Exchange) -> bool:
    return _was_closed(other) and abs(one.ended_at - other.ended_at) < _SAME_SECONDS


def _idle(idle_seconds: float, silent: Exchange, heartbeat_seconds: float, hop: str) -> Finding:
    what = f"closed after {idle_seconds:.1f} s of silence, {_HOW[silent.ending]}"
    if idle_seconds > _HEARTBEATS * heartbeat_seconds:
        return Finding(
            "silence",
            Severity.OK,
            f"a stream without heartbeats is {what}; heartbeats each {heartbeat_seconds:.0f} s "
            "prevent that.",
        )
    is_short = idle_seconds <= heartbeat_seconds
    return Finding(
        "idle-timeout",
        Severity.ERROR if is_short else Severity.WARNING,
        f"A stream is {what}; heartbeats come each {heartbeat_seconds:.0f} s"
        f"{', which is too late' if is_short else ', and one that is late comes too late'}.",
        hop,
        remedies.idle(hop, 4 * heartbeat_seconds)
        + f": BARESTREAM_HEARTBEAT_SECONDS={max(1, int(idle_seconds / 3))}",
    )
