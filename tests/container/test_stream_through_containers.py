"""One event's whole way: from the app's container through nginx's to a client on the host."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from statistics import median

from compose import Stack
from idle_stream import IDLE_SECONDS, IdleStream
from support.clients.sse_client import SseClient
from support.judges.ticks import assert_whole, lateness_ms, stamps

WINDOW_SECONDS = 30


async def read_window(stack: Stack) -> tuple[int, SseClient]:
    """Read from the middle of a second on; return that second and the client."""
    await asyncio.sleep((0.5 - time.time()) % 1)
    second = int(time.time())
    client = SseClient(stack.address, headers={"Accept-Encoding": "gzip"})
    return second, await client.run(WINDOW_SECONDS)


def test_each_second_of_the_window_has_its_tick_on_time(
    stack: Stack, figure: Callable[[str], None]
) -> None:
    second, client = asyncio.run(read_window(stack))
    # The newest tick of before, then one for each second of the window.
    assert stamps(client.events) == list(range(second, second + WINDOW_SECONDS + 1))
    late = lateness_ms(client.events)
    figure(
        f"{len(late)} live events in {WINDOW_SECONDS} s, arrival minus stamp "
        f"min {late[0]:.1f} ms, p50 {median(late):.1f} ms, max {late[-1]:.1f} ms"
    )
    # No tick comes before its stamp.
    assert late[0] >= 0
    assert median(late) <= 20
    assert late[-1] <= 250


def test_the_headers_of_a_stream_are_complete_and_uncompressed_for_a_client_that_accepts_gzip(
    stack: Stack,
) -> None:
    client = SseClient(stack.address, headers={"Accept-Encoding": "gzip"})
    asyncio.run(client.run(1))
    headers = client.response_headers
    assert client.status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers.keys().isdisjoint(
        {"content-encoding", "content-length", "last-modified", "etag", "expires", "keep-alive"}
    )


def test_ticks_of_five_seconds_arrive_at_their_stamps(figure: Callable[[str], None]) -> None:
    with Stack(clock_seconds=5) as five:
        client = asyncio.run(SseClient(five.address).run(21))
    assert_whole(client.events, interval_seconds=5)
    late = lateness_ms(client.events)
    figure(f"{len(late)} live events, max {late[-1]:.1f} ms after their stamps")
    assert len(late) >= 4
    assert late[-1] <= 250


def test_an_idle_stream_stays_open_for_five_minutes_by_heartbeats(
    idle_stream: Future[IdleStream], figure: Callable[[str], None]
) -> None:
    stream = idle_stream.result(timeout=IDLE_SECONDS + 30)
    silences = [after - before for before, after in pairwise(stream.arrivals)]
    figure(
        f"open for {stream.arrivals[-1] - stream.arrivals[0]:.1f} s, {stream.heartbeats} "
        f"heartbeats, {len(stream.events)} events, longest silence {max(silences):.1f} s"
    )
    # One connection from the first byte to the last, and not ended by anyone.
    assert stream.clean is None
    assert stream.status == 200
    assert stream.arrivals[-1] - stream.arrivals[0] > IDLE_SECONDS - 5
    assert_whole(stream.events, interval_seconds=120)
    assert 3 <= len(stream.events) <= 4
    # Every 15 s, looked for once a second; a tick begins the silence anew.
    assert 14 <= stream.heartbeats <= 20
    assert max(silences) < 20
