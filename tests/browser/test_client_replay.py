"""10,000 events that a page is told at once, and a page that takes its state from its backend."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from client_page import ClientPage, Record, Setup
from client_stack import ClientStack, running_stack
from number_publisher import NumberPublisher
from support.clients.publisher import PATH, token
from support.servers.faulty_proxy import Fault
from support.servers.service import Answering
from tab import Tab

EVENTS = 10_000
ARRAY = 100
LARGEST_BATCH = 500
LONGEST_TASK_MS = 200

# A busy machine may stop a task that is short; it does not stop each of several.
LOADS = 3

ROWS = [f"/rows/{number}" for number in range(10)]

# Fewer than come while a page is away.
HISTORY_EVENTS = 200


def publish_many(hub: Answering, topic: str) -> None:
    """Publish the numbers from 0 on."""
    headers = {"Authorization": f"Bearer {token()}"}
    with httpx.Client(base_url=hub.url, headers=headers, timeout=30) as client:
        for start in range(0, EVENTS, ARRAY):
            updates = [
                {"topic": topic, "data": json.dumps({"number": number})}
                for number in range(start, start + ARRAY)
            ]
            answer = client.post(PATH, json=updates)
            assert answer.status_code == 200, answer.text


def test_a_replay_of_10_000_events_has_no_task_above_200_ms(
    client_stack: ClientStack, new_tab: Callable[[], Tab], figure: Callable[[str], None]
) -> None:
    topic = f"/replays/{secrets.token_hex(4)}"
    publish_many(client_stack.hub, topic)
    setup = Setup(
        subscriptions=[{"topics": topic, "options": {"from": "earliest"}}],
        batches=True,
        watchesTasks=True,
    )
    tab = new_tab()
    longest = []
    for _ in range(LOADS):
        page = ClientPage(tab, client_stack.front.url, setup)
        # Each look at the record would be a long task of its own.
        page.wait_for_count(EVENTS)
        longest.append(page.tab.evaluate("record.longest"))
        if longest[-1] <= LONGEST_TASK_MS:
            break
    seen = page.record()
    assert seen.numbers() == list(range(EVENTS))
    assert all(each.replay for each in seen.events)
    assert max(seen.batches) <= LARGEST_BATCH
    assert seen.gaps == []
    first, last = seen.events[0].at, seen.events[-1].at
    figure(f"longest task {min(longest):.0f} ms, all events within {last - first:.0f} ms")
    assert min(longest) <= LONGEST_TASK_MS, longest


@pytest.fixture(scope="module")
def small_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    """Return a stack whose hub keeps few events."""
    with running_stack(
        tmp_path_factory.mktemp("small"),
        history_events=HISTORY_EVENTS,
        # Otherwise the workers would have more than the history.
        ring_events=HISTORY_EVENTS // 2,
    ) as running:
        yield running


def board(seen: Record) -> dict[str, int]:
    """Return the rows of a page that has its last state, and each event since."""
    *_, (_, state, _, at) = seen.snapshots
    changed = {each.topic: each.number for each in seen.events if each.at >= at}
    return {**state, **changed}


def test_after_a_gap_the_page_is_right_by_its_state_alone(
    small_stack: ClientStack, both_tabs: Callable[[], list[Tab]]
) -> None:
    def newest(count: int) -> dict[str, int]:
        """Return the newest number of each row, of so many numbers."""
        return {ROWS[number % len(ROWS)]: number for number in range(count)}

    def state() -> tuple[Any, str]:
        # The cursor first: what comes between is told once more. The number that is under way may
        # be before the cursor.
        answer = httpx.head(small_stack.hub.url + PATH, params={"topic": "/rows/{row}"})
        return newest(publisher.count + 1), answer.headers["Last-Event-ID"]

    setup = Setup(subscriptions=[{"topics": "/rows/{row}", "hasState": True}])
    with NumberPublisher(small_stack.hub, ROWS, per_second=100) as publisher:
        publisher.wait_for(len(ROWS))
        small_stack.site.state = state
        pages = [ClientPage(tab, small_stack.proxy.url, setup) for tab in both_tabs()]
        for page in pages:
            page.wait_for_events(20)
        small_stack.proxy.fault = Fault.REFUSES
        small_stack.proxy.break_all()
        publisher.wait_for(HISTORY_EVENTS * 2)
        small_stack.proxy.fault = Fault.NONE
        for page in pages:
            page.wait_for("the state again", lambda seen: len(seen.snapshots) > 1)
            page.wait_for_events(20)
        last = publisher.stop()
    for page in pages:
        seen = page.wait_for_number(last)
        assert board(seen) == newest(last + 1)
        # At first, and after the gap.
        assert [gap is None for _, _, gap, _ in seen.snapshots] == [True, False]
        assert seen.complaints == []
