import math
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from barestream.delivery.rewind_choice import MOST_FETCHED, MOST_KEPT_MATCHED, choose
from barestream.history.record import Place
from barestream.history.topic_state import Rewind
from rewinds import World, asking, played, texts

FOREVER = math.inf
KEPT = Rewind(kept=True)


class Chosen(NamedTuple):
    """What a rewind has: the data of its updates, and of those that are kept values."""

    data: list[str]
    kept: list[str]
    is_cut: bool


def chosen(
    publishing: Callable[[World], Awaitable[Any]],
    *topics: str,
    rewind: Rewind = Rewind(events=10),  # noqa: B008 (it is immutable)
    readable: tuple[str, ...] = (),
    most_events: int = 100,
    **bounds: Any,
) -> Chosen:
    """Return the choice for topics after some publishes."""

    async def scenario() -> Chosen:
        world = World(**bounds)
        await publishing(world)
        choice = await choose(world.tail, asking(*topics, readable=readable), rewind, most_events)
        assert list(choice.places) == sorted({*choice.places, *choice.kept})
        found = {record.place: record for record in await world.broker.at(choice.places)}
        records = [choice.kept.get(place) or found[place] for place in choice.places]
        return Chosen(texts(records), texts(list(choice.kept.values())), choice.is_cut)

    return played(scenario)


def publishes(*texts: str, **fields: Any) -> Callable[[World], Awaitable[Any]]:
    return lambda world: world.publish_all(*texts, **fields)


def test_the_newest_of_each_topic_come_in_the_order_of_the_history() -> None:
    of_three = publishes("a1", "b1", "a2", "c1", "b2", "a3", "b3")
    assert chosen(of_three, "b", "a", rewind=Rewind(events=2)).data == ["a2", "b2", "a3", "b3"]
    assert chosen(of_three, "a", rewind=Rewind(events=1)).data == ["a3"]
    assert chosen(of_three, "a", "x", rewind=Rewind(events=9)).data == ["a1", "a2", "a3"]


def test_those_of_the_last_seconds_come() -> None:
    of_two = publishes("a1", "b1", "a2", "b2", "a3")
    assert chosen(of_two, "a", "b", rewind=Rewind(seconds=2)).data == ["a2", "b2", "a3"]
    assert chosen(of_two, "a", rewind=Rewind(seconds=100)).data == ["a1", "a2", "a3"]


def test_an_update_with_several_of_the_topics_comes_once() -> None:
    async def publishing(world: World) -> None:
        await world.publish("1", "a", "b")
        await world.publish("2", "b", "a")

    assert chosen(publishing, "a", "b").data == ["1", "2"]


def test_a_template_a_pattern_or_everything_has_no_rewind_but_kept_values() -> None:
    for topic in ("{any}", "*"):
        assert chosen(publishes("a1", "a2"), topic) == ([], [], False)


async def board(world: World) -> None:
    await world.publish("r1", "row/1", keep=FOREVER)
    await world.publish("r2", "row/2", keep=FOREVER)
    await world.publish("d1", "row/1")
    await world.publish("x", "other", keep=FOREVER)
    await world.publish("d2", "row/2")
    await world.publish("r2'", "row/2", keep=FOREVER)
    await world.publish("d2'", "row/2", "row/1")
    await world.publish("n", "row/3")


def test_a_kept_value_comes_with_all_that_follows_it() -> None:
    assert chosen(board, "row/1", rewind=KEPT) == (["r1", "d1", "d2'"], ["r1"], False)
    assert chosen(board, "row/2", "row/1", "row/3", rewind=KEPT).data == ["r1", "d1", "r2'", "d2'"]
    assert chosen(board, "row/3", rewind=KEPT) == ([], [], False)


@pytest.mark.parametrize("topics", [("row/{id}",), ("row/{id}", "row/1"), ("row/{id}", "{any}x")])
def test_a_template_gets_the_kept_values_that_it_matches(topics: tuple[str, ...]) -> None:
    of_all = chosen(board, *topics, rewind=KEPT)
    assert of_all == (["r1", "d1", "r2'", "d2'"], of_all.kept, False)
    assert sorted(of_all.kept) == ["r1", "r2'"]


def test_with_another_rewind_a_template_gets_kept_values_alone() -> None:
    assert chosen(board, "row/{id}", rewind=Rewind(events=5)).data == ["r1", "r2'"]
    assert chosen(board, "*", rewind=Rewind(seconds=100)).data == ["r1", "x", "r2'"]


def test_a_kept_value_comes_before_the_newest_also_once_it_has_left_the_log() -> None:
    one = Rewind(events=1)
    assert chosen(board, "row/1", rewind=one).data == ["r1", "d2'"]
    assert chosen(board, "row/2", rewind=one).data == ["r2'", "d2'"]
    assert chosen(board, "row/1", rewind=one, events=1).data == ["r1"]
    assert chosen(board, "row/1", rewind=KEPT, events=2).data == ["r1", "d2'"]


def test_an_expired_or_cleared_value_does_not_come() -> None:
    async def publishing(world: World) -> None:
        await world.publish("a1", keep=2)
        await world.publish("b1", keep=FOREVER)
        await world.publish("b2", keep=0)
        await world.publish("c1", keep=4)

    assert chosen(publishing, "a", "b", "c", rewind=KEPT).data == ["c1"]


