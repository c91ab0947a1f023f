"""What every broker promises of an id that a publisher uses again."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barestream.history.broker import MOST_FOUND, Broker
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.update import Update
from barestream.mercure.sse import Event
from support.judges.published import data_of, id_of, update_of

Run = Callable[..., None]
Weigh = Callable[..., int]


def update(data: str = "data", event_id: str | None = None) -> Update:
    return Update(("topic",), Event(data, event_id))


async def all_records(broker: Broker) -> list[Record]:
    return (await broker.read(BEGIN, 10_000)).records


def texts(records: list[Record]) -> list[str]:
    return [data_of(record) for record in records]


def known(*records: Record) -> list[Known]:
    """Return the answer of a broker that is asked for the id of all these records."""
    return [Known(record.place, record.topics, record.private) for record in records]


def test_the_same_update_under_the_same_id_is_kept_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        answers = [await broker.publish(update(event_id="a")) for _ in range(3)]
        answers += await asyncio.gather(*(broker.publish(update(event_id="b")) for _ in range(3)))
        assert answers == ["a"] * 3 + ["b"] * 3
        assert [id_of(record) for record in await all_records(broker)] == ["a", "b"]

    run(scenario)


@pytest.mark.parametrize(
    "other",
    [
        Update(("t",), Event("other", "id", "type", 5)),
        Update(("t",), Event("data", "id", "other", 5)),
        Update(("t",), Event("data", "id", None, 5)),
        Update(("t",), Event("data", "id", "type", 6)),
        Update(("t",), Event("data", "id", "type")),
        Update(("t", "u"), Event("data", "id", "type", 5)),
        Update(("t",), Event("data", "id", "type", 5), private=True),
    ],
)
def test_other_content_under_a_used_id_is_a_new_update(run: Run, other: Update) -> None:
    async def scenario(broker: Broker) -> None:
        first = Update(("t",), Event("data", "id", "type", 5))
        assert [await broker.publish(each) for each in (first, other, other)] == ["id"] * 3
        records = await all_records(broker)
        assert [update_of(record) for record in records] == [first, other]
        assert await broker.find("id") == known(*records)

    run(scenario)


def test_only_the_newest_update_under_an_id_counts_as_sent_again(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for text in ("one", "two", "two", "one", "one", "three", "two", "two"):
            assert await broker.publish(update(text, "id")) == "id"
        assert texts(await all_records(broker)) == ["one", "two", "one", "three", "two"]

    run(scenario)


def test_of_updates_that_race_for_an_id_each_is_kept_once(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        racers = (broker.publish(update(text, "id")) for text in ("one", "one", "two", "two"))
        assert await asyncio.gather(*racers) == ["id"] * 4
        assert texts(await all_records(broker)) == ["one", "two"]

    run(scenario)


def test_a_record_says_whether_the_history_had_its_id_before(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for text, event_id in (("1", "a"), ("2", "b"), ("3", "a"), ("4", None), ("5", "a")):
            await broker.publish(update(text, event_id))
        for page in (await broker.read(BEGIN, 10), await broker.newest(10, 10_000)):
            assert texts([record for record in page.records if record.repeats]) == ["3", "5"]

    run(scenario)


def test_an_id_is_free_again_when_its_updates_have_left_the_history(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for text in ("old", "older no more"):
            await broker.publish(update(text, "id"))
        for text in "ab":
            await broker.publish(update(text))
        assert await broker.find("id") == []
        assert await broker.publish(update("old", "id")) == "id"
        newest = (await all_records(broker))[-1]
        assert (data_of(newest), newest.repeats) == ("old", False)
        assert await broker.find("id") == known(newest)

    run(scenario, events=2)


def test_the_updates_of_an_id_are_found_a_few_at_a_time_oldest_first(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(2 * MOST_FOUND + 1):
            await broker.publish(update(f"{n}", "id"))
            # Neither an id that begins or ends like it, nor a NUL, leads to another's updates.
            for other in ("i", "id0", "id "):
                await broker.publish(update(f"{n}", other))
        records = [each for each in await all_records(broker) if each.own_id == "id"]
        first = await broker.find("id")
        assert first == known(*records[:MOST_FOUND])
        second = await broker.find("id", first[-1].place)
        assert second == known(*records[MOST_FOUND : 2 * MOST_FOUND])
        assert await broker.find("id", second[-1].place) == known(records[-1])
        assert await broker.find("id", records[-1].place) == []
        assert await broker.find("id", Place(10**15 - 1, 10**20 - 1)) == []
        for absent in ("id\0", f"id\0{records[0].place}", "\0"):
            assert await broker.find(absent) == []

    run(scenario)


def test_the_place_after_which_an_id_is_sought_may_be_before_its_only_update(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        before = Place.parse(await broker.publish(update()))
        await broker.publish(update("x", "id"))
        record = (await all_records(broker))[-1]
        assert await broker.find("id", before) == known(record)
        assert await broker.find("id", record.place) == []

    run(scenario)


def test_sequence_numbers_of_more_digits_come_later(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        # All of them come in the millisecond after this one, which is far ahead.
        last = Place.parse(await broker.publish(update()))
        await broker.move_on(Place(last.ms + 60_000, 7))
        for n in range(12):
            await broker.publish(update(f"{n}", "id"))
        records = [each for each in await all_records(broker) if each.own_id == "id"]
        assert len({record.place.ms for record in records}) == 1
        assert len({len(str(record.place.seq)) for record in records}) == 2
        found = await broker.find("id")
        assert found + await broker.find("id", found[-1].place) == known(*records)

    run(scenario)


def test_a_repeated_id_counts_towards_the_byte_limit(run: Run, weigh: Weigh) -> None:
    async def scenario(broker: Broker) -> None:
        for n in range(50):
            await broker.publish(update(f"{n:02}", "id"))
        records = await all_records(broker)
        assert weigh(*map(update_of, records)) <= most_bytes
        assert len(records) >= 9

    most_bytes = 10 * weigh(update("00", "id"))
    run(scenario, size=most_bytes)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.none() | st.sampled_from("ab")), max_size=40),
    st.integers(1, 8),
)
def test_after_any_course_of_publishes_ids_lead_to_the_updates_that_the_history_has(
    run: Run, course: list[tuple[str, str | None]], events: int
) -> None:
    async def scenario(broker: Broker) -> None:
        model: list[tuple[str, str | None, bool]] = []
        for text, event_id in course:
            await broker.publish(update(text, event_id))
            same = [data for data, each, _ in model[-events:] if each and each == event_id]
            if not same or same[-1] != text:
                model.append((text, event_id, bool(same)))
            records = await all_records(broker)
            seen = [(data_of(each), each.own_id, each.repeats) for each in records]
            assert seen == model[-events:]
            by_id = defaultdict(list)
            for record in records:
                by_id[record.own_id].append(record)
            for each in "ab":
                assert await broker.find(each) == known(*by_id[each])

    run(scenario, events=events)
