"""Findings about versions, headers, compression, caches, origins and cookies. Pure."""

from collections.abc import Iterator

from barestream_doctor import remedies
from barestream_doctor.exchange import Exchange
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.hops import first_hop
from barestream_doctor.lateness import judged
from barestream_doctor.seen import Seen, run_of
from barestream_doctor.timing import Pattern

_CACHED = ("age", "x-cache", "cf-cache-status", "x-cache-status", "x-proxy-cache")


def heads(seen: Seen, hop: str) -> Iterator[Finding]:
    """Yield what versions and headers say."""
    yield _path(seen)
    yield from _version(seen)
    yield from _stream_head(seen, hop)
    yield from _compression(seen, hop)
    yield from _cache(seen, hop)
    yield from _origins(seen, hop)


def _any_answer(seen: Seen) -> Exchange:
    return next(seen.all_streams(), seen.stream or seen.plain)


def _path(seen: Seen) -> Finding:
    told = f"first hop {first_hop(seen) or 'unknown'}"
    answer = _any_answer(seen)
    for name in ("server", "via"):
        if value := answer.header(name):
            told += f', {name.capitalize()} "{value[:60]}"'
    if first_hop(seen) == "barestream":
        told += ": no proxy shows itself"
    return Finding("path", Severity.OK, f"{told}.")


def _version(seen: Seen) -> Iterator[Finding]:
    answer = _any_answer(seen)
    if seen.facts.get("http_version") == "1.0":
        yield Finding(
            "upstream-http10",
            Severity.NOTE,
            "The app is asked by HTTP/1.0, which has no chunks: a stream that is cut on the way to "
            "the proxy looks as if it had ended.",
            "the last proxy before the app",
            'nginx: proxy_http_version 1.1; proxy_set_header Connection "";',
        )
    if answer.http_version == "1.0":
        yield Finding(
            "http10",
            Severity.WARNING,
            "The answer is of HTTP/1.0: a stream that is cut looks as if it had ended.",
            first_hop(seen),
            "have the proxy speak HTTP/1.1 to its clients",
        )
    elif "2" in seen.courses:
        yield Finding(
            "http", Severity.OK, "HTTP/2 by ALPN: a browser may open 100 streams or more."
        )
    elif answer.alpn is None:
        yield Finding(
            "http",
            Severity.OK,
            "HTTP/1.1 without TLS: a browser opens six streams to a host, of all tabs together.",
        )
    elif seen.has_diagnosis and not any("h2" in each for each in seen.notices):
        yield Finding(
            "no-http2",
            Severity.NOTE,
            "TLS without HTTP/2: a browser opens six streams to a host, of all tabs together.",
            first_hop(seen),
            "turn HTTP/2 on; nginx: http2 on;",
        )


def _stream_head(seen: Seen, hop: str) -> Iterator[Finding]:
    answer = next(seen.all_streams(), None)
    if answer is None:
        return
    content_type = answer.header("content-type").lower().replace(" ", "")
    if "charset=" in content_type and "charset=utf-8" not in content_type:
        yield Finding(
            "charset",
            Severity.ERROR,
            f'The Content-Type is "{content_type}": Chromium closes a stream that is not UTF-8.',
            hop,
            "send text/event-stream; charset=utf-8",
        )
    if length := answer.header("content-length"):
        yield Finding(
            "content-length",
            Severity.ERROR,
            f"The stream has a Content-Length of {length}: it was read whole before it was sent.",
            hop,
            remedies.unbuffered(hop),
        )
    cache_control = answer.header("cache-control").lower()
    if not seen.has_diagnosis:
        if "no-transform" not in cache_control:
            yield Finding(
                "no-transform",
                Severity.NOTE,
                f'Cache-Control is "{cache_control}": without no-transform a proxy may compress '
                "the stream, and hold it back.",
                "",
                "send Cache-Control: no-store, no-transform",
            )
    elif "no-transform" not in cache_control or "no-store" not in cache_control:
        yield Finding(
            "cache-control",
            Severity.WARNING,
            f'The app sends Cache-Control "no-store, no-transform", and "{cache_control}" comes.',
            hop,
            "have the proxy pass the app's Cache-Control on",
        )


