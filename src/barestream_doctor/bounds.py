"""Findings about limits and request bodies. Pure."""

from collections.abc import Iterator

from barestream_doctor import remedies
from barestream_doctor.exchange import Ending
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.seen import LimitsSeen, Seen

# A browser with a stream a tab, and an office behind one address, need as many.
_FEW_STREAMS = 100
_FEW_HTTP2 = 100
_SMALL_BYTES = 8192

# A line that comes so long before the body's end was not held back until then.
_BEFORE_SECONDS = 0.5


def bounds(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what was found of both."""
    yield from _body(seen, hop)
    if seen.limits is not None:
        yield from _streams(seen.limits, hop)
        yield _sizes(seen.limits, hop)


def _body(seen: Seen, hop: str) -> Iterator[Finding]:
    sent = seen.body
    if sent is None:
        return
    if sent.line_came_at is not None and sent.line_came_at < sent.ended_at - _BEFORE_SECONDS:
        took = f"{1000 * sent.line_came_at:.0f} ms"
        yield Finding(
            "body",
            Severity.OK,
            f"a request's body goes on as it comes: its first line took {took} to a stream.",
        )
    elif sent.answer.status == 200:
        yield Finding(
            "body-buffered",
            Severity.WARNING,
            f"A request's body is passed on only when it is whole: its first line came after "
            f"{sent.ended_at:.1f} s, with the body's end. A streamed publish does not stream here.",
            hop,
            remedies.unbuffered_bodies(hop),
        )
    else:
        yield Finding(
            "body-refused",
            Severity.NOTE if sent.answer.status in {401, 403} else Severity.WARNING,
            f"A streamed publish gets {sent.answer.status or sent.answer.error}.",
            "" if sent.answer.status in {401, 403} else hop,
            "give a token that may publish to the topic"
            if sent.answer.status in {401, 403}
            else remedies.unbuffered_bodies(hop),
        )


def _streams(found: LimitsSeen, hop: str) -> Iterator[Finding]:
    *streams, plain = found.of_http1
    opened = sum(each.is_stream and each.ending is Ending.OPEN for each in streams)
    if opened == len(streams) and plain.status == 200:
        yield Finding(
            "seven-streams",
            Severity.OK,
            "the server takes seven streams over HTTP/1.1, and a request beside them; a browser "
            "itself opens six.",
        )
    else:
        yield Finding(
            "seven-streams",
            Severity.WARNING,
            f"Of seven streams over HTTP/1.1 {opened} opened, and a request beside them gets "
            f"{plain.status or plain.error}.",
            hop,
            "raise the limit of connections of one address",
        )
    if found.of_http2 is not None:
        is_few = found.of_http2 < _FEW_HTTP2
        yield Finding(
            "http2-streams",
            Severity.NOTE if is_few else Severity.OK,
            f"over HTTP/2 {found.of_http2} streams of one connection opened; the server allows "
            f"{found.http2_streams}.",
            hop if is_few else "",
            "nginx: http2_max_concurrent_streams 256;" if is_few else "",
        )
    refused = found.refused
    told = f"{found.most_streams} streams of one address opened"
    if refused is not None:
        why = refused.turned_away or refused.error
        told += f", then one was refused ({why or f'status {refused.status}'})"
    is_few = found.most_streams < _FEW_STREAMS
    yield Finding(
        "address-streams",
        Severity.WARNING if is_few else Severity.OK,
        f"{told}.",
        hop if is_few else "",
        "raise the limit of one address, such as BARESTREAM_STREAMS_PER_ADDRESS" if is_few else "",
    )


def _sizes(found: LimitsSeen, hop: str) -> Finding:
    told = []
    most: dict[str, int] = {}
    for (name, size), status in sorted(found.sizes.items()):
        if status == 200:
            most[name] = size
    for name in ("query", "header"):
        refused = next(
            (
                f" ({size // 1024} KB gets {status or 'no answer'})"
                for (kind, size), status in sorted(found.sizes.items())
                if kind == name and status != 200
            ),
            "",
        )
        told.append(f"a {name} of {most.get(name, 0) // 1024} KB{refused}")
    is_small = min(most.get(name, 0) for name in ("query", "header")) < _SMALL_BYTES
    return Finding(
        "request-sizes",
        Severity.NOTE if is_small else Severity.OK,
        f"taken are {' and '.join(told)}.",
        hop if is_small else "",
        "nginx: large_client_header_buffers 4 32k;" if is_small else "",
    )
