"""The registry of subscriptions in Valkey."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from barestream.history.record import BEGIN, Place
from barestream.history.subscription_table import LEASE_MS
from barestream.history.subscriptions import (
    Away,
    Changed,
    Listing,
    Member,
    Members,
    RegistryBounds,
    Subscription,
    SweptSubscriptions,
)
from barestream.history.valkey import codec, scripts, subscription_codec
from barestream.history.valkey.questions import Questions

# Valkey runs no other command during a script, so it takes only so many changes, or so many bytes.
# With Redis 7.0, one that begins takes 75 us with two updates, and 130 us with three and a topic of
# its own; one that its subscriber comes back to, or that goes away, 30 us; one that ends, 85 us. A
# full history has to let go of as many updates: then one that begins takes 180 us, and one that
# ends 500 us. So a script takes 1 to 6 ms. A change of 500 that begin took 54 to 105 ms in all, and
# 29 ms if all came back.
MOST_CHANGES = 30
MOST_BYTES = 256 * 1024


class ValkeyRegistry:
    """The subscriptions of all workers that share a Valkey.

    Args:
        questions: Asks Valkey.
        changes: Asks Valkey where that writes.
        bounds: The bounds.
    """

    def __init__(self, questions: Questions, changes: Questions, bounds: RegistryBounds) -> None:
        self._questions = questions
        self._asked_changes = changes
        self._most = (b"%d" % bounds.subscriptions, b"%d" % bounds.bytes)
        # Of each worker here, the number of its last change that Valkey has answered. A Valkey with
        # another number has lost changes.
        self._changes: dict[str, int] = {}

    async def change(
        self,
        worker: str,
        began: Sequence[Subscription] = (),
        away: Sequence[Away] = (),
        left: Sequence[str] = (),
    ) -> Changed:
        """Note which of a worker's subscriptions began and ended (see Registry)."""
        was_known, refused = True, 0
        for some in _steps(began, away, left):
            number = b"%d" % self._changes.get(worker, 0)
            is_known, self._changes[worker], beyond = await self._asked_changes.run_bounded(
                scripts.CHANGE, *self._most, worker.encode(errors="replace"), number, *some
            )
            was_known = was_known and bool(is_known)
            refused += beyond
        return Changed(was_known, refused)

    async def renew(self, worker: str) -> bool:
        """Renew a worker's lease (see Registry)."""
        return (await self.change(worker)).was_known

    async def sweep(self, upto_ms: int, steady_ms: int, grace_ms: int) -> SweptSubscriptions:
        """End those whose grace is over (see Registry)."""
        numbers = [b"%d" % number for number in (upto_ms, steady_ms, grace_ms, LEASE_MS)]
        ended, lapsed = 0, []
        left, owner, cursor, is_more = 0, b"", b"0", 1
        while is_more:
            answer = await self._asked_changes.run_bounded(
                scripts.SWEEP, *numbers, b"%d" % left, owner, cursor
            )
            now_ms, subscriptions, ended_then, lost, is_more, left, owner, cursor = answer
            ended += ended_then
            if lost:
                lapsed.append(lost.split(b" ", 1)[1].decode())
        return SweptSubscriptions(now_ms, subscriptions, ended, lapsed)

    async def leave(
        self, identity: str, client: str, selectors: Sequence[str] | None, after_ms: int
    ) -> int:
        """End subscriptions of somebody, or set how long they are waited for (see Registry)."""
        person = subscription_codec.person(identity, client)
        if not person:
            return 0
        ends = [b""] if selectors is None else map(subscription_codec.digest, {*selectors})
        total = 0
        for end in ends:
            wanted = (person + end, client.encode(errors="replace"), b"%d" % after_ms)
            since_ms = last = b""
            while True:
                count, since_ms, last = await self._asked_changes.run_bounded(
                    scripts.LEAVE, *wanted, since_ms, last
                )
                total += count
                if not last:
                    break
        return total

    async def subscriptions(self, selectors: Sequence[str] | None = None) -> Listing:
        """Return the subscriptions with these selectors (see Registry)."""
        place, found = BEGIN, {}
        wanted = [(b"all", b"")]
        if selectors is not None:
            wanted = [(b"topic", subscription_codec.digest(each)) for each in {*selectors}]
        async for at, each, is_twin in self._read(*(wanted or [(b"one", b"")])):
            # The place before the first of them.
            place = place if place > BEGIN else at
            if each is not None and not is_twin:
                found[each.id] = each
        return Listing([*found.values()], place)

    async def of_identity(self, identity: str, most: int) -> list[Subscription]:
        """Return subscriptions of an identity (see Registry)."""
        found: list[Subscription] = []
        person = subscription_codec.person(identity, "")
        if not person:
            return found
        async with aclosing(self._read((b"person", person))) as rows:
            async for _, each, is_twin in rows:
                if len(found) == most:
                    break
                if each is not None and not is_twin:
                    found.append(each)
        return found

    async def subscription(self, subscription_id: str) -> Listing:
        """Return the subscription with this id, or none (see Registry)."""
        rows = [row async for row in self._read((b"one", subscription_codec.name(subscription_id)))]
        return Listing([each for _, each, _ in rows if each is not None], rows[0][0])

    async def members(self, selector: str, *, counts_only: bool = False) -> Members:
        """Return the members of a selector (see Registry)."""
        wanted = subscription_codec.digest(selector)
        if counts_only:
            place, members, number = await self._questions.run_bounded(
                scripts.LIST_SUBS, b"counts", wanted, b""
            )
            return Members([], members, number, codec.place(place))
        rows = [row async for row in self._read((b"topic", wanted))]
        found: dict[str, Member] = {}
        number = 0
        for _, each, _ in rows:
            if each is None:
                continue
            number += 1
            if each.member:
                data = each.announcement.member_data
                before = found.get(each.member, Member(each.member, data, 0, each.since_ms))
                since_ms = min(each.since_ms, before.since_ms)
                found[each.member] = before._replace(
                    subscriptions=before.subscriptions + 1, since_ms=since_ms
                )
        return Members([*found.values()], len(found), number, rows[0][0])

    async def _read(
        self, *wanted: tuple[bytes, bytes]
    ) -> AsyncGenerator[tuple[Place, Subscription | None, bool]]:
        """Yield the subscriptions, each with the place of its page and whether it is a twin.

        The first is none: it has the place that all of them are true at.
        """
        is_first = True
        for what, digest in wanted:
            after = b""
            while True:
                stream_id, after, rows = await self._questions.run_bounded(
                    scripts.LIST_SUBS, what, digest, after
                )
                place = codec.place(stream_id)
                if is_first:
                    yield place, None, False
                    is_first = False
                for texts, client, is_twin in rows:
                    yield place, subscription_codec.subscription(texts, client), bool(is_twin)
                if not after:
                    break


