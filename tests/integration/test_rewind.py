"""Rewinds: what a client is sent of its topics before the live updates."""

import asyncio
from urllib.parse import unquote

import pytest

from hub_in_use import HEARTBEAT, READY, Hub, Pairs, Serving, bearing, live, told, visit
from support.clients.publisher import PATH, Publisher
from support.clients.sse_client import SseClient
from support.servers.served import reading, until

ZERO, ONE = "topic", "match"


def pairs_of(version: str, *topics: str, **query: str) -> Pairs:
    return [*((version, topic) for topic in topics), *query.items()]


@pytest.mark.parametrize("version", [ZERO, ONE])
def test_the_newest_of_each_topic_come_before_live_ones(hub: Hub, version: str) -> None:
    for text in ("a1", "b1", "a2", "x1", "a3", "b2"):
        hub.publish(text)
    pairs = pairs_of(version, "a", "b", "c", rewind="2")

    async def act(client: SseClient) -> list[str]:
        hub.publish("x2")
        hub.publish("c1")
        hub.publish("a4")
        await until(lambda: client.events[-1].data == "a4")
        return [event.data for event in client.events if event.type == "message"]

    assert live(hub, pairs, act) == ["b1", "a2", "a3", "b2", "c1", "a4"]
    assert visit(hub, pairs).empty == []
    assert visit(hub, pairs_of(version, "a", "d", rewind="1")).empty == ["d"]


@pytest.mark.parametrize("version", [ZERO, ONE])
def test_the_updates_of_the_last_seconds_come(hub: Hub, version: str) -> None:
    for text in ("a1", "b1", "a2"):
        hub.publish(text)
    assert visit(hub, pairs_of(version, "a", "b", rewind="3600s")).sent == ["a1", "b1", "a2"]


@pytest.mark.parametrize("version", [ZERO, ONE])
def test_a_kept_value_comes_with_all_that_follows_it(hub: Hub, version: str) -> None:
    hub.publish("a0")
    hub.publish("a1", keep="forever")
    hub.publish("b1", keep="3600")
    hub.publish("a2")
    hub.publish("b2", keep="forever")
    hub.publish("a3")
    pairs = pairs_of(version, "a", "b", "c", rewind="kept")
    got = visit(hub, pairs)
    assert (got.sent, got.empty) == (["a1", "a2", "b2", "a3"], ["c"])
    hub.publish("a4", keep="0")
    assert visit(hub, pairs).sent == ["b2"]
    # The kept value comes first where it is older than the rest.
    assert visit(hub, pairs_of(version, "b", rewind="1")).sent == ["b2"]


def test_a_kept_value_outlives_the_history(serving: Serving) -> None:
    with serving(history_events=2, ring_events=1) as hub:
        hub.publish("a1", keep="forever")
        hub.publish("a2")
        hub.publish("a3")
        last = hub.publish("a4")
        # What has left the history between them is reported.
        whole = [f"gap None {last}", "a1", "a3", "a4"]
        assert visit(hub, pairs_of(ZERO, "a", rewind="kept")).sent == whole
        assert visit(hub, pairs_of(ZERO, "a", rewind="1")).sent == ["a1", "a4"]


def test_a_rewind_that_is_asked_for_in_the_body_of_a_query(hub: Hub) -> None:
    for text in ("a1", "b1", "a2"):
        hub.publish(text)

    async def main() -> list[str]:
        form = "match=a&match=b&rewind=1&include=ready"
        client = SseClient(hub.served.address, PATH, method="QUERY", form=form)
        async with reading(client):
            await until(lambda: len(client.events) == 3)
        return told(client.events[:2])

    assert asyncio.run(main()) == ["b1", "a2"]


