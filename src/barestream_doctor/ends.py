"""Findings about statuses, ends and resuming: what they do to a browser here. Pure."""

from collections.abc import Iterator

from barestream_doctor.exchange import Ending, Exchange, arrivals
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.seen import Seen, ids


def ends(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what an EventSource does after each end."""
    yield from _statuses(seen, hop)
    yield from _ended(seen, hop)
    yield from _resumed(seen, hop)


def _statuses(seen: Seen, hop: str) -> Iterator[Finding]:
    away = seen.statuses.get(502)
    if away is not None and away.status:
        if away.is_stream:
            told = "an app that is away (502) becomes an empty stream: a browser reconnects."
        else:
            told = (
                f"a 502 comes as {away.status}: it closes an EventSource for good; a page must "
                "open another, as our client does."
            )
        yield Finding("status-502", Severity.OK if away.is_stream else Severity.NOTE, told)
    refused = seen.statuses.get(401)
    if refused is not None and refused.status and refused.status != 401:
        yield Finding(
            "status-401",
            Severity.WARNING,
            f"A 401 comes as {refused.status}: a page cannot tell that its token has ended.",
            hop,
            "have the proxy pass 401 on; nginx: no error_page 401, proxy_intercept_errors off",
        )
    elif refused is not None and refused.status:
        yield Finding("status-401", Severity.OK, "a 401 comes as such: an EventSource stops.")


def _ended(seen: Seen, hop: str) -> Iterator[Finding]:
    ended, cut = seen.ended, seen.cut
    if ended is not None and ended.is_stream:
        if ended.ending is Ending.CLEAN:
            yield Finding(
                "end", Severity.OK, "a stream's proper end comes as such, as in a restart."
            )
        else:
            yield Finding(
                "end-lost",
                Severity.WARNING,
                f"A stream that ends properly is {ended.ending.value} here.",
                hop,
                "clients reconnect after either; look for what breaks connections",
            )
    if cut is not None and cut.is_stream and cut.ending is Ending.OPEN:
        yield Finding(
            "cut-hidden",
            Severity.WARNING,
            f"A stream that the app cut is still open here {cut.ended_at:.0f} s later: pages wait "
            "for ever after a crash of the app.",
            hop,
            "have the proxy close its client's connection when the app's is closed; until then "
            "pages need a watchdog on heartbeats, as our client has",
        )


def _resumed(seen: Seen, hop: str) -> Iterator[Finding]:
    if seen.resumed is None:
        return
    first, again, unknown = seen.resumed
    before, after = ids(first), ids(again)
    if not after:
        yield Finding(
            "resume",
            Severity.WARNING if again.is_stream else Severity.ERROR,
            f"After a drop, with the id {before[0]}, no event came "
            f"({again.error or f'status {again.status}'}).",
            hop,
            "have the proxy pass Last-Event-ID on to the app",
        )
    elif after[0] == before[1]:
        yield Finding("resume", Severity.OK, "after a drop the stream goes on where it was.")
    elif before[0] in after:
        yield Finding(
            "resume-twice",
            Severity.WARNING,
            "After a drop the event that was the last comes again.",
            "",
            "the server must begin after the event of Last-Event-ID",
        )
    else:
        yield Finding(
            "resume-gap",
            Severity.WARNING,
            f"After a drop, with the id {before[0]}, the stream goes on with {after[0]}, not with "
            f"{before[1]}.",
            hop,
            "have the proxy pass Last-Event-ID on; the server must keep a history",
        )
    yield _unknown(unknown)


def _unknown(unknown: Exchange) -> Finding:
    came = [event for event in arrivals(unknown) if event.data is not None]
    if not unknown.is_stream:
        return Finding(
            "unknown-id",
            Severity.WARNING,
            f"An unknown id gets {unknown.status or unknown.error}: an EventSource stops for good.",
            "",
            "answer with the newest events, and tell the gap",
        )
    if any(event.type == "barestream.gap" for event in came):
        return Finding("unknown-id", Severity.OK, "a client with an unknown id is told its gap.")
    return Finding(
        "unknown-id",
        Severity.OK,
        f"a client with an unknown id gets {len(came)} {'event' if len(came) == 1 else 'events'}.",
    )
