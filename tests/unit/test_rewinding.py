import asyncio
import math
from typing import Any

import pytest

from barestream.delivery.cursor import Cursor
from barestream.delivery.rewinding import RETRY_SECONDS, Plan
from barestream.delivery.subscriber import Missed
from barestream.delivery.writer import MARK_BYTES
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind
from fake_writer import fake_stream
from rewinds import FLOOR, World, asking, events, played, rewinding, rewound, settle

IN_REWIND = "#0-0~"


def sent(plan_of: Any, *texts: str, world: World | None = None) -> list[tuple[str, str | None]]:
    """Return what a rewind sends after some publishes."""
    at = world or World()

    async def scenario() -> list[tuple[str, str | None]]:
        places = await at.publish_all(*texts)
        return await rewound(at, plan_of(at, places))

    return played(scenario)


def test_until_a_rewind_is_over_each_id_says_so_and_the_last_is_the_end_of_the_history() -> None:
    got = sent(lambda world, _: world.plan("a", "b"), "a1", "b1", "x1", "a2", "x2")
    assert got == [("a1", IN_REWIND), ("b1", IN_REWIND), ("a2", "#6000-0")]


def test_a_rewind_of_topics_without_updates_sends_nothing() -> None:
    assert sent(lambda world, _: world.plan("a", "b"), "x1") == []
    assert sent(lambda world, _: world.plan("a", "b")) == []


def test_a_client_that_asked_for_topics_gets_the_place_and_the_topic_of_each_event() -> None:
    def plan_of(world: World, _: Any) -> Any:
        return world.plan("a", "b")._replace(whole=asking("a", "b", names_topics=True))

    assert sent(plan_of, "a1", "b1", "x1") == [
        ("a1", "#0-0~2000-0;a"),
        ("b1", "#4000-0=3000-0;b"),
    ]


def test_beside_a_cursor_the_other_topics_go_on_from_there_and_come_first() -> None:
    got = sent(
        lambda world, places: world.beside("n", "ab", places[1]),
        *("n1", "a1", "n2", "b2", "x1", "a3", "n3", "x2"),
    )
    # First what follows the cursor, with its place in the id, then the topic that is new.
    assert got == [
        ("b2", "#5000-0~"),
        ("a3", "#7000-0~"),
        ("n1", "#9000-0~"),
        ("n2", "#9000-0~"),
        ("n3", "#9000-0"),
    ]


def test_what_the_topics_that_are_not_new_have_just_brought_does_not_come_again() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World()
        await world.publish("1", "n", "a")
        place = await world.publish("2", "a")
        await world.publish("3", "n", "a")
        await world.publish("4", "a", "n")
        await world.publish("5", "n")
        return await rewound(world, world.beside("n", "a", place))

    # The first one is before the cursor: the client may have subscribed to the other topic later.
    assert [data for data, _ in played(scenario)] == ["3", "4", "1", "5"]


def test_the_kept_value_of_a_new_topic_comes_though_a_template_had_the_topic_before() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World()
        await world.publish("1", "orders/1", keep=math.inf)
        place = await world.publish("x1")
        old, new = asking("orders/{id}"), asking("orders/1")
        whole = asking("orders/{id}", "orders/1")
        return await rewound(world, Plan(whole, new, old, place, None, Rewind(kept=True), 100))

    # Its stream may have begun after the update.
    assert [data for data, _ in played(scenario)] == ["1"]


def test_the_pages_of_a_long_absence_are_read_one_after_the_other() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(events=10_000, ring_events=10)
        place = await world.publish("a0")
        await world.publish("n0")
        await world.publish_all(*(f"a{number}" for number in range(1, 1202)))
        got = await rewound(world, world.beside("n", "a", place))
        assert world.broker.asked["read"] == 3
        return got

    got = played(scenario)
    assert [data for data, _ in got] == [*(f"a{number}" for number in range(1, 1202)), "n0"]
    assert all(str(event_id).endswith("~") for _, event_id in got[:-1])


def test_what_has_left_the_history_after_a_cursor_is_reported_before_what_is_left() -> None:
    def plan_of(world: World, places: list[Place]) -> Any:
        return world.beside("n", "a", places[0])

    got = sent(plan_of, "a1", "a2", "n1", "a3", "a4", world=World(events=3, ring_events=2))
    assert got == [
        ("gap #2000-0 #3000-0", "#3000-0~"),
        ("a3", "#5000-0~"),
        ("a4", "#6000-0~"),
        ("n1", "#6000-0"),
    ]


def test_a_client_that_is_cut_after_the_gap_of_its_other_topics_is_not_sent_it_again() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(events=3, ring_events=2)
        places = await world.publish_all("a1", "a2", "n1", "a3", "a4")
        [(_, event_id), *_] = await rewound(world, world.beside("n", "a", places[0]))
        cursor = Cursor.parse(event_id or "")
        assert cursor.in_rewind
        return await rewound(world, world.beside("n", "a", cursor.place))

    assert [data for data, _ in played(scenario)] == ["a3", "a4", "n1"]


def test_what_is_left_before_the_newest_that_has_left_is_sent_after_the_gap() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(topic_events=1, topic_seconds=0)
        place = await world.publish("1", "a")
        await world.publish("2", "b", "a")
        for text in "345":
            await world.publish(text, "a")
        await world.publish("n1")
        return await rewound(world, world.beside("n", "ab", place))

    got = played(scenario)
    assert [data for data, _ in got] == ["gap #2000-0 #5000-0", "2", "5", "n1"]
    # It says no more than what the client has: the survivor is still to come.
    assert Cursor.parse(got[0][1] or "") == Cursor(Place(2999, 2**64 - 1), in_rewind=True)


