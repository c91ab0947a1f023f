"""How streams of exact topics, and workers, pass the holes that topics leave in the history."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from barestream.delivery.cursor import Cursor
from barestream.delivery.ready import Ready
from barestream.delivery.stream import EndReason
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import Subscription
from barestream.history.record import BEGIN, Place
from barestream.history.update import Update
from barestream.mercure.sse import Event
from fake_writer import fake_stream
from rewinds import World, asking, events, played, rewinding, settle

Sent = list[tuple[str, str | None]]


async def caught_up(
    world: World, subscription: Subscription, place: Place | None, missed: Missed | None = None
) -> Sent:
    """Return what a stream from a place is sent, up to the end of the history."""
    stream, writer = fake_stream()
    stream.ready = Ready(subscription.topics.exact)
    with world.feed.follow(stream, place, subscription, missed=missed):
        while stream.ready is not None:
            await asyncio.sleep(0)
    *sent, _ = events(writer)
    return sent


def replayed(
    publishing: Callable[[World], Awaitable[Place]], *topics: str, **of_world: Any
) -> list[str]:
    """Return the data that a stream of topics is sent after a place, whose topic has a hole."""

    async def scenario() -> Sent:
        world = World(**of_world)
        place = await publishing(world)
        return await caught_up(world, asking(*topics), place)

    return [data for data, _ in played(scenario)]


def test_a_stream_of_exact_topics_reads_nothing_else_of_a_long_history() -> None:
    async def scenario() -> None:
        world = World(ring_events=2, events=10_000)
        place = await world.publish("a0")
        for number in range(1, 4):
            await world.publish(f"a{number}")
            for other in range(600):
                await world.publish(f"x{other}")
        sent = await caught_up(world, asking("a"), place)
        assert [data for data, _ in sent] == ["a1", "a2", "a3"]
        assert [len(page.records) for page in world.broker.pages] == [3]

    played(scenario)


async def quiet_beside_a_talker(world: World) -> Place:
    """Return the place of the first update of a quiet topic; a loud one has pushed out its own."""
    place = await world.publish("q1")
    await world.publish_all(*(f"l{number}" for number in range(20)))
    await world.publish("q2")
    await world.publish_all(*(f"l{number}" for number in range(20, 40)))
    return place


HOLES = {"topic_events": 3, "topic_seconds": 0, "ring_events": 2}


def test_a_topic_that_lost_nothing_has_no_gap() -> None:
    assert replayed(quiet_beside_a_talker, "q", **HOLES) == ["q2"]
    assert replayed(quiet_beside_a_talker, "q", "never", **HOLES) == ["q2"]


def test_a_topic_that_lost_updates_after_the_cursor_has_a_gap() -> None:
    sent = replayed(quiet_beside_a_talker, "l", **HOLES)
    # The newest that left is l36, the 39th update.
    assert sent == ["gap #2000-0 #40000-0", "l37", "l38", "l39"]


def test_what_a_topic_lost_before_the_cursor_is_no_gap() -> None:
    async def publishing(world: World) -> Place:
        await quiet_beside_a_talker(world)
        return Place(40_000, 0)

    assert replayed(publishing, "l", "q", **HOLES) == ["l37", "l38", "l39"]


def test_what_is_left_before_the_floor_of_a_topic_is_sent() -> None:
    sent = replayed(quiet_beside_a_talker, "q", "l", **HOLES)
    assert sent == ["gap #2000-0 #40000-0", "q2", "l37", "l38", "l39"]


@pytest.mark.parametrize("selector", ["*", "{any}", "l{x}"])
def test_a_template_and_everything_have_the_floor_of_any_topic(selector: str) -> None:
    sent = replayed(quiet_beside_a_talker, "q", selector, **HOLES)
    assert sent[:2] == ["gap #2000-0 #40000-0", "q2"]


def test_private_updates_that_left_are_no_gap_for_those_who_may_not_read_them() -> None:
    async def scenario() -> None:
        world = World(**HOLES)
        place = await world.publish("t0")
        for number in range(9):
            await world.publish(f"t secret {number}", private=True)
        await world.publish("t1")
        await world.publish_all("x0", "x1")
        for readable in ((), ("x",)):
            sent = await caught_up(world, asking("t", readable=readable), place)
            assert [data for data, _ in sent] == ["t1"]
        [(gap, _), *_] = await caught_up(world, asking("t", readable=("t",)), place)
        assert gap == "gap #2000-0 #8000-0"

    played(scenario)


def test_a_client_that_is_cut_after_its_gap_gets_what_is_left_before_the_floor() -> None:
    async def scenario() -> None:
        world = World(**HOLES)
        place = await quiet_beside_a_talker(world)
        subscription = asking("q", "l")
        whole = await caught_up(world, subscription, place)
        for number, (_, event_id) in enumerate(whole, 1):
            cursor = Cursor.parse(event_id or "").place
            rest = await caught_up(world, subscription, cursor)
            assert [data for data, _ in rest if not data.startswith("gap")] == [
                data for data, _ in whole[number:]
            ]

    played(scenario)


def test_all_that_is_left_is_sent_without_a_gap_to_a_client_that_asks_for_it() -> None:
    async def scenario() -> Sent:
        world = World(**HOLES)
        await quiet_beside_a_talker(world)
        return await caught_up(world, asking("q", "l"), BEGIN, Missed(None, Place(40_000, 0)))

    assert [data for data, _ in played(scenario)] == ["q1", "q2", "l37", "l38", "l39"]


async def run_forgotten(world: World) -> None:
    """Publish a run that ends, and have the history forget it, while the worker does not read."""
    read_on, world.read_on = world.read_on, settle  # type: ignore[method-assign]
    for number in range(3):
        await world.publish(f"r{number}")
    await world.publish("r3", end=1)
    world.clock.seconds += 10
    await world.broker.trim()
    world.read_on = read_on  # type: ignore[method-assign]


def test_a_worker_that_was_late_has_a_gap_for_those_alone_whose_updates_are_gone() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish_all("a0", "r-")
        streams = {topic: fake_stream() for topic in ("a", "r", "never")}
        follows = [
            world.feed.follow(stream, None, asking(topic)) for topic, (stream, _) in streams.items()
        ]
        for follow in follows:
            follow.__enter__()
        await run_forgotten(world)
        world.tail.filled = True
        tail = asyncio.create_task(world.tail.run(world.sleep))
        await settle()
        assert world.feed.ring.floor == Place(7000, 0)
        await world.publish("a1")
        await settle()
        sent = {
            topic: [data for data, _ in events(writer)] for topic, (_, writer) in streams.items()
        }
        assert sent == {"a": ["a1"], "r": ["gap #3000-0 #7000-0"], "never": []}
        tail.cancel()
        await asyncio.wait([tail])
        for follow in follows:
            follow.__exit__(None, None, None)

    played(scenario)


def test_a_stream_ends_once_it_has_been_sent_the_ends_of_all_its_topics() -> None:
    async def scenario() -> None:
        world = World(ring_events=1)
        place = await world.publish("a1")
        await world.publish("a2", end=60)
        await world.publish("b1", end=60)
        await world.publish_all("x1", "x2")
        for topics, over in ((("a",), True), (("a", "b"), True), (("a", "x"), False)):
            stream, writer = fake_stream()
            stream.ready = Ready(topics)
            with world.feed.follow(stream, place, asking(*topics)):
                while stream.ready is not None:
                    await asyncio.sleep(0)
            assert (stream.end_reason is EndReason.ENDED) is over is writer.closed
            assert events(writer)[0][0] == "a2"
            told = json.loads(events(writer)[-1][0])
            assert told == {"empty": []}

    played(scenario)


def test_a_live_stream_ends_with_the_last_of_its_topics_also_if_its_client_is_slow() -> None:
    async def scenario() -> None:
        world = World()
        live, live_writer = fake_stream()
        slow, slow_writer = fake_stream()
        slow_writer.take_bytes = 0
        follow = world.feed.follow
        with follow(live, None, asking("a", "b")), follow(slow, None, asking("a", "b")):
            await world.publish("a1", end=60)
            await world.publish("b1")
            assert live.end_reason is slow.end_reason is None
            await world.publish("b2", end=60)
            assert live.end_reason is EndReason.ENDED
            assert slow.end_reason is None
            while slow_writer.pending_bytes:
                slow_writer.drain()
                await settle()
            assert slow.end_reason is EndReason.ENDED
        for writer in (live_writer, slow_writer):
            assert [data for data, _ in events(writer)] == ["a1", "b1", "b2"]

    played(scenario)


def test_a_rewind_goes_on_where_it_was_once_the_ring_has_restarted() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish_all("a1", "a2", "a3")
        stream, writer = fake_stream()
        writer.take_bytes = 0
        async with rewinding(world, world.plan("a"), stream) as (_, task):
            await settle()
            for _ in world.feed.restart(world.feed.ring.last):
                pass
            while not task.done():
                writer.drain()
                await settle()
            assert await task == Place(4000, 0)
        assert [data for data, _ in events(writer)] == ["a1", "a2", "a3"]

    played(scenario)


def test_a_replay_comes_to_its_end_where_the_history_is_ahead_of_the_worker() -> None:
    async def scenario() -> list[str]:
        world = World(ring_events=2)
        place = await world.publish("a1")
        await world.publish_all("x1", "x2", "x3")
        # The worker has not read it yet.
        await world.broker.publish(Update(("a",), Event("a2")))
        stream, writer = fake_stream()
        with world.feed.follow(stream, place, asking("a")):
            await settle()
            await world.read_on()
            await settle()
        return [data for data, _ in events(writer)]

    assert played(scenario) == ["a2"]
