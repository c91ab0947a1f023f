"""The clients that people use get the same events, and resume."""

import asyncio
import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from followers import Follow, Follower
from publisher import Publisher
from relay import Relay
from service import Service, wait_for
from updates import CUT_MARK, RETRY_MS, Received, Update, as_received, updates

CLIENTS = [
    "curl",
    "chromium",
    "firefox",
    "httpx_sse",
    "aiohttp_sse_client",
    "eventsource",
    "eventsource_client",
]

# A run of the hundred updates, for its topic and its ids.
RUNS = itertools.count()

PATIENCE_SECONDS = 60


def as_the_standard_has_it(published: list[Received]) -> list[Received]:
    return published


def as_aiohttp_sse_client_has_it(published: list[Received]) -> list[Received]:
    """Version 0.2.1 takes all spaces from a value's begin, and all line ends from data's end."""
    return [
        replace(
            event,
            type=event.type.lstrip(" "),
            data=re.sub(r"^ +", "", event.data, flags=re.MULTILINE).rstrip("\n"),
        )
        for event in published
    ]


DEVIATIONS: dict[str, Callable[[list[Received]], list[Received]]] = {
    "aiohttp_sse_client": as_aiohttp_sse_client_has_it,
}

# Where a connection breaks, aiohttp-sse-client leaves the delay to its user, and does not tell it.
IMPATIENT = {"aiohttp_sse_client"}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """Return a client's name."""
    name: str = request.param
    return name


@pytest.fixture
def follow(client: str, request: pytest.FixtureRequest) -> Follow:
    """Return the function that follows by the client."""
    function: Follow = request.getfixturevalue(f"by_{client}")
    return function


def publish(service: Service, topic: str, wanted: list[Update]) -> list[Received]:
    """Publish updates; return them as the standard has a client receive them."""

    async def publish_all() -> list[Received]:
        async with Publisher(service.url) as publisher:
            return [
                as_received(update, await publisher.publish(topic, **update.fields))
                for update in wanted
            ]

    # In this thread Playwright has a loop already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, publish_all()).result()


def types_of(wanted: list[Update]) -> list[str]:
    return sorted({update.type or "message" for update in wanted})


def wait_for_all(follower: Follower, last: Received) -> list[Received]:
    """Return what the client has received once the last event is there."""

    def is_complete() -> bool:
        received = follower.received()
        return bool(received) and received[-1].id == last.id

    wait_for("the last event", is_complete, PATIENCE_SECONDS)
    return follower.received()


def test_it_gets_every_update_once_and_in_order(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    with follow(service, topic, types_of(wanted)) as follower:
        wait_for("the stream", follower.is_open, PATIENCE_SECONDS)
        published = publish(service, topic, wanted)
        received = wait_for_all(follower, published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)


def test_it_resumes_after_its_line_was_cut_within_an_event(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    with (
        Relay(service.address, cut_after=[CUT_MARK]) as line,
        follow(line, topic, types_of(wanted)) as follower,
    ):
        wait_for("the stream", follower.is_open, PATIENCE_SECONDS)
        published = publish(service, topic, wanted)
        received = wait_for_all(follower, published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)
    first, second = line.requests
    assert [first.last_event_id, second.last_event_id] == [None, published[49].id]
    if client not in IMPATIENT:
        assert line.cut_at is not None
        assert second.at - line.cut_at >= RETRY_MS / 1000


def test_it_resumes_too_after_the_next_line_was_cut_before_an_event_came(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    opening = rb"retry: \d+\n+"
    with (
        Relay(service.address, cut_after=[CUT_MARK, opening]) as line,
        follow(line, topic, types_of(wanted)) as follower,
    ):
        wait_for("the stream", follower.is_open, PATIENCE_SECONDS)
        published = publish(service, topic, wanted)
        received = wait_for_all(follower, published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)
    seen = published[49].id
    assert [request.last_event_id for request in line.requests] == [None, seen, seen]
