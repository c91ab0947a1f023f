"""The clients that people use get the same events, and resume."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

from followers import Follow, stream_url
from publish_updates import publish
from relay import Relay
from support.servers.service import Service, wait_for
from updates import CUT_MARK, RETRY_MS, Received, Update, updates

# A run of the hundred updates, for its topic and its ids.
RUNS = itertools.count()


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


def as_fetch_event_source_has_it(published: list[Received]) -> list[Received]:
    """Version 2.0.1 takes empty lines from data's begin, and a byte order mark from each value."""
    return [
        replace(event, data=re.sub(r"^\ufeff", "", event.data.lstrip("\n"), flags=re.MULTILINE))
        for event in published
    ]


DEVIATIONS: dict[str, Callable[[list[Received]], list[Received]]] = {
    "aiohttp_sse_client": as_aiohttp_sse_client_has_it,
    "fetch_event_source": as_fetch_event_source_has_it,
}

# Where a connection breaks, aiohttp-sse-client leaves the delay to its user, and does not tell it.
IMPATIENT = {"aiohttp_sse_client"}


def types_of(wanted: list[Update]) -> list[str]:
    return sorted({update.type or "message" for update in wanted})


def test_a_client_gets_every_update_once_and_in_order(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    with follow(stream_url(service, topic), types_of(wanted)) as follower:
        wait_for("the stream", lambda: follower.opened)
        published = publish(service, topic, wanted)
        received = follower.received_up_to(published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)


def test_a_client_resumes_after_its_connection_was_cut_within_an_event(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    with (
        Relay(service.address, cut_after=[CUT_MARK]) as line,
        follow(stream_url(line, topic), types_of(wanted)) as follower,
    ):
        wait_for("the stream", lambda: follower.opened)
        published = publish(service, topic, wanted)
        received = follower.received_up_to(published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)
    first, second = line.requests
    assert [first.last_event_id, second.last_event_id] == [None, published[49].id]
    if client not in IMPATIENT:
        assert line.cut_at is not None
        assert second.at - line.cut_at >= RETRY_MS / 1000


def test_a_client_resumes_after_a_second_cut_before_the_first_event(
    client: str, follow: Follow, service: Service
) -> None:
    run = next(RUNS)
    topic, wanted = f"run {run}", updates(run)
    opening = rb"retry: \d+\n+"
    with (
        Relay(service.address, cut_after=[CUT_MARK, opening]) as line,
        follow(stream_url(line, topic), types_of(wanted)) as follower,
    ):
        wait_for("the stream", lambda: follower.opened)
        published = publish(service, topic, wanted)
        received = follower.received_up_to(published[-1])
    assert received == DEVIATIONS.get(client, as_the_standard_has_it)(published)
    seen = published[49].id
    assert [request.last_event_id for request in line.requests] == [None, seen, seen]
