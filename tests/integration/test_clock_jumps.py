"""/events, when the wall clock of the running app jumps."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest

from support.clients.sse_client import SseClient
from support.servers.bound import Bound
from support.servers.served import until
from support.servers.wall_clock import WallClock

HOUR = 3600


@pytest.fixture
def wall_clock() -> Iterator[WallClock]:
    with WallClock() as clock:
        yield clock


@pytest.fixture
def service(wall_clock: WallClock) -> Iterator[Bound]:
    with Bound(environment=wall_clock.environment) as running:
        yield running


def seconds_of(client: SseClient) -> list[int]:
    """Return the second in the id of each event."""
    return [int(event.id[1:-5]) for event in client.events]


def lags_above_a_second(service: Bound) -> float:
    text = httpx.get(f"{service.url}/metrics").text
    buckets = {
        bound: float(value)
        for bound, value in re.findall(
            r'barestream_delivery_lag_seconds_bucket\{le="(.*)"\} (.*)', text
        )
    }
    return buckets["+Inf"] - buckets["1.0"]


async def followed_over_a_jump(
    service: Bound, wall_clock: WallClock, jump_seconds: int
) -> SseClient:
    """Follow the ticks over a jump until three have arrived after it."""
    client = SseClient(service.address, "/events")
    running = asyncio.create_task(client.run())
    await until(lambda: len(client.events) >= 3)
    before = len(client.events)
    wall_clock.move(jump_seconds)
    # A gap, the newest tick, and the ticks of two seconds after it.
    await until(lambda: len(client.events) >= before + 4)
    running.cancel()
    await asyncio.wait([running])
    del client.events[: before - 1]
    return client


def seconds_and_gap(client: SseClient) -> tuple[list[int], int]:
    """Return the seconds of the client's events, and the index of its only gap."""
    types = [event.type for event in client.events]
    seconds = seconds_of(client)
    at = types.index("barestream.gap")
    print(f"seconds from the last tick before: {[each - seconds[0] for each in seconds]}")
    assert at <= 2
    assert types.count("barestream.gap") == 1
    return seconds, at


def test_a_clock_that_is_set_back_by_an_hour_sends_a_gap_and_ticks_on(
    service: Bound, wall_clock: WallClock
) -> None:
    async def main() -> None:
        client = await followed_over_a_jump(service, wall_clock, -HOUR)
        seconds, at = seconds_and_gap(client)
        assert -HOUR - 2 <= seconds[at] - seconds[at - 1] <= -HOUR + 2
        after = seconds[at:]
        assert after == list(range(after[0], after[0] + len(after)))
        # A client that comes back with a place from before the jump.
        late = SseClient(service.address, "/events", {"Last-Event-ID": client.events[0].id})
        running = asyncio.create_task(late.run())
        await until(lambda: len(late.events) >= 2)
        running.cancel()
        await asyncio.wait([running])
        assert late.events[0].type == "barestream.gap"
        assert seconds_of(late)[1] >= seconds[-1]
        assert lags_above_a_second(service) == 0

    asyncio.run(main())


def test_a_clock_that_is_set_forward_by_an_hour_sends_no_burst(
    service: Bound, wall_clock: WallClock
) -> None:
    async def main() -> None:
        client = await followed_over_a_jump(service, wall_clock, HOUR)
        seconds, at = seconds_and_gap(client)
        after = seconds[at:]
        # The gap, the newest tick, and a tick a second.
        assert after == list(range(after[0], after[0] + len(after)))
        assert after[0] - seconds[0] >= HOUR - 2
        assert len(client.events) <= 7
        assert lags_above_a_second(service) == 0

    asyncio.run(main())