def test_a_client_that_asked_for_all_that_is_left_beside_a_new_topic_is_sent_no_gap() -> None:
    def plan_of(world: World, _: Any) -> Any:
        return world.beside("n", "a", BEGIN, Missed(None, FLOOR))

    got = sent(plan_of, "a1", "n1", "a2", world=World(ring_events=1))
    assert [data for data, _ in got] == ["a1", "a2", "n1"]


def test_a_lost_cursor_is_reported_before_the_rewind() -> None:
    def plan_of(world: World, places: list[Place]) -> Any:
        return world.plan("a", missed=Missed("urn:lost", places[0]))

    assert sent(plan_of, "x1", "a1", "a2") == [
        ("gap urn:lost #2000-0", IN_REWIND),
        ("a1", IN_REWIND),
        ("a2", "#4000-0"),
    ]


def test_a_rewind_that_is_cut_short_says_so_before_its_events() -> None:
    def plan_of(world: World, _: Any) -> Any:
        return world.plan("a", rewind=Rewind(events=3), most_events=2)

    assert sent(plan_of, "a1", "a2", "a3") == [
        ("gap None #4000-0", IN_REWIND),
        ("a2", IN_REWIND),
        ("a3", "#4000-0"),
    ]


def test_an_update_that_leaves_the_history_during_the_rewind_is_reported() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(events=3, ring_events=1)
        await world.publish_all("a1", "a2", "a3")
        stream, writer = fake_stream()
        writer.take_bytes = 0
        broker = world.broker
        broker.away["at"] = 1
        async with rewinding(world, world.plan("a"), stream) as (_, task):
            while world.slept != [RETRY_SECONDS]:
                await asyncio.sleep(0)
            await world.publish("x1")
            while not task.done():
                await settle()
                writer.drain()
        return events(writer)

    got = played(scenario)
    assert [data for data, _ in got][:2] == ["a2", "gap None #4000-0"]
    assert got[-1] == ("a3", "#4000-0")


def test_an_update_that_the_other_topics_brought_may_leave_before_the_new_topics_are_sent() -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(events=2, ring_events=1)
        place = await world.publish("x1")
        await world.publish("1", "a", "n")
        stream, writer = fake_stream()
        writer.take_bytes = 0
        async with rewinding(world, world.beside("n", "a", place), stream) as (_, task):
            await settle()
            await world.publish_all("x2", "x3")
            while not task.done():
                writer.drain()
                await settle()
        return events(writer)

    # The client has it, so nothing is missing.
    assert played(scenario) == [("1", "#3000-0~")]


@pytest.mark.parametrize("question", ["rewound", "read", "at"])
def test_a_history_that_is_away_in_the_middle_is_asked_again(question: str) -> None:
    async def scenario() -> list[tuple[str, str | None]]:
        world = World(ring_events=1)
        place = await world.publish("x1")
        await world.publish_all("n1", "a1", "n2", "a2", "x2")
        world.broker.away[question] = 3
        got = await rewound(world, world.beside("n", "a", place))
        assert world.slept == [RETRY_SECONDS] * 3
        return got

    assert [data for data, _ in played(scenario)] == ["a1", "a2", "n1", "n2"]


def test_a_client_that_reads_slowly_is_sent_the_next_events_once_it_has_taken_the_last() -> None:
    # No two of them fit into one write.
    sent = [f"a{number}".ljust(MARK_BYTES // 2 + 1) for number in range(1, 4)]

    async def scenario() -> None:
        world = World()
        await world.publish_all(*sent)
        stream, writer = fake_stream()
        writer.take_bytes = 0
        async with rewinding(world, world.plan("a"), stream) as (rewind, task):
            for number in range(1, 4):
                await settle()
                assert [data for data, _ in events(writer)] == sent[:number]
                assert rewind.cursor.in_rewind is (number < 3)
                assert not task.done()
                writer.drain()
            assert await task == Place(4000, 0)

    played(scenario)


def test_the_cursor_of_a_heartbeat_says_that_the_rewind_is_not_over_until_it_is() -> None:
    async def scenario() -> None:
        world = World(ring_events=1)
        place = await world.publish("x1")
        await world.publish_all("a1", "n1", "x2")
        stream, writer = fake_stream()
        writer.take_bytes = 0
        async with rewinding(world, world.beside("n", "a", place), stream) as (rewind, task):
            assert str(rewind.cursor) == "#2000-0~"
            await settle()
            assert str(rewind.cursor) == "#3000-0~"
            writer.drain()
            await settle()
            assert str(rewind.cursor) == "#5000-0"
            assert events(writer)[-1] == ("n1", "#5000-0")
            writer.drain()
            await task

    played(scenario)


def test_a_rewind_counts_what_it_sends() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish_all("a1", "a2", "a3")
        stream, writer = fake_stream()
        plan = world.plan("a", missed=Missed("urn:lost", FLOOR))
        async with rewinding(world, plan, stream) as (_, task):
            await task
        assert stream.sent_events == 4
        assert stream.sent_bytes == len(writer.body)
        text = world.feed.metrics.text().decode()
        assert "barestream_gaps_total 1.0" in text
        assert "barestream_events_delivered_total 3.0" in text

    played(scenario)
