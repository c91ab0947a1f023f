"""Runs scenarios, which are coroutine functions of a broker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from barestream.history.broker import Broker

AnyBroker = TypeVar("AnyBroker", bound=Broker)


def run_on(make: Callable[[], AnyBroker], scenario: Callable[[AnyBroker], Awaitable[None]]) -> None:
    """Run a scenario on a broker that is made for it, and close the broker."""

    async def act() -> None:
        broker = make()
        try:
            await scenario(broker)
        finally:
            await broker.close()

    asyncio.run(act())
