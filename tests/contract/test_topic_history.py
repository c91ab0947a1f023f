"""What every broker promises of the updates of single topics, and of those that have left."""

import asyncio
from collections.abc import Callable

from barestream.history.broker import Broker
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Reader
from support.servers.service import PATIENCE_SECONDS
from topic_updates import (
    ALL_EVENTS,
    covering,
    floor_of,
    holding,
    lane_of,
    log_of,
    public,
    publish,
    texts,
    update,
)

Run = Callable[..., None]
Weigh = Callable[..., int]


def test_a_page_for_a_topic_has_its_updates_alone_in_the_order_of_places(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(
            broker, *(update(data) for data in ("a1", "b1", "a2", "c1", "b2", "a3")), update("d")
        )
        assert await lane_of(broker, public("a")) == ["a1", "a2", "a3"]
        assert await lane_of(broker, public("b", "a")) == ["a1", "b1", "a2", "b2", "a3"]
        assert await lane_of(broker, public("e")) == []

    run(scenario)


def test_an_update_with_several_of_a_readers_topics_comes_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("1", "a", "b"), update("2", "b", "c", "b"), update("3", "c"))
        assert await lane_of(broker, public("a", "b")) == ["1", "2"]
        assert await lane_of(broker, public("c", "b", "a", "c")) == ["1", "2", "3"]

    run(scenario)


