"""The registry of subscriptions in the memory of one process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from barestream.history.local_log import LocalLog
from barestream.history.subscription_table import Name, SubscriptionTable
from barestream.history.subscriptions import (
    Away,
    Changed,
    Listing,
    Members,
    RegistryBounds,
    Subscription,
    SweptSubscriptions,
)
from barestream.history.update import Update

# So many are changed without a turn for other work: with three updates each they take about 5 ms.
MOST_CHANGES = 100

T = TypeVar("T")


class LocalRegistry:
    """The subscriptions of one worker.

    Args:
        bounds: The bounds; None for the usual ones.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        publish: Calls a function that changes the subscriptions, and adds the updates that it
            returns to the history, in one step.
        log: The history.
    """

    def __init__(
        self,
        bounds: RegistryBounds | None,
        now: Callable[[], float],
        publish: Callable[[Callable[[], Sequence[Update]]], Awaitable[None]],
        log: LocalLog,
    ) -> None:
        self._table = SubscriptionTable(bounds or RegistryBounds())
        self._now = now
        self._publish = publish
        self._log = log

    async def change(
        self,
        worker: str,
        began: Sequence[Subscription] = (),
        away: Sequence[Away] = (),
        left: Sequence[str] = (),
    ) -> Changed:
        """Note which of a worker's subscriptions began and ended (see Registry)."""
        was_known = self._table.renew(worker, self._now_ms)
        for each in away:
            self._table.go_away(each.id, each.grace_ms, self._now_ms)
        refused = 0

        def begin(new: Subscription) -> Sequence[Update]:
            nonlocal refused
            updates = self._table.begin(worker, new)
            refused += updates is None
            return updates or ()

        await self._change_each(began, begin)
        await self._change_each(left, self._table.end)
        return Changed(was_known, refused)

    async def renew(self, worker: str) -> bool:
        """Renew a worker's lease (see Registry)."""
        return self._table.renew(worker, self._now_ms)

    async def sweep(self, upto_ms: int, steady_ms: int, grace_ms: int) -> SweptSubscriptions:
        """End those whose grace is over (see Registry)."""
        now_ms = self._now_ms
        until_ms = min(upto_ms, now_ms)
        self._table.renew_future(now_ms)
        lapsed = self._table.lapse(until_ms, steady_ms, grace_ms, now_ms)
        ended = 0

        def end(name: Name) -> Sequence[Update]:
            nonlocal ended
            # It may have come back since.
            if not self._table.is_overdue(name, until_ms, steady_ms):
                return ()
            ended += 1
            return self._table.end_named(name)

        await self._change_each(list(self._table.overdue(until_ms, steady_ms)), end)
        return SweptSubscriptions(int(now_ms), len(self._table), ended, lapsed)

    async def leave(
        self, identity: str, client: str, selectors: Sequence[str] | None, after_ms: int
    ) -> int:
        """End subscriptions of somebody, or set how long they are waited for (see Registry)."""
        # Twins first: else one would get the name of the other one, after it was looked at.
        names = sorted(
            self._table.of_person(identity, client, selectors), key=lambda name: -name[1]
        )
        if after_ms == 0:
            await self._change_each(names, self._table.end_named)
        else:
            for name in names:
                self._table.wait_for(name, after_ms, self._now_ms)
        return len(names)

    async def subscriptions(self, selectors: Sequence[str] | None = None) -> Listing:
        """Return the subscriptions with these selectors (see Registry)."""
        return Listing(self._table.listed(selectors), self._log.newest_place)

    async def of_identity(self, identity: str, most: int) -> list[Subscription]:
        """Return subscriptions of an identity (see Registry)."""
        of_person = self._table.of_person(identity, "", None)
        ids = [key for key, is_twin in of_person if not is_twin]
        return [each for key in ids[:most] for each in self._table.one(key)]

    async def subscription(self, subscription_id: str) -> Listing:
        """Return the subscription with this id, or none (see Registry)."""
        return Listing(self._table.one(subscription_id), self._log.newest_place)

    async def members(self, selector: str, *, counts_only: bool = False) -> Members:
        """Return the members of a selector (see Registry)."""
        members = [] if counts_only else self._table.members(selector)
        return Members(members, *self._table.counts(selector), self._log.newest_place)

    @property
    def _now_ms(self) -> float:
        """The time, in milliseconds since 1970-01-01 UTC."""
        return self._now() * 1000

    async def _change_each(
        self, elements: Sequence[T], change: Callable[[T], Sequence[Update]]
    ) -> None:
        for first in range(0, len(elements), MOST_CHANGES):
            some = elements[first : first + MOST_CHANGES]
            await self._publish(lambda: [update for each in some for update in change(each)])  # noqa: B023
            await asyncio.sleep(0)
