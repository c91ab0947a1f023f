"""The end of a topic: streams that are closed for good, and how late comers get the whole."""

import asyncio

import pytest

from hub_in_use import HEARTBEAT, Hub, Pairs, Serving, bearing, bearing_1, told, visit
from support.clients.publisher import PATH
from support.clients.sse_client import SseClient
from support.servers.served import reading, until
from support.servers.service import wait_for

VERSIONS = pytest.mark.parametrize("version", ["topic", "match"])


def run(hub: Hub, name: str = "run", **of_end: str) -> str:
    """Publish a topic from its beginning to its end; return the id of its end."""
    hub.publish("1", name)
    hub.publish("2", name, id=f"own 2 of {name}")
    return hub.publish("end", name, end="true", **of_end)


@VERSIONS
@pytest.mark.parametrize("fields", [{}, {"id": "own"}, {"private": "on", "id": "own"}])
def test_a_live_stream_is_closed_after_the_end_and_its_client_gets_204(
    hub: Hub, version: str, fields: dict[str, str]
) -> None:
    headers = bearing("run") if version == "topic" else bearing_1("run")

    async def main() -> SseClient:
        client = hub.client([(version, "run")], headers=headers)
        async with reading(client):
            run(hub, **fields)
            await until(lambda: client.clean is not None)
        return client

    client = asyncio.run(main())
    assert client.clean
    assert told(client.events) == ["1", "2", "end"]
    back = visit(hub, [(version, "run")], client.events[-1].id, headers, ends=True)
    assert (back.status, back.events) == (204, [])
    # One that missed the end gets it first.
    late = visit(hub, [(version, "run")], client.events[1].id, headers, ends=True)
    assert (late.status, late.sent) == (200, ["end"])


@VERSIONS
def test_a_stream_is_closed_once_all_of_its_topics_have_ended(hub: Hub, version: str) -> None:
    pairs: Pairs = [(version, "a"), (version, "b")]

    async def main() -> SseClient:
        client = hub.client(pairs)
        async with reading(client):
            run(hub, "a")
            hub.publish("b1", "b")
            await until(lambda: len(client.events) == 4)
            assert client.clean is None
            hub.publish("b2", "b", end="true")
            await until(lambda: client.clean)
        return client

    client = asyncio.run(main())
    assert told(client.events) == ["1", "2", "end", "b1", "b2"]
    statuses = [
        visit(hub, pairs, event.id, ends=event.id is not None).status for event in client.events
    ]
    assert statuses == [200, 200, 200, 200, 204]
    # Another topic, or one that is not named, may still come.
    for other in ("c", "{any}" if version == "topic" else "*"):
        assert visit(hub, [*pairs, (version, other)], client.events[-1].id).status == 200


@VERSIONS
def test_late_comers_get_the_whole_run_until_it_is_forgotten(hub: Hub, version: str) -> None:
    end = run(hub)
    for more in ([("last_event_id", "earliest")], [("rewind", "100")], [("rewind", "3600s")]):
        got = visit(hub, [(version, "run"), *more], ends=True)
        assert (got.status, got.sent, got.empty) == (200, ["1", "2", "end"], [])
        assert visit(hub, [(version, "run"), *more], got.ids[-1], ends=True).status == 204
        in_the_middle = visit(hub, [(version, "run"), *more], got.ids[0], ends=True)
        assert in_the_middle.status == 200
        assert in_the_middle.sent[-2:] == ["2", "end"]
    assert visit(hub, [(version, "run")], end, ends=True).status == 204
    # A client without a cursor has nothing to wait for.
    assert visit(hub, [(version, "run")], ends=True).status == 204


def test_the_answer_of_204_is_not_kept_by_a_cache(hub: Hub) -> None:
    run(hub)
    answer = hub.ask([("topic", "run")])
    assert answer.status_code == 204
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == b""


def test_a_topic_that_is_new_is_sent_before_the_stream_is_over(hub: Hub) -> None:
    end = run(hub, "a")
    run(hub, "b")
    pairs = [("topic", "a"), ("topic", "b"), ("rewind", "5"), ("new", "b"), ("last_event_id", end)]
    got = visit(hub, pairs, ends=True)
    assert (got.status, got.sent) == (200, ["1", "2", "end"])
    assert visit(hub, pairs, got.ids[-1], ends=True).status == 204


