import asyncio
import gc
import logging

import pytest

from barestream.delivery.rewind_choice import Choice
from barestream.delivery.shared_choices import MOST_CHOICES, SharedChoices
from barestream.delivery.subscription import Subscription
from barestream.history.broker import BrokerAwayError
from barestream.history.topic_state import Rewind
from rewinds import World, asking, played, settle

TEN = Rewind(events=10)


def together(world: World, *wanted: Subscription) -> list[Choice]:
    """Return what clients get that ask in one turn of the loop."""

    async def scenario() -> list[Choice]:
        await world.publish_all("a1", "b1")
        choose = SharedChoices()
        return await asyncio.gather(*(choose(world.tail, each, TEN, 100) for each in wanted))

    return played(scenario)


def test_clients_that_ask_for_the_same_together_share_a_choice() -> None:
    world = World()
    choices = together(world, *(asking("a", "b") for _ in range(100)))
    assert world.broker.asked["rewound"] == 1
    assert {len(choice.places) for choice in choices} == {2}


@pytest.mark.parametrize(
    "other",
    [
        asking("a", "c"),
        asking("a", "{b}"),
        asking("*", "a", "b"),
        asking("a", "b", readable=("a",)),
        asking("a", "b", readable=("{a}",)),
        asking("a", "b", readable=("*",)),
    ],
)
def test_clients_that_ask_for_other_topics_or_may_read_others_share_none(
    other: Subscription,
) -> None:
    world = World()
    first, second = together(world, asking("a", "b"), other)
    assert first is not second


def test_a_client_that_asks_while_a_choice_is_made_gets_one_with_all_that_was_published() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish("a1")
        choose = SharedChoices()
        held = asyncio.Event()
        rewound = world.broker.rewound

        async def late(*args: object, **named: object) -> object:
            answer = await rewound(*args, **named)
            await held.wait()
            return answer

        world.broker.__dict__["rewound"] = late
        first = [
            asyncio.create_task(choose(world.tail, asking(topic), TEN, 100))
            for topic in ("a", "b")[:MOST_CHOICES]
        ]
        await settle()
        place = await world.publish("a2")
        later = [asyncio.create_task(choose(world.tail, asking("a"), TEN, 100)) for _ in range(10)]
        await settle()
        held.set()
        choices = await asyncio.gather(*later)
        assert {id(each) for each in choices} == {id(choices[0])}
        assert choices[0].places[-1] == place
        assert place not in (await first[0]).places

    played(scenario)


def test_a_client_that_leaves_does_not_end_the_choice_of_the_others() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish("a1")
        choose = SharedChoices()
        leaves, stays = [
            asyncio.create_task(choose(world.tail, asking("a"), TEN, 100)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        leaves.cancel()
        assert len((await stays).places) == 1
        assert leaves.cancelled()

    played(scenario)


def test_each_client_hears_that_the_history_is_away_and_a_client_that_left_leaves_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        world = World()
        world.broker.away["rewound"] = 2
        choose = SharedChoices()
        clients = [asyncio.create_task(choose(world.tail, asking("a"), TEN, 100)) for _ in range(2)]
        errors = await asyncio.gather(*clients, return_exceptions=True)
        assert {type(error) for error in errors} == {BrokerAwayError}
        leaves = asyncio.create_task(choose(world.tail, asking("a"), TEN, 100))
        await asyncio.sleep(0)
        leaves.cancel()
        await settle()
        assert world.broker.away["rewound"] == 0

    with caplog.at_level(logging.ERROR):
        played(scenario)
        gc.collect()
    assert not caplog.records