def _steps(
    began: Sequence[Subscription], away: Sequence[Away], left: Sequence[str]
) -> Iterator[list[bytes]]:
    """Yield the arguments of the calls of the script that do a change; at least one call."""
    # The texts of a step are made when its turn comes: those of all could hold up the worker.
    kinds: tuple[tuple[Sequence[Any], Callable[[Any], list[bytes]]], ...] = (
        (away, lambda each: [subscription_codec.name(each.id), b"%d" % each.grace_ms]),
        (began, subscription_codec.arguments),
        (left, lambda each: [subscription_codec.name(each)]),
    )
    taken = [0, 0, 0]
    while True:
        arguments: list[bytes] = []
        room, room_bytes = MOST_CHANGES, MOST_BYTES
        for kind, (all_of_kind, make) in enumerate(kinds):
            some: list[bytes] = []
            first = taken[kind]
            while taken[kind] < len(all_of_kind) and room > 0 and room_bytes > 0:
                made = make(all_of_kind[taken[kind]])
                some += made
                room_bytes -= sum(map(len, made))
                room -= 1
                taken[kind] += 1
            arguments += [b"%d" % (taken[kind] - first), *some]
        yield arguments
        if all(number == len(kind[0]) for number, kind in zip(taken, kinds, strict=True)):
            return
