"""What every store of revocations promises."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history.broker import Broker
from barestream.history.local_revocations import LocalRevocations
from barestream.history.revocations import (
    NO_CHANGES,
    Revocation,
    RevocationStore,
    Selection,
    TooManyRevocationsError,
)
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.revocations import ValkeyRevocations

Run = Callable[..., None]

NOW_MS = 1_800_000_000_000

ALICE = Selection("https://issuer.example", subject="alice é\n\x00")
OF_JTI = Selection("https://issuer.example", jti="1")
NAMELESS = Selection(None, subject="alice é\n\x00")
OF_SHA256 = Selection(sha256="ab" * 32)
SELECTIONS = (ALICE, OF_JTI, NAMELESS, OF_SHA256)


def revocation(
    selection: Selection = OF_JTI, until: int | None = None, before: int = 0, made: int = 0
) -> Revocation:
    """Return one whose times are given in ms after NOW_MS."""
    return Revocation(
        selection,
        NOW_MS + made,
        None if until is None else NOW_MS + until,
        NOW_MS + before if selection.subject else 0,
    )


def bounded(broker: Broker, most: int) -> RevocationStore:
    """Return a store of the same kind that holds fewer."""
    if isinstance(broker, ValkeyBroker):
        return ValkeyRevocations(broker._questions, broker._changes, most)
    return LocalRevocations(most)


def test_what_is_revoked_is_kept_as_it_was_given(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        store = broker.revocations
        assert (await store.version(), await store.read()) == (NO_CHANGES, [])
        given = [revocation(each, until=5000, before=-7) for each in SELECTIONS]
        given.append(revocation(Selection(None, jti="for good")))
        versions = {await store.version()}
        for each in given:
            assert await store.revoke(each) == (each, True)
            versions.add(await store.version())
        assert len(versions) == len(given) + 1
        assert {*await store.read()} == {*given}
        assert len({each.id for each in given}) == len(given)

    run(scenario)


@pytest.mark.parametrize(
    ("ends", "end"),
    [((10, 20), 20), ((20, 10), 20), ((10, None), None), ((None, 10), None), ((None, None), None)],
)
def test_the_same_revoked_twice_is_one_revocation_with_what_either_revokes(
    run: Run, ends: tuple[int | None, int | None], end: int | None
) -> None:
    async def scenario(broker: Broker) -> None:
        store = broker.revocations
        for befores in ((1, 2), (2, 1)):
            first, second = (
                revocation(ALICE, until, before, made)
                for until, before, made in zip(ends, befores, (0, 5), strict=True)
            )
            joined = revocation(ALICE, end, before=2)
            assert await store.revoke(first) == (first, True)
            assert await store.revoke(second) == (joined, False)
            version = await store.version()
            assert await store.revoke(second) == (joined, False)
            assert await store.version() == version
            assert await store.read() == [joined]
            assert await store.take_back(joined.id) == joined

    run(scenario)


def test_a_revocation_that_is_taken_back_is_gone(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        store = broker.revocations
        await store.revoke(revocation(OF_JTI, until=5000))
        await store.revoke(revocation(OF_SHA256))
        version = await store.version()
        assert await store.take_back("0" * 32) is None
        assert await store.take_back("") is None
        assert await store.version() == version
        assert await store.take_back(revocation(OF_JTI).id) == revocation(OF_JTI, until=5000)
        assert await store.take_back(revocation(OF_JTI).id) is None
        assert (await store.version()).changes == version.changes + 1
        assert await store.read() == [revocation(OF_SHA256)]

    run(scenario)


def test_those_that_are_over_leave_with_the_next_one(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        store = bounded(broker, 2)
        await store.revoke(revocation(OF_JTI, until=10))
        await store.revoke(revocation(OF_SHA256))
        with pytest.raises(TooManyRevocationsError):
            await store.revoke(revocation(ALICE, made=9))
        # What is there already finds room.
        assert not (await store.revoke(revocation(OF_SHA256, made=9)))[1]
        later = revocation(ALICE, made=10)
        assert await store.revoke(later) == (later, True)
        assert {*await store.read()} == {revocation(OF_SHA256), later}
        # Its end was taken away, so it stays.
        await store.take_back(revocation(OF_SHA256).id)
        await store.revoke(revocation(OF_JTI, until=20, made=10))
        await store.revoke(revocation(OF_JTI, made=10))
        await store.revoke(revocation(ALICE, made=1000))
        assert len(await store.read()) == 2

    run(scenario)


def test_many_are_read_whole(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        given = [revocation(Selection(None, jti=f"{number}")) for number in range(1500)]
        await asyncio.gather(*map(broker.revocations.revoke, given))
        assert {*await broker.revocations.read()} == {*given}

    run(scenario)