def test_more_than_the_most_are_cut_and_the_client_is_told_so() -> None:
    of_five = publishes(*(f"a{number}" for number in range(5)))
    of_many = chosen(of_five, "a", rewind=Rewind(events=4), most_events=3)
    assert of_many == (["a2", "a3", "a4"], [], True)
    assert not chosen(of_five, "a", rewind=Rewind(events=3), most_events=3).is_cut
    assert not chosen(of_five, "a", rewind=Rewind(events=9), most_events=5).is_cut
    assert chosen(of_five, "a", rewind=Rewind(seconds=99), most_events=4).is_cut
    assert not chosen(of_five, "a", rewind=Rewind(seconds=2), most_events=4).is_cut


def test_what_follows_a_kept_value_is_cut_and_the_client_is_told_so() -> None:
    async def publishing(world: World) -> None:
        await world.publish("a0", keep=FOREVER)
        await world.publish_all("a1", "a2", "a3")

    assert chosen(publishing, "a", rewind=KEPT, most_events=2) == (["a0", "a2", "a3"], ["a0"], True)
    assert not chosen(publishing, "a", rewind=KEPT, most_events=3).is_cut


@pytest.mark.parametrize("count", [MOST_KEPT_MATCHED, MOST_KEPT_MATCHED + 1])
def test_the_kept_values_that_a_template_gets_are_bounded(count: int) -> None:
    async def publishing(world: World) -> None:
        for number in range(count):
            await world.publish(f"{number}", f"row/{number}", keep=FOREVER)

    of_all = chosen(publishing, "row/{id}", rewind=KEPT, events=10)
    assert len(of_all.data) == MOST_KEPT_MATCHED
    assert of_all.is_cut is (count > MOST_KEPT_MATCHED)


async def mixed(world: World) -> None:
    """Publish to one topic public updates, private ones, and private ones for a team."""
    for number in range(1, 4):
        await world.publish(f"open {number}", "t")
        await world.publish(f"team {number}", "t", "team", private=True)
        await world.publish(f"secret {number}", "t", private=True)


@pytest.mark.parametrize(
    ("readable", "newest"),
    [
        ((), ["open 2", "open 3"]),
        (("x", "{a}/{b}"), ["open 2", "open 3"]),
        (("team",), ["open 3", "team 3"]),
        (("tea{m}",), ["open 3", "team 3"]),
        (("t",), ["team 3", "secret 3"]),
        (("*",), ["team 3", "secret 3"]),
    ],
)
def test_the_newest_are_those_that_the_client_may_read(
    readable: tuple[str, ...], newest: list[str]
) -> None:
    assert chosen(mixed, "t", readable=readable, rewind=Rewind(events=2)).data == newest


def test_one_that_the_client_may_read_comes_also_behind_many_that_it_may_not() -> None:
    async def publishing(world: World) -> None:
        for number in range(3):
            await world.publish(f"team {number}", "t", "team", private=True)
        for number in range(MOST_FETCHED + 1):
            await world.publish(f"secret {number}", "t", private=True)

    one = chosen(publishing, "t", readable=("team",), rewind=Rewind(events=1))
    assert one.data == ["team 2"]
    two = chosen(publishing, "t", readable=("team",), rewind=Rewind(events=2))
    assert two == (["team 1", "team 2"], [], False)


@pytest.mark.parametrize("readable", [(), ("x", "team")])
@pytest.mark.parametrize("rewind", [Rewind(events=200), Rewind(seconds=500), KEPT])
def test_private_updates_that_the_client_may_not_read_do_not_count(
    readable: tuple[str, ...], rewind: Rewind
) -> None:
    async def publishing(world: World) -> None:
        await world.publish("t0", keep=FOREVER)
        for number in range(10):
            await world.publish(f"secret {number}", "t", private=True)
        await world.publish("t1")
        await world.publish("s", "u", private=True, keep=FOREVER)

    of_it = chosen(publishing, "t", "u", rewind=rewind, readable=readable, most_events=4)
    assert of_it == (["t0", "t1"], ["t0"], False)
    matched = chosen(publishing, "{any}", rewind=rewind, readable=readable, most_events=4)
    assert matched.kept == ["t0"]
    assert not matched.is_cut


def test_a_kept_value_that_is_private_comes_to_those_who_may_read_it() -> None:
    async def publishing(world: World) -> None:
        await world.publish("1", "t", "team", private=True, keep=FOREVER)
        await world.publish("2", "t")

    for topic in ("t", "{any}"):
        for readable, data in (
            ((), []),
            (("x",), []),
            (("team",), ["1", "2"]),
            (("t",), ["1", "2"]),
        ):
            assert chosen(publishing, topic, rewind=KEPT, readable=readable).data == data


def test_what_is_published_while_it_chooses_is_left_for_later() -> None:
    async def scenario() -> None:
        world = World()
        for number in range(250):
            await world.publish("old", f"row/{number}", keep=FOREVER)
        upto = world.feed.ring.last
        asked = type(world.broker).rewound

        class Meanwhile(type(world.broker)):  # type: ignore[misc]
            async def rewound(self, topics: Any, *rest: Any, **named: Any) -> Any:
                state = await asked(self, topics, *rest, **named)
                await world.publish("new", "row/1")
                return state

        world.broker.__class__ = Meanwhile
        choice = await choose(world.tail, asking("row/{id}"), KEPT, 100)
        assert choice.upto == upto == max(choice.places)
        assert len(choice.places) == 250

    played(scenario)


def test_the_choice_says_up_to_where_the_history_went() -> None:
    async def scenario() -> Place:
        world = World()
        await world.publish_all("a1", "x1")
        return (await choose(world.tail, asking("a"), KEPT, 100)).upto

    assert played(scenario) == Place(3000, 0)
