"""A board: many kept values, which one template or one URL Pattern gets whole."""

import asyncio

import pytest

from hub_in_use import Hub, Pairs, Serving, bearing, live, told, visit
from support.clients.publisher import Publisher
from support.clients.sse_client import SseClient
from support.servers.served import until

ROWS = 500

SELECTORS = [
    ("topic", "/orders/{id}"),
    ("match_urlpattern", "/orders/:id"),
    ("match", "*"),
    ("topic", "*"),
]


def fill(hub: Hub) -> dict[str, str]:
    """Publish a board, and changes of some rows; return the newest data of each row."""
    board = {f"/orders/{row}": f"new {row}" for row in range(ROWS)}
    rows = [
        {"topic": topic, "data": data, "keep": "forever", "id": f"own of {topic}"}
        for topic, data in board.items()
    ]
    for start in range(0, ROWS, 100):
        hub.publish_all(*rows[start : start + 100])
    changed = {f"/orders/{row}": f"paid {row}" for row in range(0, ROWS, 7)}
    hub.publish_all(
        *({"topic": topic, "data": data, "keep": "forever"} for topic, data in changed.items())
    )
    return board | changed


@pytest.mark.parametrize("selector", SELECTORS)
def test_one_selector_gets_the_whole_board_and_what_follows(
    hub: Hub, selector: tuple[str, str]
) -> None:
    board = fill(hub)
    pairs: Pairs = [selector, ("rewind", "kept"), ("include", "topic")]

    async def act(client: SseClient) -> list[str]:
        rows = [event for event in client.events if event.type == "message"]
        assert sorted(event.data for event in rows) == sorted(board.values())
        hub.publish("live", "/orders/3", keep="forever")
        hub.publish("live", "/orders/beyond")
        await until(lambda: len(client.events) == ROWS + 3)
        return [event.id or "" for event in client.events]

    ids = live(hub, pairs, act)
    # The ids are those of a rewind up to its last event.
    assert [("~" in event_id) for event_id in ids[: ROWS + 1]] == [True] * (ROWS - 1) + [False] * 2
    assert visit(hub, pairs, ids[ROWS - 1]).sent == ["live", "live"]
    # In the middle of the rewind it is begun again: with the row's newest value, and no updates of
    # topics without one.
    again = visit(hub, pairs, ids[ROWS // 2]).sent
    assert sorted(again) == sorted([*(board | {"/orders/3": "live"}).values()])


def test_a_board_is_whole_after_its_updates_have_left_the_history(serving: Serving) -> None:
    with serving(history_events=10, ring_events=1) as hub:
        board = fill(hub)
        for selector in SELECTORS:
            got = visit(hub, [selector, ("rewind", "kept")])
            assert sorted(got.sent) == sorted(board.values())
            assert got.empty == []


def test_what_follows_the_kept_value_of_a_row_comes_after_it(hub: Hub) -> None:
    board = fill(hub)
    hub.publish("+1", "/orders/7")
    hub.publish("+2", "/orders/7", "/orders/8")
    for selector in SELECTORS[:2]:
        sent = visit(hub, [selector, ("rewind", "kept")]).sent
        assert sorted(sent[:-2]) == sorted(board.values())
        assert sent[-2:] == ["+1", "+2"]


def test_a_board_of_one_read_has_the_newest_rows_and_says_that_it_is_cut(hub: Hub) -> None:
    board = fill(hub)
    pairs = [("topic", "/orders/{id}"), ("rewind", "kept")]
    whole = hub.read([*pairs, ("limit", "1000")])
    assert {each["topic"]: each["data"] for each in whole["events"]} == board
    assert (whole["gap"], whole["more"]) == (None, False)
    part = hub.read([*pairs, ("limit", "50")])
    assert [each["data"] for each in part["events"]] == [
        each["data"] for each in whole["events"][-50:]
    ]
    assert part["gap"] == {"from": None, "to": part["cursor"], "missed": None}
    assert part["cursor"] == whole["cursor"]


def test_private_rows_come_to_those_who_may_read_them(hub: Hub) -> None:
    hub.publish("1", "/orders/1", keep="forever")
    hub.publish("2", "/orders/2", keep="forever", private="on")
    hub.publish("3", "/orders/3", "/users/7", keep="forever", private="on")
    pairs = [("topic", "/orders/{id}"), ("rewind", "kept")]
    for headers, rows in (
        ({}, ["1"]),
        (bearing("/users/7"), ["1", "3"]),
        (bearing("/orders/{id}"), ["1", "2", "3"]),
        (bearing("/orders/2"), ["1", "2"]),
    ):
        assert visit(hub, pairs, headers=headers).sent == rows


def test_a_board_that_changes_while_it_is_loaded_is_right_in_the_end(hub: Hub) -> None:
    board = fill(hub)

    async def main() -> list[dict[str, str]]:
        clients: list[SseClient] = []
        reading: list[asyncio.Task[SseClient]] = []
        async with Publisher(hub.url) as publisher:
            for change in range(40):
                topic = f"/orders/{change * 11 % ROWS}"
                board[topic] = f"change {change}"
                await publisher.publish(topic, data=board[topic], keep="forever")
                if change % 8 == 0:
                    clients.append(hub.client([("topic", "/orders/{id}"), ("rewind", "kept")]))
                    reading.append(asyncio.create_task(clients[-1].run()))
            await publisher.publish("/orders/last", data="last")
            await until(lambda: all("last" in told(client.events[-1:]) for client in clients))
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        return [dict.fromkeys(told(client.events), "") for client in clients]

    for seen in asyncio.run(main()):
        assert {*board.values()} <= {*seen}