def test_private_updates_are_in_pages_of_readers_that_may_read_some(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(
            broker,
            update("a1"),
            update("a2", private=True),
            update("b1", private=True),
            update("3", "b", "a", private=True),
        )
        assert await lane_of(broker, public("a", "b")) == ["a1"]
        assert await lane_of(broker, covering("a")) == ["a1", "a2", "3"]
        # Which of them it may read depends on their other topics, which its caller knows.
        assert await lane_of(broker, holding("a")) == ["a1", "a2", "3"]
        only_a = Reader(("a", "b"), frozenset("a"))
        assert await lane_of(broker, only_a) == ["a1", "a2", "3"]
        assert await lane_of(broker, Reader(None)) == await log_of(broker)

    run(scenario)


def test_a_page_for_a_topic_ends_at_its_bounds_and_not_at_those_of_others(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        data = ["a" * 1000, "b" * 100_000, "a" * 2000, "a" * 3000, "b", "a" * 4000]
        places = await publish(broker, *map(update, data))
        page = await broker.read(BEGIN, 2, reader=public("a"))
        assert (texts(page.records), page.upto) == ([data[0], data[2]], places[2])
        page = await broker.read(places[0], ALL_EVENTS, 2500, public("a"))
        assert (texts(page.records), page.upto) == (data[2:4], places[3])
        page = await broker.read(places[3], ALL_EVENTS, 2500, public("a"))
        assert (texts(page.records), page.upto) == ([data[5]], places[5])

    run(scenario)


def test_a_page_that_no_bound_ends_has_all_up_to_the_end_of_the_history(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        assert (await broker.read(BEGIN, 10, reader=public("a"))).upto == begin
        *_, last = await publish(broker, update("a"), update("b"), update("c"))
        for reader in (None, public("a"), public("d"), Reader(None)):
            assert (await broker.read(BEGIN, 10, reader=reader)).upto == last
        ahead = Place(last.ms + 60_000, 0)
        assert (await broker.read(ahead, 10, reader=public("a"))).upto == ahead

    run(scenario)


def test_what_other_topics_lost_is_no_gap_for_a_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(broker, *map(update, ("a1", "b1", "b2", "a2", "b3")))
        assert await log_of(broker) == ["b2", "a2", "b3"]
        assert await floor_of(broker) == places[1]
        assert await floor_of(broker, public("a")) == places[0]
        assert await floor_of(broker, public("b")) == places[1]
        assert await floor_of(broker, public("c")) == begin
        assert await floor_of(broker, public("c", "a")) == places[0]
        page = await broker.read(places[0], 10, reader=public("a"))
        assert (page.floor, texts(page.records)) == (places[0], ["a2"])
        assert (await broker.read(places[1], 0, reader=public("a"))).floor == places[1]

    run(scenario, events=3)


def test_a_topic_keeps_its_floor_when_it_has_no_updates_any_more(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(broker, *map(update, ("a", "b1", "b2")))
        assert await floor_of(broker, public("a")) == places[0]
        assert await floor_of(broker, public("b")) == begin
        await publish(broker, *map(update, ("a", "a")))
        assert await floor_of(broker, public("a")) == places[0]
        assert await floor_of(broker, public("b")) == places[2]

    run(scenario, events=2)


def test_a_reader_learns_of_lost_private_updates_only_as_far_as_it_may_read_them(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        [alone] = await publish(broker, update("a1", private=True))
        await publish(broker, update("b"), update("b"))
        assert await floor_of(broker, covering("a")) == alone
        for reader in (public("a"), holding("a"), covering("b"), Reader(None)):
            assert await floor_of(broker, reader) == begin
        assert await floor_of(broker, Reader(None, has_rights=True)) == alone
        [several] = await publish(broker, update("2", "a", "c", private=True))
        first, *_ = await publish(broker, *[update("b")] * 3)
        assert await floor_of(broker, covering("a")) == several
        # Of the other topic it may have the right to read.
        for topic in ("a", "c", "d"):
            assert await floor_of(broker, holding(topic)) == several
        assert await floor_of(broker, covering("d")) == begin
        for topic in ("a", "c"):
            assert await floor_of(broker, public(topic)) == begin
        assert await floor_of(broker, Reader(None)) == first
        assert await floor_of(broker, Reader(None, has_rights=True)) == first

    run(scenario, events=2)


def test_beyond_its_bound_a_topics_oldest_update_leaves_a_hole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(broker, *map(update, ("b1", "a1", "b2", "a2", "a3", "b3")))
        assert await log_of(broker) == ["b2", "a2", "a3", "b3"]
        assert await floor_of(broker, public("a")) == places[1]
        assert await floor_of(broker, public("b")) == places[0]
        assert await floor_of(broker, public("c")) == begin
        # Before the floor there may be updates.
        page = await broker.read(BEGIN, 10)
        assert (page.floor, page.is_known) == (places[1], True)
        page = await broker.read(places[2], 10)
        assert (page.floor, texts(page.records)) == (places[2], ["a2", "a3", "b3"])
        assert await broker.at(places) == (await broker.read(BEGIN, 10)).records

    run(scenario, topic_events=2, topic_seconds=0)


def test_updates_before_a_hole_are_left_out_of_the_newest_ones(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(broker, *map(update, ("b", "c", "a1", "d", "a2")))
        page = await broker.newest(10, 1000)
        assert (page.floor, texts(page.records)) == (places[2], ["d", "a2"])
        page = await broker.newest(1, 1000)
        assert (page.floor, texts(page.records)) == (places[3], ["a2"])
        assert begin < places[0]

    run(scenario, topic_events=1, topic_seconds=0)


def test_the_place_of_an_update_that_left_a_hole_is_known(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        *_, hole, last = await publish(broker, *map(update, ("b", "a1", "a2")))
        for place in (BEGIN, hole, last, Place(hole.ms - 1, 3)):
            assert (await broker.read(place, 10)).is_known
            assert (await broker.read(place, 10, reader=public("c"))).is_known
        assert not (await broker.read(Place(last.ms, last.seq + 1), 10)).is_known

    run(scenario, topic_events=1, topic_seconds=0)


def test_an_id_is_free_again_when_its_update_has_left_a_hole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("b"))
        for data in ("a1", "a2"):
            await broker.publish(update(data, own_id=data))
            await publish(broker, update("c"))
        assert await broker.find("a1") == []
        assert [known.topics for known in await broker.find("a2")] == [("a",)]
        await broker.publish(update("a1", own_id="a1"))
        [record] = (await broker.read(BEGIN, 10, reader=public("a"))).records
        assert (record.own_id, record.repeats) == ("a1", False)

    run(scenario, topic_events=1, topic_seconds=0)


def test_an_update_leaves_the_topic_alone_that_is_not_its_first(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        shared, _ = await publish(broker, update("1", "b", "a"), update("a2"))
        assert await log_of(broker) == ["1", "a2"]
        assert await lane_of(broker, public("a")) == ["a2"]
        assert await lane_of(broker, public("b")) == ["1"]
        assert await floor_of(broker, public("a")) == shared
        for reader in (None, public("b"), Reader(None)):
            assert await floor_of(broker, reader) == begin
        await publish(broker, update("b2"))
        assert await log_of(broker) == ["a2", "b2"]
        assert await floor_of(broker) == shared

    run(scenario, topic_events=1, topic_seconds=0)


def test_an_update_that_leaves_the_history_leaves_each_of_its_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        first, *_ = await publish(
            broker, update("1", "a", "b", "c"), update("b2", "b"), update("a2")
        )
        assert await log_of(broker) == ["b2", "a2"]
        assert await lane_of(broker, public("a", "b", "c")) == ["b2", "a2"]
        for topic in "abc":
            assert await floor_of(broker, public(topic)) == first

    run(scenario, topic_events=1, topic_seconds=0)


def test_a_private_update_that_leaves_one_topic_may_be_missed_by_readers_of_others(
    run: Run,
) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        shared, _ = await publish(
            broker, update("1", "b", "a", private=True), update("a2", private=True)
        )
        assert await log_of(broker) == ["1", "a2"]
        assert await floor_of(broker, covering("a")) == shared
        assert await floor_of(broker, holding("a")) == shared
        for reader in (public("a"), covering("b"), Reader(None, has_rights=True)):
            assert await floor_of(broker, reader) == begin

    run(scenario, topic_events=1, topic_seconds=0)


def test_public_and_private_updates_of_a_topic_count_apart(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        kinds = {"a1": True, "a2": False, "a3": True, "a4": False, "a5": False}
        places = await publish(broker, *(update(data, private=kinds[data]) for data in kinds))
        assert await log_of(broker) == ["a1", "a3", "a4", "a5"]
        assert await floor_of(broker, public("a")) == places[1]
        assert await floor_of(broker, Reader(None)) == places[1]
        assert await floor_of(broker, covering("b")) == begin

    run(scenario, topic_events=2, topic_seconds=0)


def test_a_topics_updates_that_are_young_stay_beyond_its_bound(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        await publish(broker, *map(update, ("a1", "b1", "a2", "a3")))
        await broker.trim()
        assert await log_of(broker) == ["a1", "b1", "a2", "a3"]
        assert await floor_of(broker) == begin

    run(scenario, topic_events=1, topic_seconds=3600)


def test_one_topic_does_not_push_another_ones_updates_out(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        await publish(broker, update("b1"), *(update(f"a{n}") for n in range(40)), update("b2"))
        assert await log_of(broker) == ["b1", "a37", "a38", "a39", "b2"]
        assert await floor_of(broker, public("b")) == begin

    run(scenario, events=6, topic_events=3, topic_seconds=0)


def test_a_topic_beyond_the_bound_of_the_index_raises_the_floor_of_unknown_topics(
    run: Run,
) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        oldest, second, *_ = await publish(broker, *map(update, ("a", "b1", "b2", "c")))
        # No topic was without updates, so the oldest update had to leave.
        assert await log_of(broker) == ["b1", "b2", "c"]
        for topic in "ax":
            assert await floor_of(broker, public(topic)) == oldest
        for topic in "bc":
            assert await floor_of(broker, public(topic)) == begin
        # The floor of private updates is another one.
        assert await floor_of(broker, Reader(("a", "x"), frozenset("x"))) == oldest
        assert await floor_of(broker, Reader(("b", "c"), frozenset("bc"))) == begin
        await publish(broker, update("d"))
        # Both updates of the next topic had to leave, until it had none.
        assert await log_of(broker) == ["c", "d"]
        for topic in "abx":
            assert await floor_of(broker, public(topic)) > second
        assert await floor_of(broker, public("c")) == begin

    run(scenario, topics=2)


def test_a_topic_that_comes_back_into_the_index_has_the_floor_of_unknown_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        oldest, *_ = await publish(broker, *map(update, ("a", "b", "c")))
        for topic in "ax":
            assert await floor_of(broker, public(topic)) == oldest
        await publish(broker, update("x"))
        assert await log_of(broker) == ["c", "x"]
        # By now unknown topics have a later floor.
        assert await floor_of(broker, public("x")) == oldest < await floor_of(broker, public("y"))

    run(scenario, topics=2)


def test_a_private_topic_has_the_floor_of_unknown_private_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        public_ones = [update("a"), update("b")]
        private_ones = [update(letter, private=True) for letter in "cdex"]
        places = await publish(broker, *public_ones, *private_ones)
        assert await log_of(broker) == ["e", "x"]
        assert await floor_of(broker, public("y")) == places[1]
        assert await floor_of(broker, covering("x")) == places[2]
        assert await floor_of(broker, covering("y")) == places[3]

    run(scenario, topics=2)


def test_topics_without_updates_leave_the_index_first_those_with_the_lowest_floor(
    run: Run,
) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        places = await publish(broker, *map(update, ("a1", "b1", "c1", "c2", "d1")))
        assert await log_of(broker) == ["c2", "d1"]
        # The index has b, c and d.
        for topic in "ax":
            assert await floor_of(broker, public(topic)) == places[0]
        assert await floor_of(broker, public("b")) == places[1]
        assert await floor_of(broker, public("c")) == places[2]
        assert await floor_of(broker, public("d")) == begin

    run(scenario, events=2, topics=3)


def test_the_floor_of_unknown_topics_never_goes_back(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        _, forgotten = await publish(broker, update("a"), update("z", end=0.001))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await log_of(broker) != ["a"]:
                await broker.trim()
        await publish(broker, update("b"))
        assert await floor_of(broker, public("x")) == forgotten
        await publish(broker, update("c"))
        # The older update has left too, and its topic with it.
        assert await log_of(broker) == ["b", "c"]
        for topic in "axz":
            assert await floor_of(broker, public(topic)) == forgotten

    run(scenario, topics=2)


def test_public_and_private_topics_have_unknown_ones_of_their_own(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        hidden, *_ = await publish(broker, update("a", private=True), update("b"), update("c"))
        assert await log_of(broker) == ["b", "c"]
        assert await floor_of(broker, covering("x")) == hidden
        for reader in (public("x"), holding("x"), public("a"), Reader(None)):
            assert await floor_of(broker, reader) == begin

    run(scenario, topics=2)


def test_a_topic_takes_part_of_the_bytes_of_the_history(run: Run, weigh: Weigh) -> None:
    given = [update(f"{n}", f"topic/{n}") for n in range(20)]

    async def scenario(broker: Broker) -> None:
        for each in given:
            await broker.publish(each)
        assert await log_of(broker) == [f"{n}" for n in range(1, 20)]

    run(scenario, size=weigh(*given) - 1)


def test_each_topic_of_an_update_takes_part_of_the_bytes_of_the_history(
    run: Run, weigh: Weigh
) -> None:
    topics = [f"topic/{n}" for n in range(50)]
    given = [update(f"{n}", *topics) for n in range(20)]

    async def scenario(broker: Broker) -> None:
        for each in given:
            await broker.publish(each)
        assert await log_of(broker) == [f"{n}" for n in range(1, 20)]

    run(scenario, size=weigh(*given) - 1)


def test_updates_are_found_by_their_places_in_the_order_of_places(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        places = await publish(broker, *map(update, ("a", "b", "c", "d")))
        asked = [places[3], places[0], places[2], Place(1, 1), places[1], places[2]]
        assert texts(await broker.at(asked)) == ["b", "c", "d"]
        assert await broker.at([]) == await broker.at(places[:1]) == []
        records = (await broker.read(BEGIN, 10)).records
        assert await broker.at(places) == records

    run(scenario, events=3)


def test_topics_without_updates_do_not_push_updates_out(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        # Their lanes would take more than the whole history may.
        for n in range(5000):
            await broker.publish(update(f"{n}", f"topic/{n}"))
        assert len(await log_of(broker)) == 50

    run(scenario, events=50, size=1024 * 1024)
