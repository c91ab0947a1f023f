"""What a client learns that guesses a private topic: nothing."""

import json
import re
from typing import Any

import pytest

from hub_in_use import Hub, Pairs, Serving, bearing, bearing_1, visit

REWINDS = [
    [],
    [("rewind", "1")],
    [("rewind", "100")],
    [("rewind", "3600s")],
    [("rewind", "kept")],
    [("last_event_id", "earliest")],
    [("last_event_id", "earliest"), ("rewind", "100")],
    [("last_event_id", "never"), ("rewind", "100")],
    [("rewind", "100"), ("include", "topic")],
]


def fill(hub: Hub, topic: str, *, is_used: bool) -> str:
    """Fill the history, and a private topic if it is used; return a cursor from before."""
    cursor = hub.publish("x0", "public")
    if is_used:
        hub.publish("kept secret", topic, private="on", keep="forever")
        for number in range(6):
            hub.publish(f"secret {number}", topic, private="on")
        # One that the client may read by another topic, and one that it may not.
        hub.publish("several", topic, "also", private="on")
        hub.publish("the end", topic, private="on", end="true")
    for number in range(4):
        hub.publish(f"x{number + 1}", "public")
    return cursor


def without_numbers(text: str) -> str:
    return re.sub("#[0-9]+-[0-9]+", "#", text)


def answers(
    hub: Hub, topic: str, cursor: str, headers: dict[str, str], version: str = "topic"
) -> list[Any]:
    """Return all that a client can see of a topic by each form of request, but for places."""
    seen: list[Any] = []
    for more in [
        *REWINDS,
        [("last_event_id", cursor)],
        [("rewind", "5"), ("last_event_id", cursor)],
    ]:
        pairs: Pairs = [(version, topic), *more]
        got = visit(hub, pairs, headers=headers)
        seen.append((got.status, got.sent, got.empty, [event.type for event in got.events]))
        seen.append(hub.read(pairs, headers))
        seen.append(hub.read([*pairs, (version, "public")], headers))
    new = [(version, "public"), (version, topic), ("new", topic), ("rewind", "9")]
    seen.append(visit(hub, [*new, ("last_event_id", cursor)], headers=headers).sent)
    template = [(version, "*"), ("rewind", "kept")]
    seen.append(visit(hub, template, headers=headers).sent)
    seen.append(hub.read([(version, topic), ("last_event_id", hub.cursor)], headers))
    return [without_numbers(json.dumps(each)) for each in seen]


@pytest.mark.parametrize("rights", ["none", "others", "others of 1.0"])
def test_a_private_topic_looks_like_one_that_nobody_uses(serving: Serving, rights: str) -> None:
    version = "match" if rights == "others of 1.0" else "topic"
    headers = {"none": {}, "others": bearing("b", "{x}/{y}"), "others of 1.0": bearing_1("b")}[
        rights
    ]
    seen = []
    for is_used in (True, False):
        # A topic may hold four updates: older ones have left the history.
        with serving(topic_events=4, rewind_events=3, ring_events=2) as hub:
            cursor = fill(hub, "guessed", is_used=is_used)
            seen.append(answers(hub, "guessed", cursor, headers, version))
            if is_used:
                of_the_owner = answers(hub, "guessed", cursor, bearing("guessed"))
    assert seen[0] == seen[1]
    assert of_the_owner != seen[0]


def test_an_end_that_a_client_may_not_read_neither_closes_its_stream_nor_refuses_it(
    hub: Hub,
) -> None:
    hub.publish("1", "run")
    end = hub.publish("2", "run", private="on", end="true")
    for pairs in ([("topic", "run")], [("topic", "run"), ("rewind", "5")]):
        for headers in ({}, bearing("other")):
            for seen in (None, end):
                got = visit(hub, pairs, seen, headers)
                assert (got.status, got.empty is not None) == (200, True)
            assert hub.read(pairs, headers)["ended"] is False
    for headers in (bearing("run"), bearing("*")):
        assert visit(hub, [("topic", "run")], end, headers, ends=True).status == 204
        assert hub.read([("topic", "run"), ("last_event_id", "earliest")], headers)["ended"] is True


def test_a_token_that_covers_an_alternate_topic_gets_those_updates_and_no_other(hub: Hub) -> None:
    fill(hub, "guessed", is_used=True)
    headers = bearing("also")
    pairs = [("topic", "guessed"), ("rewind", "1"), ("include", "topic")]
    got = visit(hub, pairs, headers=headers)
    assert got.sent == ["several"]
    assert got.ids[0].endswith(";guessed")
    assert [each["data"] for each in hub.read(pairs, headers)["events"]] == ["several"]


def test_the_id_of_an_event_names_no_topic_that_the_client_did_not_ask_for(hub: Hub) -> None:
    hub.publish("1", "team/secret", "a", private="on")
    hub.publish("2", "team/other", "a")
    pairs = [("topic", "a"), ("rewind", "5"), ("include", "topic")]
    got = visit(hub, pairs, headers=bearing("*"))
    assert [event_id.partition(";")[2] for event_id in got.ids] == ["a", "a"]
    assert [each["topic"] for each in hub.read(pairs, bearing("*"))["events"]] == ["a", "a"]
