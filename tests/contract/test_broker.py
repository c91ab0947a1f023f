"""The promises of every broker."""

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barestream.history.broker import Broker
from barestream.history.record import Known, Place, Record
from barestream.history.update import Update
from barestream.mercure.sse import Event
from support.judges.published import data_of, id_of, update_of
from support.servers.service import PATIENCE_SECONDS

Run = Callable[..., None]
Weigh = Callable[..., int]

BEGIN = Place(0, 0)


def update(data: str = "data", event_id: str | None = None, **other: object) -> Update:
    return Update(("https://example.com/books/1",), Event(data, event_id, **other))


async def publish_all(broker: Broker, *texts: str) -> list[str]:
    return [await broker.publish(update(text)) for text in texts]


async def all_records(broker: Broker) -> list[Record]:
    return (await broker.read(BEGIN, 10_000, 10**9)).records


def known(record: Record) -> Known:
    """Return the answer of a broker that is asked for the record's id."""
    return Known(record.place, record.topics, record.private)


def texts(records: list[Record]) -> list[str]:
    return [data_of(record) for record in records]


def told(records: list[Record]) -> list[str]:
    """Return the texts of the records, without the entries that report lost updates."""
    return texts([record for record in records if record.topics])


def test_a_published_update_is_answered_with_the_id_that_its_readers_see(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        placed, own = await broker.publish(update()), await broker.publish(update(event_id="own"))
        records = await all_records(broker)
        assert [id_of(record) for record in records] == [placed, own]
        assert Place.parse(placed) == records[0].place
        assert own == "own"

    run(scenario)


def test_a_page_ends_with_the_update_that_reaches_its_byte_limit(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish_all(broker, *(letter * 10_000 for letter in "abcdef"), *"ghij")
        page = await broker.read(BEGIN, 100, 25_000)
        assert [text[0] for text in texts(page.records)] == ["a", "b", "c"]
        page = await broker.read(page.records[-1].place, 100, 1)
        assert [text[0] for text in texts(page.records)] == ["d"]
        page = await broker.wait(page.records[-1].place, 100, 25_000)
        assert [text[0] for text in texts(page.records)] == ["e", "f", *"ghij"]
        assert (await broker.read(BEGIN, 0)).records == []

    run(scenario)


def test_a_fresh_history_is_empty_and_its_floor_is_the_present(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        page = await broker.read(BEGIN, 10)
        assert page.records == []
        # The history in memory began some moments ago.
        assert abs(page.floor.ms - time.time() * 1000) <= 1000
        assert await broker.newest(10, 1000) == page
        assert await broker.find("id") == []

    run(scenario)


def test_the_first_update_comes_after_the_floor(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        floor = (await broker.read(BEGIN, 10)).floor
        await broker.publish(update())
        page = await broker.read(floor, 10)
        assert page.floor == floor
        assert len(page.records) == 1

    run(scenario)


def test_updates_of_a_publisher_that_awaits_its_answers_keep_their_order(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        async def publisher(name: str) -> None:
            for n in range(50):
                await broker.publish(update(f"{name}{n}"))

        names = "abcdefgh"
        await asyncio.gather(*map(publisher, names))
        records = await all_records(broker)
        assert [record.place for record in records] == sorted(record.place for record in records)
        for name in names:
            own = [text for text in texts(records) if text.startswith(name)]
            assert own == [f"{name}{n}" for n in range(50)]

    run(scenario)


def test_updates_given_to_one_worker_at_once_keep_their_order(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [f"{n}" for n in range(600)]
        await asyncio.gather(*(broker.publish(update(text)) for text in given))
        assert texts(await all_records(broker)) == given

    run(scenario)


def test_an_update_is_found_by_its_publishers_id_and_by_no_other(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ids = ["plain", 'a "quoted" id, with \\ and {braces}', " ", "#1-1", "-", "1-1 x", "~!%d%s"]
        for event_id in ids:
            await broker.publish(update(f"data of {event_id}", event_id))
        placed = await broker.publish(update())
        for event_id in ids:
            [record] = [each for each in await all_records(broker) if id_of(each) == event_id]
            assert update_of(record) == update(f"data of {event_id}", event_id)
            assert await broker.find(event_id) == [known(record)]
        for absent in ("other", "", placed, "plain ", "plain\0", "\udc80"):
            assert await broker.find(absent) == []

    run(scenario)


def test_beyond_the_count_limit_the_oldest_updates_are_removed(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ids = await publish_all(broker, *"abcde")
        page = await broker.read(BEGIN, 10)
        assert texts(page.records) == ["c", "d", "e"]
        assert page.floor == Place.parse(ids[1])

    run(scenario, events=3)


def test_beyond_the_byte_limit_the_oldest_updates_are_removed(run: Run, weigh: Weigh) -> None:
    async def scenario(broker: Broker) -> None:
        ids = await publish_all(broker, *("é" * 50 for _ in range(5)))
        page = await broker.read(BEGIN, 10)
        assert [str(record.place) for record in page.records] == ids[2:]
        assert page.floor == Place.parse(ids[1])

    run(scenario, size=weigh(*[update("é" * 50)] * 3))


def test_an_id_and_a_type_count_towards_the_byte_limit(run: Run, weigh: Weigh) -> None:
    whole = Update(("é", "u"), Event("d" * 10, "i" * 10, "t" * 10, 5))

    async def scenario(broker: Broker) -> None:
        await broker.publish(whole)
        await broker.publish(update(""))
        assert len(await all_records(broker)) == 1

    run(scenario, size=weigh(whole, update("")) - 1)


def test_small_updates_count_with_their_memory_and_not_only_with_their_text(
    run: Run, weigh: Weigh
) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(100):
            await broker.publish(update("", f"{n}"))
        kept = [update_of(record) for record in await all_records(broker)]
        assert weigh(*kept) <= 10_000 < weigh(*kept, kept[0])
        # By their text alone, all of them would fit.
        assert sum(each.size_bytes for each in kept) * 100 / len(kept) < 10_000

    run(scenario, size=10_000)


def test_an_update_that_is_larger_than_the_history_becomes_its_only_one(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ids = await publish_all(broker, "a", "b" * 2000)
        page = await broker.read(BEGIN, 10)
        assert [str(record.place) for record in page.records] == ids[1:]
        assert page.floor == Place.parse(ids[0])

    run(scenario, size=1000)


def test_updates_that_are_too_old_are_removed_with_the_next_update(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ids = await publish_all(broker, "a", "b")
        await asyncio.sleep(0.6)
        await publish_all(broker, "c")
        page = await broker.read(BEGIN, 10)
        assert texts(page.records) == ["c"]
        assert page.floor == Place.parse(ids[1])

    run(scenario, seconds=0.5)


def test_updates_that_are_too_old_are_removed_without_a_publish_too(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish(update("a", "a"))
        last = await broker.publish(update("b"))
        await broker.trim()
        assert len(await all_records(broker)) == 2
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (page := await broker.newest(10, 1000)).records:
                await broker.trim()
        assert page.floor == Place.parse(last)
        assert await broker.find("a") == []
        await broker.trim()
        assert (await broker.read(BEGIN, 1)).floor == page.floor

    # Everything up to the first read takes less than this, on a loaded machine too.
    run(scenario, seconds=3)


def test_each_kind_of_trim_keeps_the_counts_right(run: Run, weigh: Weigh) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(300):
            await broker.publish(update("x" * (n % 7), f"{n}" if n % 2 else None))
        kept = await all_records(broker)
        updates = [update_of(record) for record in kept]
        assert weigh(*updates) <= most_bytes < weigh(*updates, update("x" * 6, "100"))
        for n in range(300):
            found = await broker.find(f"{n}")
            assert bool(found) == (f"{n}" in {id_of(record) for record in kept})

    most_bytes = 12 * weigh(update("xxx", "100"))
    run(scenario, size=most_bytes)


def test_a_page_read_from_a_place_after_the_floor_has_that_place_as_its_floor(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        places = [Place.parse(event_id) for event_id in await publish_all(broker, *"abcd")]
        page = await broker.read(places[1], 10)
        assert page.floor == places[1]
        assert texts(page.records) == ["c", "d"]
        page = await broker.read(places[0], 2)
        assert texts(page.records) == ["b", "c"]
        assert await broker.read(places[3], 10) == (places[3], [], True, places[3])

    run(scenario)


def test_a_place_is_known_if_it_is_that_of_an_update_or_before_the_history(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = (await broker.read(BEGIN, 0)).floor
        first, *_, last = [Place.parse(each) for each in await publish_all(broker, *"abcd")]
        floor = (await broker.read(BEGIN, 0)).floor
        for place in (BEGIN, begin, first, Place(floor.ms - 1, 2**64 - 1), floor, last):
            assert (await broker.read(place, 10)).is_known
        for place in (Place(last.ms, last.seq + 1), Place(last.ms + 60_000, 0)):
            assert await broker.read(place, 10) == (place, [], False, place)
        await broker.move_on(Place(last.ms + 60_000, 0))
        await publish_all(broker, "e")
        page = await broker.read(Place(last.ms + 30_000, 0), 10)
        assert (told(page.records), page.is_known) == (["e"], False)

    run(scenario, events=2)


def test_updates_get_places_after_the_one_that_the_history_has_to_move_on_from(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        last = Place.parse(await broker.publish(update("a")))
        ahead = Place(last.ms + 60_000, 7)
        for place in (ahead, last, ahead):
            await broker.move_on(place)
        after = Place.parse(await broker.publish(update("b")))
        assert after > ahead
        page = await broker.read(BEGIN, 10)
        assert told(page.records) == ["a", "b"]

    run(scenario)


@pytest.mark.parametrize("seq", [2**64 - 1, 10**20 - 1])
def test_a_read_may_start_at_a_place_that_no_history_ever_gave(run: Run, seq: int) -> None:
    async def scenario(broker: Broker) -> None:
        await publish_all(broker, "a")
        assert texts((await broker.read(Place(1, seq), 10)).records) == ["a"]
        assert (await broker.read(Place(10**15 - 1, seq), 10)).records == []

    run(scenario)


def test_the_newest_updates_are_bounded_by_count_and_their_floor_is_the_place_before(
    run: Run,
) -> None:
    async def scenario(broker: Broker) -> None:
        places = [Place.parse(event_id) for event_id in await publish_all(broker, *"abcd")]
        begin = (await broker.read(BEGIN, 1)).floor
        for most, expected in ((0, ""), (1, "d"), (3, "bcd"), (4, "abcd"), (9, "abcd")):
            page = await broker.newest(most, 10_000)
            assert texts(page.records) == list(expected)
            assert page.floor == ([begin] * 6 + places)[-1 - most]

    run(scenario)


def test_the_newest_updates_are_bounded_by_bytes_but_at_least_one_is_returned(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        places = [Place.parse(event_id) for event_id in await publish_all(broker, *"abcd")]
        one = update("a").size_bytes
        for most, expected in ((0, "d"), (one, "d"), (2 * one - 1, "d"), (2 * one, "cd")):
            page = await broker.newest(10, most)
            assert texts(page.records) == list(expected)
            assert page.floor == places[-1 - len(expected)]

    run(scenario)


def test_a_long_history_is_returned_whole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [f"{n}" for n in range(500)]
        await asyncio.gather(*(broker.publish(update(text)) for text in given))
        for most in (99, 100, 101, 200, 499, 500):
            assert texts((await broker.newest(most, 1_000_000)).records) == given[-most:]

    run(scenario)


def test_a_wait_ends_as_soon_as_an_update_is_accepted(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(update("before")))
        waiters = [asyncio.create_task(broker.wait(place, 10)) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert not any(waiter.done() for waiter in waiters)
        start = time.monotonic()
        await broker.publish(update("now"))
        for page in await asyncio.gather(*waiters):
            assert page.floor == place
            assert texts(page.records) == ["now"]
        assert time.monotonic() - start < 1

    run(scenario)


def test_a_wait_for_existing_updates_returns_at_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(update()))
        await publish_all(broker, *"abc")
        start = time.monotonic()
        page = await broker.wait(place, 2)
        assert (page.floor, texts(page.records)) == (place, ["a", "b"])
        assert time.monotonic() - start < 1

    run(scenario)


def test_a_wait_without_a_new_update_ends_empty_and_can_be_cancelled(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(update()))
        cancelled = asyncio.create_task(broker.wait(place, 10))
        start = time.monotonic()
        await asyncio.sleep(0.1)
        cancelled.cancel()
        assert await broker.wait(place, 10) == (place, [], True, place)
        assert 4 < time.monotonic() - start < 7
        assert cancelled.cancelled()

    run(scenario)


def test_the_floor_of_a_wait_shows_that_updates_left_the_history(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        ids = await publish_all(broker, *"abcde")
        page = await broker.wait(Place.parse(ids[0]), 10)
        assert page.floor == Place.parse(ids[2])
        assert texts(page.records) == ["d", "e"]

    run(scenario, events=2)


def test_the_floor_of_a_wait_shows_that_an_update_left_its_crowded_topic(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(Update(("other",), Event("before"))))
        ids = await publish_all(broker, *"abc")
        page = await broker.wait(place, 10)
        # The history still has the update at the place, but not the next one.
        assert page.is_known
        assert page.floor == Place.parse(ids[0])
        assert texts(page.records) == ["b", "c"]

    run(scenario, topic_events=2, topic_seconds=0)


def test_a_wait_returns_all_that_came_at_once_however_much_it_is(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(update("before")))
        for count in (1, 15, 16, 17, 40, 1):
            waiter = asyncio.create_task(broker.wait(place, 100))
            await asyncio.sleep(0.05)
            await broker.publish_all([update(f"{n}") for n in range(count)])
            page = await waiter
            assert (page.floor, page.upto) == (place, page.records[-1].place)
            assert texts(page.records) == [f"{n}" for n in range(count)]
            place = page.upto

    run(scenario)


def test_a_wait_ends_with_the_update_that_reaches_its_byte_limit(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        place = Place.parse(await broker.publish(update("before")))
        waiter = asyncio.create_task(broker.wait(place, 100, 2_500))
        await asyncio.sleep(0.05)
        await broker.publish_all([update("x" * 1_000) for _ in range(5)])
        assert len((await waiter).records) == 3

    run(scenario)


async def churn(broker: Broker, updates: int) -> None:
    for first in range(0, updates, 20):
        await asyncio.gather(*(broker.publish(update(f"{n}")) for n in range(first, first + 20)))
        await asyncio.sleep(0)


def is_a_run(records: list[Record]) -> bool:
    numbers = [int(text) for text in texts(records)]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


def test_pages_read_while_a_publisher_trims_have_no_unreported_hole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        publisher = asyncio.create_task(churn(broker, 2000))
        place = (await broker.read(BEGIN, 1)).floor
        last = -1
        gaps = 0
        while last < 1999:
            page = await broker.read(place, 3)
            assert is_a_run(page.records)
            if page.floor > place:
                gaps += 1
            elif page.records:
                assert int(data_of(page.records[0])) == last + 1
            if page.records:
                place = page.records[-1].place
                last = int(data_of(page.records[-1]))
            await asyncio.sleep(0)
        await publisher
        assert gaps

    run(scenario, events=50)


def test_the_newest_updates_and_later_waits_leave_no_hole_while_a_publisher_trims(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        publisher = asyncio.create_task(churn(broker, 3000))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (await broker.newest(1, 1000)).records:
                await asyncio.sleep(0)
        for most in (1000, 150, 3):
            page = await broker.newest(most, 1_000_000)
            assert is_a_run(page.records)
            assert page.floor < page.records[0].place
            # The floor promises that a reader with everything up to it misses nothing.
            again = await broker.read(page.floor, 1)
            assert again.floor > page.floor or again.records[0] == page.records[0]
            records = page.records
            for _ in range(20):
                followed = await broker.wait(records[-1].place, 1000)
                assert followed.floor == records[-1].place
                records += followed.records
                assert is_a_run(records)
        await publisher

    run(scenario, events=400)


# An event that can be encoded: no CR, LF or NUL in its type.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)
TYPE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=50)
ID = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=50)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.builds(
            Update,
            st.lists(TEXT, min_size=1, max_size=4).map(tuple),
            st.builds(
                Event, TEXT, st.none() | ID, st.none() | TYPE, st.none() | st.integers(0, 2**40)
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda given: given.event.id or object(),
    )
)
def test_an_update_is_read_as_it_was_published(run: Run, updates: list[Update]) -> None:
    async def scenario(broker: Broker) -> None:
        ids = [await broker.publish(given) for given in updates]
        records = await all_records(broker)
        kept = zip(updates, records, strict=True)
        assert [given.at(record.place) for given, record in kept] == records
        assert [id_of(record) for record in records] == ids
        for record in records:
            if record.own_id:
                assert await broker.find(record.own_id) == [known(record)]

    run(scenario)


def test_a_large_update_is_kept_whole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        large = [update(f"{n}" * 2_000_000) for n in range(3)]
        await asyncio.gather(*map(broker.publish, large))
        assert [update_of(record) for record in await all_records(broker)] == large

    run(scenario, size=10_000_000)


def test_a_broker_can_be_closed_unused_and_twice(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        # Running a scenario closes it once more.
        await broker.close()

    run(scenario)
