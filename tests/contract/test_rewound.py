"""What every broker promises of the newest updates of topics."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from barestream.history.broker import Broker
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Newest, Rewind
from barestream.history.update import Update
from support.judges.published import data_of
from topic_updates import FOREVER, floor_of, publish, texts, update

Run = Callable[..., None]


async def rewound(
    broker: Broker, topics: Sequence[str], most_events: int = 100, **of_each: float
) -> dict[str, tuple[str, str]]:
    """Return the data of the public updates of each topic, and of the private ones.

    The data of each update is one character, or its last one counts.
    """
    answer = await broker.rewound(topics, Rewind(**of_each), most_events, all_kept=False)

    async def data(places: Sequence[Place]) -> str:
        assert list(places) == sorted(places)
        return "".join(text[-1] for text in texts(await broker.at(places)))

    return {
        topic: (await data(newest.public), await data(newest.private))
        for topic, newest in answer.newest.items()
    }


def in_turn(letter: str, count: int, **other: bool) -> list[Update]:
    return [update(f"{letter}{n}", **other) for n in range(1, count + 1)]


def test_the_newest_updates_of_each_topic_are_returned_public_and_private_ones_apart(
    run: Run,
) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, *in_turn("a", 5), *in_turn("b", 2), *in_turn("a", 4, private=True))
        expected = {"a": ("345", "234"), "b": ("12", ""), "c": ("", "")}
        assert await rewound(broker, ["a", "b", "c"], events=3) == expected
        assert await rewound(broker, ["a"], events=1) == {"a": ("5", "4")}
        assert await rewound(broker, ["a"], events=0) == {"a": ("", "")}
        assert await rewound(broker, [], events=3) == {}

    run(scenario)


def test_an_update_is_among_the_newest_of_each_of_its_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("1", "a", "b"), update("2", "b"), update("3", "c", "a"))
        expected = {"a": ("13", ""), "b": ("12", ""), "c": ("3", "")}
        assert await rewound(broker, ["a", "b", "c"], events=3) == expected

    run(scenario)


def test_more_than_the_most_are_asked_for_and_cut(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, *in_turn("a", 5), *in_turn("b", 3), *in_turn("c", 5, private=True))
        topics = ["a", "b", "c"]
        whole = {"a": ("345", ""), "b": ("123", ""), "c": ("", "345")}
        cut = {"a": ("345", ""), "b": ("123", ""), "c": ("", "345")}
        assert await rewound(broker, topics, 3, events=3) == whole
        assert await rewound(broker, topics, 3, events=4) == cut
        assert await rewound(broker, topics, 3, seconds=3600) == cut

    run(scenario)


def test_the_updates_of_the_last_seconds_are_returned(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        *_, last = await publish(broker, *in_turn("a", 3), *in_turn("a", 2, private=True))
        assert await rewound(broker, ["a", "b"], seconds=3600) == {
            "a": ("123", "12"),
            "b": ("", ""),
        }
        while time.time() * 1000 < last.ms + 20:
            await asyncio.sleep(0.001)
        assert await rewound(broker, ["a"], seconds=0.01) == {"a": ("", "")}

    run(scenario)


def test_the_updates_after_the_kept_value_are_returned(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(
            broker,
            update("a1"),
            update("a2", private=True),
            update("a3", keep=FOREVER),
            update("a4"),
            update("a5", private=True),
            update("6", "b", "a"),
            update("b7"),
        )
        answer = await broker.rewound(["a", "b"], Rewind(kept=True), 100, all_kept=False)
        assert {topic: data_of(record) for topic, record in answer.kept.items()} == {"a": "a3"}
        # Without a kept value there is none after it.
        assert await rewound(broker, ["a", "b"], kept=True) == {
            "a": ("46", "5"),
            "b": ("", ""),
        }
        assert await rewound(broker, ["a"], 2, kept=True) == {"a": ("46", "5")}
        assert await rewound(broker, ["a"], 1, kept=True) == {"a": ("6", "5")}

    run(scenario)


def test_the_updates_after_a_kept_value_that_has_left_the_log_are_all(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, update("a1", keep=FOREVER), *in_turn("a", 3))
        assert await rewound(broker, ["a"], kept=True) == {"a": ("23", "")}

    run(scenario, events=2)


@pytest.mark.parametrize("rewind", [Rewind(events=5), Rewind(seconds=5), Rewind(kept=True)])
def test_kept_values_come_with_each_form_of_rewind(run: Run, rewind: Rewind) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, *(update(letter, keep=FOREVER) for letter in "abc"))
        one = await broker.rewound(["a", "x"], rewind, 100, all_kept=False)
        assert [*one.kept] == ["a"]
        every = await broker.rewound(["a", "x"], rewind, 100, all_kept=True)
        assert sorted(every.kept) == ["a", "b", "c"]
        assert sorted(every.newest) == ["a", "x"]

    run(scenario)


def test_it_says_up_to_where_the_history_went_at_that_moment(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        begin = await floor_of(broker)
        nothing = await broker.rewound(["a"], Rewind(events=5), 100, all_kept=True)
        [(_, empty)] = nothing.newest.items()
        assert (nothing.upto, nothing.kept) == (begin, {})
        assert (list(empty.public), list(empty.private)) == ([], [])
        assert empty.floors == (begin, begin)
        *_, last = await publish(broker, update("a"), update("b"))
        assert (await broker.rewound([], Rewind(events=5), 100, all_kept=False)).upto == last
        assert (await broker.rewound(["a"], Rewind(kept=True), 100, all_kept=False)).upto == last

    run(scenario)


def test_updates_that_left_the_history_or_the_topic_are_not_among_the_newest(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await publish(broker, *in_turn("a", 4), update("5", "b", "a"), update("a6"), update("a7"))
        assert await rewound(broker, ["a", "b"], events=5) == {
            "a": ("67", ""),
            "b": ("5", ""),
        }
        places = [record.place for record in (await broker.read(BEGIN, 10)).records]
        answer = await broker.rewound(["a"], Rewind(events=5), 100, all_kept=False)
        assert isinstance(answer.newest["a"], Newest)
        assert list(answer.newest["a"].public) == places[1:]

    run(scenario, topic_events=2, topic_seconds=0)
