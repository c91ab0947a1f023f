"""What every registry promises of the leases of workers."""

import asyncio
from collections.abc import Callable

import pytest

from barestream.history import subscription_table
from barestream.history.broker import Broker
from barestream.history.valkey import registry as valkey_registry
from streams import FAR_MS, HOUR_MS, away, end_all_due, listed, subscription, told

Run = Callable[..., None]

LEASE_MS = 40
ALICE = subscription("1", who="alice")
AGAIN = subscription("2", who="alice")
BOB = subscription("3", who="bob")


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each lease be over after LEASE_MS."""
    monkeypatch.setattr(subscription_table, "LEASE_MS", LEASE_MS)
    monkeypatch.setattr(valkey_registry, "LEASE_MS", LEASE_MS)


async def lapsed(broker: Broker, worker: str, grace_ms: int = HOUR_MS) -> None:
    """Wait until a sweep finds that the lease of a worker is over."""
    async with asyncio.timeout(10):
        while True:
            found = await broker.registry.sweep(FAR_MS, FAR_MS, grace_ms)
            if found.lapsed:
                break
            await asyncio.sleep(0.002)
    assert found.lapsed == [worker]


def test_a_worker_is_told_whether_it_was_known(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        assert not (await registry.change("w", [ALICE])).was_known
        assert (await registry.change("w", [BOB])).was_known
        assert await registry.renew("w")
        assert not await registry.renew("v")
        assert await registry.renew("v")
        assert await registry.renew("w")

    run(scenario)


def test_the_subscriptions_of_a_lost_worker_go_away_and_end_after_the_grace(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.registry.change("w", [ALICE, BOB])
        await lapsed(broker, "w", grace_ms=1000)
        # It is not ended by the sweep that lets it go away.
        assert await listed(broker) == [ALICE.id, BOB.id]
        await broker.registry.change("v", [AGAIN])
        await asyncio.sleep(1.01)
        assert (await broker.registry.sweep(FAR_MS, 999, HOUR_MS)).ended == 0
        assert await end_all_due(broker) == 1
        assert await listed(broker) == [ALICE.id]
        assert "-/s/t/1" not in await told(broker)

    run(scenario)


def test_a_worker_that_has_stopped_in_order_is_not_lost(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE, BOB])
        await registry.change("w", away=[away(ALICE)], left=[BOB.id])
        then_ms = (await registry.sweep(0, 0, 0)).now_ms
        found = await registry.sweep(FAR_MS, FAR_MS, HOUR_MS)
        while found.now_ms <= then_ms + LEASE_MS:
            assert found.lapsed == []
            found = await registry.sweep(FAR_MS, FAR_MS, HOUR_MS)
        assert (await registry.sweep(FAR_MS, FAR_MS, HOUR_MS)).lapsed == []
        assert not await registry.renew("w")

    run(scenario)


def test_a_worker_that_renews_its_lease_keeps_its_subscriptions(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        begin_ms = renewed_ms = (await registry.sweep(0, 0, 0)).now_ms
        while renewed_ms < begin_ms + 2 * LEASE_MS:
            found = await registry.sweep(FAR_MS, FAR_MS, 0)
            if found.now_ms < renewed_ms + LEASE_MS:
                assert found.lapsed == []
            renewed_ms = found.now_ms
            await registry.renew("w")
            await asyncio.sleep(0.002)

    run(scenario)


def test_a_lease_is_not_over_before_the_caller_knows_that_its_time_has_passed(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        begin_ms = (await registry.sweep(0, 0, 0)).now_ms
        await registry.change("w", [ALICE])
        await asyncio.sleep(2 * LEASE_MS / 1000)
        assert (await registry.sweep(begin_ms + LEASE_MS - 1, FAR_MS, 0)).lapsed == []
        assert (await registry.sweep(FAR_MS, LEASE_MS - 1, 0)).lapsed == []
        assert (await registry.sweep(FAR_MS, FAR_MS, 0)).lapsed == ["w"]

    run(scenario)


def test_a_worker_that_was_lost_for_a_while_announces_again_and_nothing_is_told(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE, BOB])
        await lapsed(broker, "w")
        before = len(await told(broker))
        assert not await registry.renew("w")
        assert (await registry.change("w", [ALICE, BOB])).was_known
        assert (await registry.sweep(FAR_MS, LEASE_MS - 1, 0)).ended == 0
        assert await told(broker, before) == []
        await registry.change("w", away=[away(ALICE, 0)])
        await asyncio.sleep(0.003)
        assert await end_all_due(broker) == 1

    run(scenario)


def test_what_was_ended_meanwhile_begins_again(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        await lapsed(broker, "w", grace_ms=0)
        await asyncio.sleep(0.003)
        assert await end_all_due(broker) in (0, 1)
        before = len(await told(broker))
        await registry.change("w", [ALICE])
        assert await told(broker, before) == ["+/s/t/1", "joined alice", "occupied"]

    run(scenario)


@pytest.mark.parametrize("first_end", [ALICE.id, AGAIN.id])
def test_of_two_streams_with_one_id_the_last_end_is_told(run: Run, first_end: str) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        await lapsed(broker, "w")
        # Another stream takes its place, and then the lost worker announces it again.
        await registry.change("v", [AGAIN])
        for _ in range(2):
            await registry.change("w", [ALICE])
        assert await listed(broker) == [ALICE.id]
        assert (await registry.members("t"))[1:3] == (1, 2)
        before = len(await told(broker))
        await registry.change("w", left=[first_end])
        assert await told(broker, before) == []
        assert await listed(broker) == [ALICE.id]
        assert (await registry.members("t"))[1:3] == (1, 1)
        last_end = AGAIN.id if first_end == ALICE.id else ALICE.id
        await registry.change("w", away=[away(ALICE), away(AGAIN)], left=[first_end])
        assert await told(broker, before) == []
        assert await registry.leave("issuer alice", "", None, HOUR_MS) == 1
        await registry.change("w", left=[last_end])
        assert await told(broker, before) == ["-/s/t/1", "left alice", "vacated"]
        assert (await registry.sweep(0, 0, 0)).subscriptions == 0

    run(scenario)


def test_both_streams_with_one_id_leave_together(run: Run) -> None:
    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        await lapsed(broker, "w")
        await registry.change("v", [AGAIN])
        await registry.change("w", [ALICE])
        assert await registry.leave("issuer alice", "", None, 0) == 2
        assert await told(broker, 3) == ["-/s/t/1", "left alice", "vacated"]

    run(scenario)


def test_the_subscriptions_of_other_workers_stay(run: Run) -> None:
    many = [subscription(str(n)) for n in range(500)]

    async def scenario(broker: Broker) -> None:
        registry = broker.registry
        await registry.change("w", many[:250])
        then_ms = (await registry.sweep(0, 0, 0)).now_ms
        await asyncio.sleep(1.5 * LEASE_MS / 1000)
        await registry.change("v", many[250:])
        found = await registry.sweep(then_ms + 1 + LEASE_MS, FAR_MS, 0)
        assert found.lapsed == ["w"]
        await asyncio.sleep(0.003)
        ended = found.ended + (await registry.sweep(FAR_MS, LEASE_MS - 1, 0)).ended
        assert ended == 250
        assert await listed(broker) == sorted(each.id for each in many[250:])

    run(scenario, events=10_000, size=10_000_000)
