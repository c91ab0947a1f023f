"""The probes of --limits: how many streams, and how large requests, are taken."""

import asyncio
import ssl
from contextlib import suppress

from barestream_doctor import http2
from barestream_doctor.exchange import Exchange
from barestream_doctor.probes import Probes
from barestream_doctor.seen import LimitsSeen

# One more than a browser opens to a host over HTTP/1.1, and than one of the usual limits of HTTP/2.
_STREAMS_HTTP1 = 7
STREAMS_HTTP2 = 129

# More than an office has; nginx as shipped with barestream takes 500.
MOST_STREAMS = 600
_OPENED_AT_ONCE = 25
_PAUSE_SECONDS = 0.3

_SIZES = (4096, 8192, 16_384, 32_768, 65_536)
_SECONDS = 20


async def limits(probes: Probes) -> None:
    """Run all of them, one after the other."""
    found = probes.seen.limits = LimitsSeen()
    await _over_http1(probes, found)
    await _over_http2(probes, found)
    await _of_address(probes, found)
    await _of_sizes(probes, found)


async def _over_http1(probes: Probes, found: LimitsSeen) -> None:
    probes.told("opening seven streams", 1)
    tasks = [asyncio.create_task(_held(probes)) for _ in range(_STREAMS_HTTP1)]
    await asyncio.sleep(1)
    plain = await probes.diagnose(5, status=200)
    found.of_http1 = [*await _ended(tasks), plain]


async def _over_http2(probes: Probes, found: LimitsSeen) -> None:
    tls = probes.tls("h2", "http/1.1")
    if tls is None or not http2.IS_INSTALLED:
        return
    probes.told(f"opening {STREAMS_HTTP2} streams over HTTP/2", 3)
    opened = await http2.open_http2(probes.target, tls, Exchange())
    if opened is None:
        return
    try:
        await opened.settings()
        found.http2_streams = opened.most_streams
        path = probes.diagnosis(events=1, silent_seconds=_SECONDS)
        # One more than the server allows would be refused by the client itself.
        count = min(STREAMS_HTTP2, opened.most_streams)
        answers = await asyncio.gather(*(opened.ask(path, probes.headers, 3) for _ in range(count)))
        found.of_http2 = sum(answer.is_stream for answer in answers)
    finally:
        opened.close()


async def _of_address(probes: Probes, found: LimitsSeen) -> None:
    seconds = _PAUSE_SECONDS * MOST_STREAMS / _OPENED_AT_ONCE
    probes.told(f"opening up to {MOST_STREAMS} streams", seconds)
    tasks: list[asyncio.Task[Exchange]] = []
    try:
        while len(tasks) < MOST_STREAMS and found.refused is None:
            tasks += [asyncio.create_task(_held(probes)) for _ in range(_OPENED_AT_ONCE)]
            await asyncio.sleep(_PAUSE_SECONDS)
            found.refused = next((task.result() for task in tasks if task.done()), None)
        found.most_streams = sum(not task.done() for task in tasks)
    finally:
        await _ended(tasks)


async def _of_sizes(probes: Probes, found: LimitsSeen) -> None:
    probes.told("sending large requests", 1)
    for size in _SIZES:
        query, header = await asyncio.gather(
            probes.ask(probes.diagnosis(status=200, padded="x" * size), 5),
            probes.ask(probes.diagnosis(status=200), 5, x_padded="x" * size),
        )
        found.sizes["query", size] = query.status
        found.sizes["header", size] = header.status


async def _held(probes: Probes) -> Exchange:
    """Hold a stream open; return early where it is refused, or ends."""
    return await probes.diagnose(_SECONDS, events=1, silent_seconds=2 * _SECONDS)


async def _ended(tasks: list[asyncio.Task[Exchange]]) -> list[Exchange]:
    """Return what came of streams that were held, and leave those that are open."""
    found = []
    for task in tasks:
        if task.done():
            found.append(task.result())
            continue
        task.cancel()
        with suppress(asyncio.CancelledError, ssl.SSLError):
            await task
        found.append(Exchange(status=200, headers=[("content-type", "text/event-stream")]))
    return found