def test_the_id_of_each_event_names_its_place_and_its_topic_where_a_client_asks(hub: Hub) -> None:
    first = hub.publish("1", "of another", "a/é;1")
    second = hub.publish("2", "a/é;1", "b", id="own;2")
    third = hub.publish("3", "b", "of another")
    pairs = pairs_of(ZERO, "b", "a/é;1", rewind="5", include="topic")

    async def act(client: SseClient) -> list[str]:
        place = hub.publish("4", "b")
        hub.publish("5", "b", id="own 5")
        await until(lambda: client.events[-1].data == "5")
        ids = [event.id or "" for event in client.events if event.type == "message"]
        assert ids[3] == f"{place};b"
        assert ids[4].endswith(";b;own%205")
        return ids

    ids = live(hub, pairs, act)
    assert all(each.isascii() for each in ids)
    assert ids[0] == f"#0-0~{first[1:]};a%2F%C3%A9%3B1"
    assert ids[1].startswith("#0-0~")
    assert unquote(ids[1]).endswith(";a/é;1;own;2")
    assert ids[2] == f"{third};b"
    assert second == "own;2"
    # Each is a cursor: those of the rewind begin it anew.
    for seen, rest in zip(
        ids, [["1", "2", "3", "4", "5"]] * 2 + [["4", "5"], ["5"], []], strict=True
    ):
        assert visit(hub, pairs, seen).sent == rest


def came_back(
    hub: Hub, pairs: Pairs, headers: dict[str, str] | None = None
) -> list[tuple[str | None, list[str]]]:
    """Cut a client after each event in turn, publish, and have it come back by its last id.

    Returns:
        Each id that it came back with, and what it was sent then.
    """
    whole = visit(hub, pairs, headers=headers)
    again = []
    for number, seen in enumerate([None, *whole.ids]):
        hub.publish(f"a live {number}")
        again.append((seen, visit(hub, pairs, seen, headers).sent))
    return again


def test_a_client_that_is_cut_after_any_event_gets_the_rewind_again_and_misses_nothing(
    serving: Serving,
) -> None:
    for ring_events in (1, 1000):
        with serving(ring_events=ring_events) as hub:
            before = ["a1", "b1", "x1", "b2", "a2", "x2"]
            for text in before:
                hub.publish(text)
            pairs = pairs_of(ZERO, "a", "b", rewind="2", include="topic")
            visits = came_back(hub, pairs)
            assert [seen is None or "~" in seen for seen, _ in visits] == [True] * 4 + [False]
            published = ["a2"]
            for number, (_, sent) in enumerate(visits):
                published.append(f"a live {number}")
                if number < 4:
                    # The newest two of each, in the order of the history.
                    newest = published[-2:]
                    assert sent == sorted(["b1", "b2", *newest], key=(before + published).index)
                else:
                    assert sent == [f"a live {each}" for each in range(5)]


def test_a_client_that_is_cut_after_any_event_of_a_kept_value_gets_it_again(hub: Hub) -> None:
    hub.publish("a0")
    hub.publish("a1", keep="forever")
    hub.publish("a2")
    hub.publish("x")
    visits = came_back(hub, pairs_of(ONE, "a", rewind="kept"))
    lives = [f"a live {number}" for number in range(3)]
    assert [sent for _, sent in visits] == [
        ["a1", "a2", *lives[:1]],
        ["a1", "a2", *lives[:2]],
        # It had the whole rewind.
        lives,
    ]


def test_a_client_that_adds_a_topic_goes_on_with_the_others_also_where_it_is_cut(
    serving: Serving,
) -> None:
    for ring_events in (1, 1000):
        with serving(ring_events=ring_events) as hub:
            hub.publish("n0")
            cursor = hub.publish("a0")
            for text in ("n1", "a1", "x1", "n2", "a2", "x2"):
                hub.publish(text)
            pairs = pairs_of(ZERO, "a", "n", rewind="2", new="n", last_event_id=cursor)
            visits = came_back(hub, pairs)
            lives = [f"a live {number}" for number in range(5)]
            assert [sent for _, sent in visits] == [
                ["a1", "a2", lives[0], "n1", "n2"],
                # After a1, and after a2, the new topic is still to come.
                ["a2", *lives[:2], "n1", "n2"],
                [*lives[:3], "n1", "n2"],
                # After n1 it comes again.
                [*lives[:4], "n1", "n2"],
                lives,
            ]


