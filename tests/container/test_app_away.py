"""The app's container stopped, and nginx up: the answer to each kind of request."""

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from compose import Stack
from support.clients.sse_client import ReconnectingClient, stamp_seconds
from support.judges.ticks import assert_whole
from support.servers.service import wait_for


@pytest.fixture(scope="module")
def halved() -> Iterator[Stack]:
    """Return a stack whose app is stopped."""
    with Stack() as running:
        running.stop("app")
        yield running


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/events", "*/*"),
        ("GET", "/test", "text/event-stream"),
    ],
)
def test_a_stream_gets_a_retry_delay(halved: Stack, method: str, path: str, accept: str) -> None:
    answer = httpx.request(method, halved.url + path, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    field, _, milliseconds = answer.text.partition(": ")
    assert field == "retry"
    assert answer.text.endswith("\n")
    assert 2000 <= int(milliseconds) <= 4000


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("HEAD", "/events", "*/*"),
        ("GET", "/events", "application/json"),
        ("POST", "/events", "*/*"),
        ("POST", "/events", "text/event-stream"),
        ("GET", "/test", "text/html"),
        ("GET", "/readyz", "*/*"),
    ],
)
def test_every_other_request_gets_a_plain_502(
    halved: Stack, method: str, path: str, accept: str
) -> None:
    answer = httpx.request(method, halved.url + path, headers={"Accept": accept})
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        problem = answer.json()
        assert problem["status"] == 502
        assert problem["detail"]


def test_a_client_that_was_live_has_every_tick_of_the_outage(
    fresh_stack: Stack, figure: Callable[[str], None]
) -> None:
    async def follow() -> tuple[ReconnectingClient, float]:
        client = ReconnectingClient(fresh_stack.address)
        following = asyncio.create_task(client.run(90))

        async def until(what: str, condition: Callable[[], bool]) -> None:
            await asyncio.to_thread(wait_for, what, condition, 30)

        await until("live", lambda: len(client.events) > 1)
        await asyncio.to_thread(fresh_stack.stop, "app")
        last_before = client.events[-1]
        # Long enough for an answer of nginx itself, which comes behind the app's last delay.
        await until("three connects", lambda: client.connects >= 3)
        await asyncio.to_thread(fresh_stack.start, "app")
        await until("ready", lambda: httpx.get(f"{fresh_stack.url}/readyz").status_code == 200)
        ready_at = time.time()
        await until("live again", lambda: stamp_seconds(client.events[-1]) > ready_at + 2)
        following.cancel()
        await asyncio.wait([following])
        first_after = client.events[client.events.index(last_before) + 1]
        return client, first_after.at - last_before.at

    client, silent_seconds = asyncio.run(follow())
    assert_whole(client.events)
    figure(
        f"{len(client.events)} ticks over {client.connects} connects, none missing or twice; "
        f"silent for {silent_seconds:.1f} s"
    )