def _compression(seen: Seen, hop: str) -> Iterator[Finding]:
    compressed = [each for each in seen.all_streams() if each.header("content-encoding")]
    if compressed:
        encoding = compressed[0].header("content-encoding")
        yield Finding(
            "compressed",
            Severity.WARNING,
            f"The stream is compressed ({encoding})"
            f"{', although it says no-transform' if seen.has_diagnosis else ''}: compression may "
            "hold events back, and takes memory for each stream.",
            hop,
            remedies.unbuffered(hop),
        )
        return
    changed, between = seen.transformed, seen.distance
    if changed is None or between is None or not changed.is_stream:
        return
    encoding = changed.header("content-encoding")
    is_late = not encoding and judged(changed, between, seen).pattern is not Pattern.PROMPT
    is_late = is_late and all(
        judged(each, between, seen).pattern is Pattern.PROMPT for each in seen.courses.values()
    )
    if encoding or is_late:
        what = f"compressed ({encoding})" if encoding else "late"
        yield Finding(
            "transformer",
            Severity.NOTE,
            f"Without no-transform the stream is {what}"
            "; every stream of barestream has no-transform, which stops that.",
            hop,
            "keep no-transform in the Cache-Control of streams of your own",
        )
    else:
        yield Finding("compression", Severity.OK, "streams are not compressed, nor changed.")


def _cache(seen: Seen, hop: str) -> Iterator[Finding]:
    if seen.twins is not None:
        first, second = seen.twins
        runs = [run_of(each) for each in seen.twins]
        if runs[0] and runs[0] == runs[1]:
            yield Finding(
                "shared-stream",
                Severity.ERROR,
                "Two clients that ask for one URL get one stream: a cache answers, or joins them.",
                hop,
                remedies.uncached(hop),
            )
        elif all(runs):
            lasted = max(first.ended_at, second.ended_at)
            if abs(first.head_at - second.head_at) > 1 and lasted > 2:
                yield Finding(
                    "queued",
                    Severity.ERROR,
                    "Of two clients that ask for one URL, the second waits until the first is "
                    f"answered ({max(first.head_at, second.head_at):.1f} s).",
                    hop,
                    remedies.uncached(hop),
                )
            else:
                yield Finding("cache", Severity.OK, "two clients of one URL get a stream each.")
    for answer in seen.all_streams():
        for name in _CACHED:
            if "hit" in answer.header(name).lower() or (
                name == "age" and answer.header(name) > "0"
            ):
                yield Finding(
                    "cached",
                    Severity.ERROR,
                    f'The stream comes from a cache: {name} is "{answer.header(name)}".',
                    hop,
                    remedies.uncached(hop),
                )
                return


def _origins(seen: Seen, hop: str) -> Iterator[Finding]:
    if seen.crossed is None:
        return
    simple, preflight = seen.crossed
    allowed = [value for name, value in simple.headers if name == "access-control-allow-origin"]
    if len(allowed) > 1:
        yield Finding(
            "cors-twice",
            Severity.ERROR,
            f"Access-Control-Allow-Origin comes {len(allowed)} times: browsers refuse that.",
            hop,
            "let either the app or the proxy set it; nginx: proxy_hide_header",
        )
    if cookies := simple.header("set-cookie"):
        yield Finding(
            "cookie",
            Severity.NOTE,
            f"The stream sets the cookie {cookies.partition('=')[0]}: a proxy counts on it, or the "
            "app does.",
        )
    if not seen.origin_asked:
        return
    origin = seen.origin_asked
    if allowed[:1] != [origin] or simple.header("access-control-allow-credentials") != "true":
        without = " without credentials" if allowed[:1] in ([origin], ["*"]) else ""
        yield Finding(
            "cors",
            Severity.WARNING,
            f"Pages of {origin} may read the stream{without}."
            if without
            else f"Pages of {origin} may not read the stream.",
            "",
            f"add it to BARESTREAM_CORS_ORIGINS: BARESTREAM_CORS_ORIGINS={origin}",
        )
        return
    names = preflight.header("access-control-allow-headers").lower()
    lacking = [
        name
        for name in ("authorization", "last-event-id", "traceparent", "x-requested-with")
        if name not in names
    ]
    if preflight.status not in {200, 204} or lacking:
        yield Finding(
            "preflight",
            Severity.WARNING,
            f"The preflight gets {preflight.status or preflight.error}"
            f"{', without ' + ', '.join(lacking) if lacking else ''}.",
            hop,
            "have the proxy pass OPTIONS on to the app",
        )
    else:
        yield Finding("cors", Severity.OK, f"pages of {origin} may read, with credentials.")
