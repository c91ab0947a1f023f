"""What every registry promises of subscriptions."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker
from barestream.history.record import BEGIN
from barestream.history.subscriptions import Member, RegistryBounds, Subscription
from streams import FAR_MS, HOUR_MS, away, end_all_due, listed, subscription, told
from topic_updates import update

Run = Callable[..., None]

ALICE = subscription("1", who="alice")
AGAIN = subscription("2", who="alice")
BOB = subscription("3", who="bob", since_ms=5)
NOBODY = subscription("4")
MEMBERS_BEGAN = ["+/s/t/1", "joined alice", "occupied", "+/s/t/2", "+/s/t/3", "joined bob"]


async def come(broker: Broker, *began: Subscription, worker: str = "w") -> None:
    await broker.registry.change(worker, began)


async def ended(broker: Broker, number: int) -> None:
    """Wait until sweeps have ended so many."""
    async with asyncio.timeout(10):
        while number > 0:
            number -= await end_all_due(broker)
            await asyncio.sleep(0.002)
    assert number == 0


def test_beginnings_are_told_once_each_for_subscriptions_members_and_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE, AGAIN, BOB, NOBODY)
        assert await told(broker) == [*MEMBERS_BEGAN, "+/s/t/4"]

    run(scenario)


def test_ends_are_told_once_each_for_subscriptions_members_and_topics(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE, AGAIN, BOB, NOBODY)
        ids = [each.id for each in (ALICE, BOB, NOBODY, AGAIN)]
        await broker.registry.change("w", left=[*ids, "unknown"])
        told_then = ["-/s/t/1", "-/s/t/3", "left bob", "-/s/t/4", "-/s/t/2", "left alice"]
        assert await told(broker, 7) == [*told_then, "vacated"]
        assert await listed(broker) == []
        assert (await broker.registry.members("t"))[:3] == ([], 0, 0)

    run(scenario)


def test_a_selector_that_is_no_exact_topic_has_no_members_events(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        every = subscription("1", who="alice", exact=False)
        await come(broker, every)
        await broker.registry.change("w", left=[every.id])
        assert await told(broker) == ["+/s/t/1", "-/s/t/1"]

    run(scenario)


def test_a_repeat_after_a_lost_answer_changes_nothing(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        for _ in range(2):
            await broker.registry.change("w", [ALICE, BOB])
        for _ in range(2):
            await broker.registry.change("w", [AGAIN], [away(ALICE)], [BOB.id])
        assert await told(broker, 5) == ["-/s/t/3", "left bob"]
        assert await listed(broker) == [ALICE.id]

    run(scenario)


def test_a_stream_that_was_away_comes_back_and_nothing_is_told(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE)
        await broker.registry.change("w", away=[away(ALICE, 1)])
        await broker.registry.change("v", [AGAIN._replace(client="page")])
        await asyncio.sleep(0.003)
        assert await end_all_due(broker) == 0
        found = (await broker.registry.subscriptions(["t"])).subscriptions
        assert found == [ALICE._replace(client="page")]
        assert (await broker.registry.subscription(ALICE.id)).subscriptions == found
        assert (await broker.registry.subscription(AGAIN.id)).subscriptions == []
        # Its end comes by the name of the stream that is open.
        await broker.registry.change("w", away=[away(ALICE, 0)], left=[ALICE.id])
        assert await end_all_due(broker) == 0
        await broker.registry.change("v", away=[away(AGAIN, 0)])
        await ended(broker, 1)
        assert await told(broker, 3) == ["-/s/t/1", "left alice", "vacated"]

    run(scenario)


@pytest.mark.parametrize(
    "other",
    [subscription("2", who="bob"), subscription("2", "u", who="alice"), subscription("2")],
)
def test_others_do_not_take_the_place_of_who_is_away(run: Run, other: Subscription) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE)
        await broker.registry.change("w", [other], [away(ALICE)])
        assert await listed(broker) == sorted([ALICE.id, other.id])

    run(scenario)


def test_somebody_without_an_identity_does_not_come_back(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, NOBODY)
        other = subscription("5")
        await broker.registry.change("w", [other], [away(NOBODY)])
        assert await listed(broker) == [NOBODY.id, other.id]

    run(scenario)


def test_of_several_the_one_of_the_same_page_is_taken_else_the_first_to_end(run: Run) -> None:
    pages = [subscription(str(n), who="alice", client=f"page{n}") for n in range(3)]

    async def scenario(broker: Broker) -> None:
        await come(broker, *pages)
        absences = [away(page, HOUR_MS - 1000 * n) for n, page in enumerate(pages)]
        await broker.registry.change("w", away=absences)
        await come(broker, subscription("a", who="alice", client="page1"))
        await come(broker, subscription("b", who="alice", client="new"))
        left = ["/s/t/a", "/s/t/b"]
        before = len(await told(broker))
        await broker.registry.change("w", left=left)
        assert await told(broker, before) == ["-/s/t/1", "-/s/t/2"]

    run(scenario)


def test_a_stream_opened_anew_for_other_topics_blinks_nobody_out(run: Run) -> None:
    first = [subscription("1", topic, who="alice") for topic in "abc"]
    second = [subscription("2", topic, who="alice") for topic in "bcd"]

    async def scenario(broker: Broker) -> None:
        await come(broker, *first)
        before = len(await told(broker))
        await broker.registry.change("w", second, [away(each) for each in first])
        assert await told(broker, before) == ["+/s/d/2", "joined alice", "occupied"]

    run(scenario)


def test_an_end_waits_for_its_grace(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE, BOB)
        await broker.registry.change("w", away=[away(ALICE), away(BOB, 0)])
        # A second end of the same does not make it wait longer, or less long.
        await broker.registry.change("w", away=[away(ALICE, 0), away(BOB)])
        await ended(broker, 1)
        assert await listed(broker) == [ALICE.id]
        assert await told(broker, 5) == ["-/s/t/3", "left bob"]

    run(scenario)


def test_ends_wait_for_as_long_as_the_caller_knows_time(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await come(broker, ALICE)
        begin_ms = (await registry.sweep(0, 0, 0)).now_ms
        await registry.change("w", away=[away(ALICE, 5)])
        await asyncio.sleep(0.02)
        assert (await registry.sweep(begin_ms + 4, FAR_MS, 0)).ended == 0
        assert (await registry.sweep(FAR_MS, 4, 0)).ended == 0
        assert (await registry.sweep(FAR_MS, 5, 0)).ended == 1

    run(scenario)


def test_thousands_of_ends_go_in_steps_past_those_that_stay(run: Run) -> None:
    many = [subscription(str(n), f"t{n % 7}", who=f"user{n % 100}") for n in range(700)]

    async def scenario(broker: Broker) -> None:
        assert await broker.registry.change("w", many) == (False, 0)
        longer = [away(each, 20) for each in many[:300]]
        await broker.registry.change("w", away=longer)
        await broker.registry.change("w", away=[away(each, 2) for each in many[300:]])
        await asyncio.sleep(0.05)
        found = await broker.registry.sweep(FAR_MS, 10, HOUR_MS)
        assert found[1:] == (300, 400, [])
        assert await end_all_due(broker) == 300
        assert await listed(broker) == []
        everything = await told(broker)
        for begin, end in (("+", "-"), ("joined", "left"), ("occupied", "vacated")):
            counts = [sum(each.startswith(word) for each in everything) for word in (begin, end)]
            assert counts[0] == counts[1] > 0

    run(scenario, events=100_000, size=100_000_000)


def test_somebody_leaves_at_once(run: Run) -> None:
    other = subscription("5", "u", who="alice", client="page")

    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE, AGAIN, BOB, other)
        await broker.registry.change("w", away=[away(AGAIN)])
        before = len(await told(broker))
        assert await broker.registry.leave("issuer alice", "page", None, 0) == 1
        assert await broker.registry.leave("issuer alice", "", ["u", "t"], 0) == 2
        assert await broker.registry.leave("issuer alice", "", None, 0) == 0
        found = await told(broker, before)
        assert sorted(found) == sorted(
            ["-/s/u/5", "left alice", "vacated", "-/s/t/1", "-/s/t/2", "left alice"]
        )
        # The ends of its streams come later, and bring nothing back.
        await broker.registry.change("w", away=[away(ALICE, 0), away(other, 0)])
        assert await end_all_due(broker) == 0
        assert await listed(broker) == [BOB.id]

    run(scenario)


def test_a_page_without_an_identity_leaves_by_its_name(run: Run) -> None:
    first, second = (subscription(name, client=name) for name in ("a", "b"))

    async def scenario(broker: Broker) -> None:
        await come(broker, first, second, NOBODY, ALICE._replace(client="a"))
        assert await broker.registry.leave("", "a", None, 0) == 1
        assert await broker.registry.leave("", "", None, 0) == 0
        assert await listed(broker) == sorted([second.id, NOBODY.id, ALICE.id])

    run(scenario)


def test_a_hidden_page_is_waited_for_as_long_as_it_asks(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await come(broker, ALICE, BOB)
        await registry.change("w", away=[away(BOB, 0)])
        assert await registry.leave("issuer alice", "", None, HOUR_MS) == 1
        assert await registry.leave("issuer bob", "", ["t"], HOUR_MS) == 1
        await registry.change("w", away=[away(ALICE, 0)])
        await asyncio.sleep(0.003)
        assert await end_all_due(broker) == 0
        # Who has come back is waited for no longer than others.
        await come(broker, AGAIN)
        await registry.change("w", away=[away(AGAIN, 0)])
        await ended(broker, 1)
        # Also less long than was asked for.
        assert await registry.leave("issuer bob", "", None, 1) == 1
        await ended(broker, 1)

    run(scenario)


def test_members_are_each_once_with_their_subscriptions(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        earlier = AGAIN._replace(since_ms=0)
        await come(broker, ALICE, earlier, BOB, NOBODY, subscription("5", "u", who="carol"))
        found = await registry.members("t")
        data = [f'{{"member":"{name}"}}' for name in ("alice", "bob")]
        expected = [Member("alice", data[0], 2, 0), Member("bob", data[1], 1, 5)]
        assert sorted(found.members) == expected
        assert found[1:3] == (2, 4)
        assert await registry.members("t", counts_only=True) == ([], *found[1:])
        assert (await registry.members("none"))[:3] == ([], 0, 0)

    run(scenario)


def test_many_members_are_read(run: Run) -> None:
    many = [subscription(str(n), who=f"user{n // 2}") for n in range(1200)]

    async def scenario(broker: Broker) -> None:
        await come(broker, *many)
        found = await broker.registry.members("t")
        assert {each.id: each.subscriptions for each in found.members} == {
            f"user{n}": 2 for n in range(600)
        }
        assert found[1:3] == (600, 1200)
        assert len(await listed(broker)) == len(await listed(broker, "t", "none", "t")) == 1200

    run(scenario, events=100_000, size=100_000_000)


def test_lists_have_the_place_that_they_are_true_at(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        first = (await registry.subscriptions()).place
        assert (await broker.read(first, 10)).is_known
        await come(broker, ALICE)
        newest = (await broker.read(BEGIN, 10)).records[-1].place
        for found in (
            await registry.subscriptions(),
            await registry.subscriptions(["t"]),
            await registry.subscription(ALICE.id),
            await registry.members("t"),
            await registry.members("t", counts_only=True),
        ):
            assert found.place == newest
        await come(broker, subscription("2", "u"))
        assert len((await broker.read(newest, 10)).records) == 2

    run(scenario)


def test_updates_of_subscriptions_push_out_older_ones(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.publish(update("a", "t"))
        await come(broker, *(subscription(str(n)) for n in range(20)))
        page = await broker.read(BEGIN, 100)
        assert len(page.records) == 10
        assert page.floor < page.records[0].place

    run(scenario, events=10)


def test_there_is_room_for_so_many(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        changed = await registry.change("w", [ALICE, BOB, NOBODY])
        assert changed.refused == 1
        await registry.change("w", away=[away(NOBODY)], left=[NOBODY.id])
        # Who comes back needs no room.
        assert (await registry.change("w", [AGAIN, BOB], [away(ALICE)])).refused == 0
        assert await listed(broker) == [ALICE.id, BOB.id]
        assert (await registry.change("w", [NOBODY], left=[BOB.id])).refused == 1
        assert (await registry.change("w", [NOBODY])).refused == 0
        assert "+/s/t/4" in await told(broker)

    run(scenario, of_registry=RegistryBounds(subscriptions=2))


def test_there_is_room_for_texts_of_so_many_characters(run: Run) -> None:
    long = subscription("long", topic="t" * 1000)

    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        assert (await registry.change("w", [long, ALICE])).refused == 1
        assert await listed(broker) == [ALICE.id]
        # What ends makes room again, whatever has ended it.
        for number in range(9):
            short = subscription(str(number), who=str(number))
            assert (await registry.change("w", [short], left=[ALICE.id])).refused == 0
            if number % 2:
                await registry.change("w", left=[short.id])
            else:
                assert await registry.leave(short.identity, "", None, 0) == 1
        assert await listed(broker) == []

    run(scenario, of_registry=RegistryBounds(bytes=900))


def test_the_subscriptions_of_an_identity_are_found_active_and_away(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await come(broker, ALICE, AGAIN, BOB, NOBODY)
        await broker.registry.change("w", away=[away(ALICE)])
        registry = broker.registry
        found = await registry.of_identity(ALICE.identity, 10)
        assert sorted(each.id for each in found) == sorted([ALICE.id, AGAIN.id])
        assert {each.selector for each in found} == {ALICE.selector}
        assert len(await registry.of_identity(ALICE.identity, 1)) == 1
        assert [each.id for each in await registry.of_identity(BOB.identity, 10)] == [BOB.id]
        assert await registry.of_identity("unknown", 10) == []
        # Those without an identity are nobody's.
        assert await registry.of_identity("", 10) == []

    run(scenario)


def test_more_subscriptions_of_an_identity_than_a_page_are_found(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        many = [subscription(str(number), who="alice") for number in range(250)]
        await come(broker, *many, BOB._replace(id="other"))
        found = await broker.registry.of_identity(ALICE.identity, 1000)
        assert sorted(each.id for each in found) == sorted(each.id for each in many)
        assert len(await broker.registry.of_identity(ALICE.identity, 120)) == 120

    run(scenario)
