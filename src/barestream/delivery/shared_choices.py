"""Rewinds of clients that come together: what one of them gets is chosen once for all."""

import asyncio
from collections.abc import Hashable

from barestream.delivery.rewind_choice import Choice, choose
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.topic_state import Rewind
from barestream.mercure.selectors import Selectors

# How many choices are made at once; the others wait, so that clients can share them.
MOST_CHOICES = 2


class SharedChoices:
    """Chooses the updates of rewinds.

    After an outage a page's clients come back together, and ask for the same. A board of 500 kept
    values takes 10 ms to choose, and 0.02 ms for each further client. A client gets a choice that
    has not begun when it asks, so that it has all that was published before.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_CHOICES)
        # Those that have not begun.
        self._waiting: dict[Hashable, asyncio.Task[Choice]] = {}

    async def __call__(
        self, tail: Tail, wanted: Subscription, rewind: Rewind, most_events: int
    ) -> Choice:
        """Return the updates that a rewind has (see choose)."""
        key = (_key(wanted.topics), _key(wanted.readable), rewind, most_events)
        choosing = self._waiting.get(key)
        if choosing is None:
            choosing = asyncio.create_task(self._choose(key, tail, wanted, rewind, most_events))
            choosing.add_done_callback(_see_error)
            self._waiting[key] = choosing
        # A client that leaves does not end it for the others.
        return await asyncio.shield(choosing)

    async def _choose(
        self, key: Hashable, tail: Tail, wanted: Subscription, rewind: Rewind, most_events: int
    ) -> Choice:
        async with self._turns:
            del self._waiting[key]
            return await choose(tail, wanted, rewind, most_events)


def _key(selectors: Selectors) -> Hashable:
    """Return what equal selectors have in common."""
    expressions = [(each.reading, each.selector) for each in selectors.expressions]
    return (selectors.everything, frozenset(selectors.exact), frozenset(expressions))


def _see_error(choosing: asyncio.Task[Choice]) -> None:
    """Look at the error: asyncio logs one that nobody sees, because all clients have left."""
    if not choosing.cancelled():
        choosing.exception()
