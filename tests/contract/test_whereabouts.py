"""What the hub has of an update that somebody names, on every broker."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from barestream.delivery.broadcast_loop import BroadcastLoop
from barestream.delivery.feed import Feed
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.delivery.whereabouts import Whereabouts, is_in_lanes, whereabouts
from barestream.history.broker import Broker
from barestream.history.record import BEGIN, Place
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.telemetry.metrics import Metrics
from support.servers.served import until
from topic_updates import publish, update

Run = Callable[..., None]


@asynccontextmanager
async def following(broker: Broker) -> AsyncIterator[Tail]:
    """Follow a history, as a worker does."""
    slices = Slices(time.monotonic)
    feed = Feed(Ring(100, BEGIN), Metrics(), time.time)
    tail = Tail(broker, feed, 100, 1_000_000, slices)
    works = [
        asyncio.create_task(work)
        for work in (tail.run(), BroadcastLoop(feed, slices, time.monotonic).run())
    ]
    try:
        await until(lambda: tail.filled)
        yield tail
    finally:
        for work in works:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


def wanting(*topics: str, readable: tuple[str, ...] = ()) -> Subscription:
    return Subscription(Selectors(topics), Selectors(readable))


async def find(tail: Tail, event_id: str | Place, *topics: str) -> Whereabouts:
    return await whereabouts(tail, str(event_id), topics or None)


def test_an_update_is_found_by_its_place_and_by_its_own_id(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            [first] = await publish(broker, update("x", "a", "b", private=True))
            await broker.publish(update("y", "c", own_id="mine"))
            await broker.publish(update("z", "d", own_id="mine"))
            by_place = await find(tail, first)
            assert by_place.update == (first, ("a", "b"), True)
            assert (by_place.is_in_history, by_place.has_left) == (True, False)
            assert by_place.oldest == first
            assert {*by_place.topic_floors} == {"a", "b"}
            labelled = await find(tail, f"{first};a;;0")
            assert labelled.update == by_place.update
            # The newest with the id is meant.
            by_id = await find(tail, "mine")
            assert (by_id.update and by_id.update.topics, by_id.updates_with_id) == (("d",), 2)
            assert by_id.place == (by_id.update and by_id.update.place)

    run(scenario)


def test_of_many_updates_with_one_id_the_newest_is_meant(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            for number in range(25):
                await broker.publish(update(str(number), f"t{number}", own_id="mine"))
            found = await find(tail, "mine")
            assert (found.update and found.update.topics, found.updates_with_id) == (("t24",), 25)

    run(scenario)


def test_an_update_that_has_left_is_told_apart_from_one_that_never_was(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            first, second, third = await publish(broker, *map(update, ["a1", "a2", "a3"]))
            gone = await find(tail, first)
            assert (gone.update, gone.is_in_history, gone.has_left) == (None, False, True)
            assert (gone.floor, gone.oldest, gone.left_alone) == (first, second, False)
            never = await find(tail, Place(third.ms + 1_000_000, 0))
            assert (never.update, never.has_left) == (None, False)
            # Its number is larger than Valkey's largest.
            beyond = await find(tail, f"#{third.ms + 1_000_000}-99999999999999999999")
            assert (beyond.update, beyond.has_left) == (None, False)
            assert (await find(tail, "unknown")).place is None
            told = await find(tail, first, "a")
            assert told.topic_floors["a"][0] == first

    run(scenario, events=2)


def test_an_update_that_newer_ones_of_its_topic_push_out_has_left_alone(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            other, first, *_ = await publish(broker, *map(update, ["b1", "a1", "a2", "a3"]))
            gone = await find(tail, first)
            assert (gone.oldest, gone.has_left, gone.left_alone) == (other, True, True)

    run(scenario, topic_events=2, topic_seconds=0)


def test_an_update_that_has_left_one_of_its_topics_is_in_no_replay_of_that_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            [several, *_] = await publish(broker, update("x", "b", "a"), *map(update, ["a1", "a2"]))
            found = await find(tail, several)
            assert found.is_in_history
            assert found.update is not None
            for wanted, is_there in (
                (wanting("a"), False),
                (wanting("b"), True),
                (wanting("a", "b"), True),
                (wanting("*"), True),
                (wanting("{x}"), True),
            ):
                assert await is_in_lanes(tail, wanted, found.update) is is_there
            assert found.topic_floors["a"][0] == several
            assert found.topic_floors["b"][0] < several

    run(scenario, topic_events=2, topic_seconds=0)


def test_private_updates_are_in_the_lanes_of_those_who_may_read_them(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            [place] = await publish(broker, update("x", "b", "a", private=True))
            found = await find(tail, place)
            assert found.update is not None
            assert await is_in_lanes(tail, wanting("a", readable=("b",)), found.update)
            assert await is_in_lanes(tail, wanting("a", readable=("a",)), found.update)

    run(scenario)


def test_a_kept_value_is_known_after_it_has_left_the_history(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            await broker.publish(update("x", "k", private=True, keep=3600, own_id="mine"))
            known = await find(tail, "mine")
            assert (known.kept_for, known.is_in_history, known.place is None) == ("k", True, False)
            kept = known.place
            assert kept is not None
            await publish(broker, *map(update, ["a1", "a2", "a3"]))
            for event_id in (str(kept), "mine"):
                for topics in (("k",), ()):
                    found = await find(tail, event_id, *topics)
                    assert found.update == (kept, ("k",), True)
                    assert (found.is_in_history, found.kept_for) == (False, "k")
            # Whose stream asks for other topics gets no rewind of it.
            assert (await find(tail, kept, "other")).update is None

    run(scenario, events=2)


def test_the_ends_of_the_topics_are_told(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async with following(broker) as tail:
            await publish(broker, update("a1"))
            [last] = await publish(broker, update("a2", end=3600))
            assert {*(await find(tail, last)).ends} == {"a"}
            missing = await find(tail, "unknown", "a", "b")
            assert {topic: end.known.place for topic, end in missing.ends.items()} == {"a": last}
            assert (await find(tail, "unknown")).ends == {}

    run(scenario)