def test_the_header_of_a_client_that_came_back_to_its_url_makes_no_topic_new(hub: Hub) -> None:
    cursor = hub.publish("a0")
    hub.publish("n1")
    seen = hub.publish("a1")
    hub.publish("n2")
    pairs = pairs_of(ZERO, "a", "n", rewind="5", new="n", last_event_id=cursor)
    assert visit(hub, pairs, cursor).sent == ["a1", "n1", "n2"]
    assert visit(hub, pairs, seen).sent == ["n2"]
    assert visit(hub, [*pairs, ("lastEventId", seen)]).sent == ["n2"]
    assert visit(hub, [*pairs, ("lastEventId", "")]).sent == ["a1", "n1", "n2"]


def test_a_rewind_that_is_cut_short_is_reported_each_time(serving: Serving) -> None:
    with serving(rewind_events=2) as hub:
        for text in ("a1", "a2", "a3"):
            last = hub.publish(text)
        for asked in ("3", "3600s"):
            pairs = pairs_of(ZERO, "a", rewind=asked)
            got = visit(hub, pairs)
            assert got.sent == [f"gap None {last}", "a2", "a3"]
            assert got.ids[:2] == ["#0-0~", "#0-0~"]
            assert visit(hub, pairs, got.ids[0]).sent == got.sent
            assert visit(hub, pairs, got.ids[2]).sent == []
        assert visit(hub, pairs_of(ZERO, "a", rewind="2")).sent == ["a2", "a3"]


@pytest.mark.parametrize("lost", ["never", "#9-0", "#99999999999999-0", "#99999999999999-0~"])
def test_a_lost_cursor_is_reported_once_and_then_the_rewind_comes(hub: Hub, lost: str) -> None:
    for text in ("a1", "a2", "a3"):
        hub.publish(text)
    pairs = pairs_of(ZERO, "a", "b", rewind="2")
    got = visit(hub, pairs, lost)
    assert got.sent[0].startswith(f"gap {lost} #")
    assert got.sent[1:] == ["a2", "a3"]
    for seen in got.ids[:2]:
        assert visit(hub, pairs, seen).sent == ["a2", "a3"]
    assert visit(hub, pairs, got.ids[2]).sent == []


def test_a_heartbeat_carries_the_cursor_after_the_rewind(hub: Hub) -> None:
    hub.publish("a1")
    last = hub.publish("x")

    async def act(client: SseClient) -> list[tuple[str, str | None]]:
        await until(lambda: client.events[-1].type == HEARTBEAT)
        return [(event.type, event.id) for event in client.events]

    of_a = pairs_of(ZERO, "a", "b", rewind="1", heartbeat="event")
    assert live(hub, of_a, act) == [("message", last), (READY, last), (HEARTBEAT, last)]


def test_each_of_many_rewinds_amid_publishes_is_whole_and_in_order(serving: Serving) -> None:
    with serving(rewind_events=1000, ring_events=50) as hub:

        async def main() -> list[list[str]]:
            clients = [
                hub.client(pairs_of(ZERO, "a", f"b{number % 3}", rewind="1000"))
                for number in range(15)
            ]
            async with Publisher(hub.url) as publisher:
                opened: list[asyncio.Task[SseClient]] = []
                for number in range(60):
                    await publisher.publish("a", data=str(number))
                    await publisher.publish(f"b{number % 3}", "c")
                    if number % 4 == 3:
                        opened.append(asyncio.create_task(clients[number // 4].run()))
                await until(
                    lambda: all(
                        client.events and sum(bool(each.data) for each in client.events) >= 60
                        for client in clients
                    )
                )
                for task in opened:
                    task.cancel()
                await asyncio.wait(opened)
            return [told([each for each in client.events if each.data]) for client in clients]

        for sent in asyncio.run(main()):
            assert sent == [str(number) for number in range(60)]


def test_rewinds_beside_rights_of_a_token(hub: Hub) -> None:
    hub.publish("a1")
    hub.publish("a secret", private="on")
    hub.publish("team", "a", "team/7", private="on")
    pairs = pairs_of(ZERO, "a", rewind="2")
    assert visit(hub, pairs).sent == ["a1"]
    assert visit(hub, pairs, headers=bearing("a")).sent == ["a secret", "team"]
    assert visit(hub, pairs, headers=bearing("team/{id}")).sent == ["a1", "team"]
    assert visit(hub, pairs, headers=bearing("other")).sent == ["a1"]