def test_a_client_of_an_ended_topic_without_anything_left_stops(serving: Serving) -> None:
    with serving(history_events=1) as hub:
        run(hub)
        hub.publish("other")
        for rewind in ("kept", "5"):
            pairs = [("topic", "run"), ("rewind", rewind)]
            got = visit(hub, pairs, ends=True)
            assert got.status == 200
            # As an EventSource it comes back with an id, if it was sent one.

            async def plain(pairs: Pairs = pairs) -> SseClient:
                return await hub.client(pairs).run()

            client = asyncio.run(plain())
            assert [event.type for event in client.events] == [HEARTBEAT]
            assert visit(hub, pairs, client.events[-1].id, ends=True).status == 204


def test_an_end_that_has_left_the_history_still_counts(serving: Serving) -> None:
    with serving(history_events=1, ring_events=1) as hub:
        first = hub.publish("1", "run")
        hub.publish("end", "run", end="true")
        hub.publish("other")
        got = visit(hub, [("topic", "run")], first, ends=True)
        assert got.status == 200
        [gap] = got.sent
        assert gap.startswith(f"gap {first} ")
        assert visit(hub, [("topic", "run")], got.ids[-1], ends=True).status == 204


def test_a_publish_to_an_ended_topic_ends_no_stream_and_reaches_none(hub: Hub) -> None:
    end = run(hub)
    answer = hub.http.post(PATH, data={"topic": ["live", "run"]}, headers=hub.publishing)
    assert answer.status_code == 409
    assert visit(hub, [("topic", "live"), ("last_event_id", end)]).sent == []


def test_a_forgotten_topic_is_new_again(hub: Hub) -> None:
    hub.publish("1", "run")
    end = hub.publish("end", "run", end="1")

    def again() -> bool:
        form = {"topic": "run", "data": "again"}
        return hub.http.post(PATH, data=form, headers=hub.publishing).status_code == 200

    wait_for("the topic's time to be over", again)
    got = visit(hub, [("topic", "run"), ("rewind", "9")])
    assert (got.status, got.sent) == (200, ["again"])
    assert visit(hub, [("topic", "run")], end).sent == ["again"]


def test_a_read_says_that_all_topics_have_ended(hub: Hub) -> None:
    end = run(hub)
    pairs = [("topic", "run"), ("last_event_id", "earliest")]
    whole = hub.read(pairs)
    assert [each["data"] for each in whole["events"]] == ["1", "2", "end"]
    assert (whole["ended"], whole["more"]) == (True, False)
    assert hub.read([*pairs[:1], ("last_event_id", whole["cursor"])]) == {
        "events": [],
        "gap": None,
        "more": False,
        "ended": True,
        "cursor": end,
    }
    part = hub.read([*pairs, ("limit", "2")])
    assert (part["ended"], part["more"]) == (False, True)
    rest = hub.read([*pairs[:1], ("last_event_id", part["cursor"])])
    assert [each["data"] for each in rest["events"]] == ["end"]
    assert rest["ended"] is True
    # A read that waits does not wait for what cannot come.
    assert hub.read([*pairs[:1], ("last_event_id", end), ("wait", "50")])["ended"] is True
    assert hub.read([*pairs[:1], ("rewind", "1"), ("wait", "50")])["events"][0]["data"] == "end"


def test_a_read_that_waits_is_answered_at_the_end(hub: Hub) -> None:
    hub.publish("1", "run")
    cursor = hub.cursor

    async def main() -> dict[str, object]:
        reading = asyncio.to_thread(
            hub.read, [("topic", "run"), ("last_event_id", cursor), ("wait", "50")]
        )
        task = asyncio.create_task(reading)
        await until(lambda: hub.served.is_answering)
        await asyncio.to_thread(hub.publish, "end", "run", end="true")
        return await task

    answer = asyncio.run(main())
    assert [event["data"] for event in answer["events"]] == ["end"]  # type: ignore[attr-defined]
    assert answer["ended"] is True
