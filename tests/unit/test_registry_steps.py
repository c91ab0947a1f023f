"""How the registry in Valkey does a change in steps; tests/contract has what they do."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

from barestream.history.subscriptions import Announcement, RegistryBounds, Subscription
from barestream.history.valkey.questions import Questions
from barestream.history.valkey.registry import MOST_CHANGES, ValkeyRegistry

MANY = 10 * MOST_CHANGES


class Looked(Sequence[Subscription]):
    """Subscriptions, and how many of them were looked at."""

    def __init__(self) -> None:
        self.at = 0

    def __len__(self) -> int:
        return MANY

    def __iter__(self) -> Iterator[Subscription]:
        return map(self.__getitem__, range(MANY))

    def __getitem__(self, index: Any) -> Any:
        self.at = index + 1
        return Subscription(str(index), "", "t", "", "", "", 1, Announcement(()))


class Answering:
    """Answers each step of a change, and notes how many subscriptions were looked at by then."""

    def __init__(self, began: Looked) -> None:
        self.began = began
        self.seen: list[int] = []

    async def run_bounded(self, *_: object) -> list[int]:
        self.seen.append(self.began.at)
        return [1, len(self.seen), 0]


def test_the_texts_of_a_step_are_made_when_its_turn_comes() -> None:
    began = Looked()
    valkey = Answering(began)
    asked = cast(Questions, valkey)
    registry = ValkeyRegistry(asked, asked, RegistryBounds())
    asyncio.run(registry.change("w", began))
    assert valkey.seen == [*range(MOST_CHANGES, MANY + 1, MOST_CHANGES)]
