"""Which topics of a request an update matched, in ids that a client comes back with."""

import pytest

from hub_in_use import HEARTBEAT, JSON, Hub, Pairs, bearing, bearing_1, live, told, visit
from support.clients.publisher import PATH
from support.clients.sse_client import SseClient
from support.servers.served import until

ASKING = ("include", "match")


def parts(event_id: str | None) -> list[str]:
    """Return the parts of an id but for its place."""
    return (event_id or "").split(";")[1:]


@pytest.mark.parametrize(
    "pairs",
    [
        [("topic", "/a/{id}"), ("topic", "/a/1"), ("topic", "*"), ("topic", "/b")],
        [("match_urlpattern", "/a/:id"), ("match", "/a/1"), ("match_exact", "*"), ("match", "/b")],
    ],
)
def test_each_event_says_which_topics_it_matched_live_and_in_a_replay_and_a_read(
    hub: Hub, pairs: Pairs
) -> None:
    pairs = [*pairs, ASKING]
    before = hub.publish("before", "x")

    async def act(client: SseClient) -> SseClient:
        hub.publish("1", "/a/1")
        hub.publish("2", "/other", "/b", "/a/2", id="own;2")
        hub.publish("3", "/other")
        await until(lambda: "3" in told(client.events))
        return client

    client = live(hub, pairs, act)
    due = [["%2Fa%2F1", "", "0.1.2"], ["%2Fother", "own%3B2", "0.2.3"], ["%2Fother", "", "2"]]
    assert [parts(event.id) for event in client.events if event.data in "123"] == due
    replayed = visit(hub, pairs, before)
    assert [parts(event_id) for event_id in replayed.ids] == due
    # A rewind has the updates of exact topics; the ids have the same parts behind their two places.
    rewound = visit(hub, [*pairs, ("rewind", "5")])
    assert rewound.sent == ["1", "2"]
    assert [parts(event_id) for event_id in rewound.ids] == due[:2]
    assert ["~" in rewound.ids[0], "=" in rewound.ids[1]] == [True, True]
    read = hub.read([*pairs, ("last_event_id", before)])
    assert [event["matches"] for event in read["events"]] == [[0, 1, 2], [0, 2, 3], [2]]
    assert [event["id"] for event in read["events"]][1] == "own;2"
    assert "matches" not in hub.read([*pairs[:-1], ("rewind", "1")])["events"][0]


def test_a_client_comes_back_with_such_an_id_in_the_header_or_the_query(hub: Hub) -> None:
    pairs = [("topic", "a"), ("topic", "{b}"), ASKING]
    hub.publish("a1", "x", "a")
    hub.publish("a2", id="own")
    hub.publish("a3", end="true")
    whole = visit(hub, [*pairs, ("last_event_id", "earliest")])
    assert whole.sent == ["a1", "a2", "a3"]
    assert parts(whole.ids[-1]) == ["a", "", "0.1", "end"]
    for nth, event_id in enumerate(whole.ids):
        rest = whole.ids[nth + 1 :]
        assert visit(hub, pairs, event_id).ids == rest
        assert visit(hub, [*pairs, ("last_event_id", event_id)]).ids == rest
        read = hub.read([*pairs, ("last_event_id", event_id)])
        assert [event["place"] for event in read["events"]] == [
            each.partition(";")[0] for each in rest
        ]
        assert read["gap"] is None


def test_a_client_that_was_cut_in_a_rewind_gets_it_again(hub: Hub) -> None:
    pairs = [("topic", "b"), ("topic", "a"), ("rewind", "2"), ASKING]
    for data in ("a1", "b1", "a2"):
        hub.publish(data)
    whole = visit(hub, pairs)
    assert [parts(event_id)[2] for event_id in whole.ids] == ["1", "0", "1"]
    for event_id in whole.ids[:2]:
        assert visit(hub, pairs, event_id).ids == whole.ids
    after = hub.publish("b2")
    # The last id of a rewind is where the stream goes on.
    assert visit(hub, pairs, whole.ids[-1]).ids == [f"{after};b;;0"]


@pytest.mark.parametrize("version", ["topic", "match"])
def test_no_topic_that_the_request_does_not_name_is_told_of_a_private_update(
    hub: Hub, version: str
) -> None:
    headers = bearing("secret") if version == "topic" else bearing_1("secret")
    pairs: Pairs = [(version, "other"), (version, "a"), ASKING]
    hub.publish("1", "hidden", "secret", "a", private="on")
    hub.publish("2", "hidden", "a", private="on")
    for sent in (headers, {}):
        got = visit(hub, [*pairs, ("last_event_id", "earliest")], headers=sent)
        assert got.sent == (["1"] if sent else [])
        assert [parts(event_id) for event_id in got.ids] == ([["a", "", "1"]] if sent else [])


@pytest.mark.parametrize("version", ["topic", "match"])
def test_the_last_update_of_a_topic_that_is_named_exactly_has_a_mark(
    hub: Hub, version: str
) -> None:
    pairs: Pairs = [(version, "live"), (version, "run"), (version, "other"), ASKING]

    async def act(client: SseClient) -> SseClient:
        hub.publish("1", "run")
        # It is an alternate topic here, and does not end.
        hub.publish("2", "run-2", "other", end="true")
        hub.publish("3", "run", "other", end="true")
        await until(lambda: "3" in told(client.events))
        return client

    begin = hub.cursor
    client = live(hub, pairs, act)
    due = [["run", "", "1"], ["other", "", "2"], ["run", "", "1.2", "end"]]
    assert [parts(event.id) for event in client.events if event.data in "123"] == due
    assert [parts(event_id) for event_id in visit(hub, pairs, begin).ids] == due
    rewound = visit(hub, [*pairs, ("rewind", "9")])
    assert [parts(event_id) for event_id in rewound.ids] == due
    events = hub.read([*pairs, ("rewind", "9")])["events"]
    assert [event.get("end") for event in events] == [None, None, True]
    everything = "{any}" if version == "topic" else "*"
    for others in ([(version, everything)], [(version, "other"), (version, everything)]):
        got = visit(hub, [*others, ASKING], begin)
        assert got.sent == ["1", "2", "3"]
        assert not any("end" in parts(event_id) for event_id in got.ids)


def test_a_query_numbers_the_topics_of_its_url_before_those_of_its_body(hub: Hub) -> None:
    hub.publish("b1", "/b")
    hub.settle()
    form = {"Content-Type": "application/x-www-form-urlencoded", **JSON}
    answer = hub.http.request(
        "QUERY",
        f"{PATH}?match=a&include=match&last_event_id=earliest",
        content="match_urlpattern=/:x&match_exact=/b",
        headers=form,
    )
    assert answer.status_code == 200, answer.text
    assert [event["matches"] for event in answer.json()["events"]] == [[1, 2]]


def test_a_heartbeat_and_a_gap_have_plain_ids(hub: Hub) -> None:
    hub.publish("a1")

    async def act(client: SseClient) -> list[str]:
        await until(lambda: any(event.type == HEARTBEAT for event in client.events))
        return [event.id or "" for event in client.events]

    pairs: Pairs = [("topic", "a"), ASKING, ("heartbeat", "event")]
    for event_id in live(hub, pairs, act):
        assert event_id.startswith("#")
        assert ";" not in event_id
    lost = visit(hub, [*pairs, ("last_event_id", "#1-1;a;;0;end")])
    assert [(";" in event_id) for event_id in lost.ids] == [False, True]


def test_a_stream_that_does_not_ask_for_matches_is_told_none(hub: Hub) -> None:
    place = hub.publish("a1")
    for include, due in ([], place), ([("include", "topic")], f"{place};a"):
        got = visit(hub, [("topic", "a"), *include, ("last_event_id", "earliest")])
        assert got.ids == [due]
