"""What the registry in Valkey does when Valkey, or a worker, is half dead."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.subscriptions import Subscription
from barestream.history.valkey import registry as valkey_registry
from barestream.history.valkey.broker import ValkeyBroker
from scenarios import run_on
from streams import FAR_MS, HOUR_MS, away, end_all_due, listed, subscription, told
from support.servers.valkey_server import ValkeyServer

BOUNDS = HistoryBounds(100_000, 3600, 100_000_000)
ALICE = subscription("1", who="alice")
AGAIN = subscription("2", who="alice")
BOB = subscription("3", who="bob")
MANY = [subscription(str(n), f"t{n % 3}", who=f"user{n}") for n in range(400)]

# Sets the clock back by so many ms for what the registry has.
SET_BACK = """
local ms = tonumber(ARGV[1])
for _, name in ipairs({'worker_leases', 'sub_due', 'sub_away'}) do
  local found = redis.call('ZRANGE', '{barestream}:' .. name, 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do redis.call('ZINCRBY', '{barestream}:' .. name, ms, found[i]) end
end
local states = redis.call('HGETALL', '{barestream}:sub_states')
for i = 1, #states, 2 do
  local state = cmsgpack.unpack(states[i + 1])
  if state.u then
    local before = state.w .. state.s .. 'w' .. string.format('%013.0f', state.u) .. states[i]
    state.a, state.u = state.a + ms, state.u + ms
    local after = state.w .. state.s .. 'w' .. string.format('%013.0f', state.u) .. states[i]
    redis.call('ZREM', '{barestream}:sub_people', before)
    redis.call('ZADD', '{barestream}:sub_people', 0, after)
  end
  redis.call('HSET', '{barestream}:sub_states', states[i], cmsgpack.pack(state))
end
"""


def make(server: ValkeyServer) -> ValkeyBroker:
    return ValkeyBroker(server.url, BOUNDS, server.password)


def run(server: ValkeyServer, scenario: Callable[[ValkeyBroker], Awaitable[None]]) -> None:
    run_on(lambda: make(server), scenario)


def copy_of(server: ValkeyServer) -> dict[bytes, bytes]:
    """Return all that a server has."""
    return {key: server.ask("DUMP", key) for key in server.ask("KEYS", "*")}


def restore(server: ValkeyServer, copy: dict[bytes, bytes]) -> None:
    server.ask("FLUSHALL")
    for key, value in copy.items():
        server.ask("RESTORE", key, 0, value)


def registry_keys(server: ValkeyServer) -> set[bytes]:
    """Return the keys of the registry that there are, without those of the workers."""
    return {key for key in server.ask("KEYS", "*") if b":sub" in key}


def test_nothing_is_left_of_subscriptions_that_have_ended(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", MANY)
        assert len(registry_keys(server)) == 6
        half = [each.id for each in MANY[:200]]
        await registry.change("w", away=[away(each, 0) for each in MANY], left=half)
        await registry.change("v", [each._replace(id=each.id + "x") for each in MANY[300:]])
        assert len(registry_keys(server)) == 9
        await registry.leave("issuer user301", "", None, 0)
        await registry.change("v", left=[each.id + "x" for each in MANY[300:]])
        while await end_all_due(broker) or await listed(broker):
            await asyncio.sleep(0.002)
        assert registry_keys(server) == set()

    run(server, scenario)


def test_a_worker_learns_that_the_history_was_lost(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.registry.change("w", [ALICE, BOB])
        server.ask("FLUSHALL")
        assert not await broker.registry.renew("w")
        assert (await broker.registry.change("w", [ALICE, BOB])).was_known
        assert await listed(broker) == [ALICE.id, BOB.id]
        assert (await told(broker))[:3] == ["+/s/t/1", "joined alice", "occupied"]

    run(server, scenario)


@pytest.mark.parametrize("changes", [1, 3])
def test_a_worker_learns_that_an_older_copy_has_lost_changes(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE, BOB])
        copy = copy_of(server)
        await registry.change("w", [subscription("4", "u")], left=[BOB.id])
        for _ in range(changes - 1):
            await registry.renew("w")
        restore(server, copy)
        monkeypatch.setattr(valkey_registry, "LEASE_MS", 20)
        assert not await registry.renew("w")
        open_now = [ALICE, subscription("4", "u")]
        assert (await registry.change("w", open_now)).was_known
        # What it does not announce again is of the copy, and goes away.
        then_ms = (await registry.sweep(0, 0, 0)).now_ms
        while (await registry.sweep(0, 0, 0)).now_ms < then_ms + 21:
            pass
        assert await registry.renew("w")
        assert (await registry.sweep(then_ms + 20, FAR_MS, 0)).lapsed == ["w"]
        await asyncio.sleep(0.002)
        await registry.sweep(FAR_MS, 19, 0)
        assert await listed(broker) == sorted(each.id for each in open_now)

    run(server, scenario)


def test_a_worker_goes_on_after_a_copy_that_has_all_its_changes(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        await broker.registry.change("w", [ALICE])
        restore(server, copy_of(server))
        assert await broker.registry.renew("w")

    run(server, scenario)


def test_a_change_whose_answer_was_lost_is_done_once_and_the_worker_stays_known(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        for _ in range(3):
            fresh_valkey.pause()
            lost = asyncio.create_task(registry.change("w", [BOB], left=[ALICE.id]))
            while not fresh_valkey.unread_bytes():
                await asyncio.sleep(0.002)
            lost.cancel()
            with suppress(asyncio.CancelledError):
                await lost
            fresh_valkey.resume()
            while await listed(broker) != [BOB.id]:
                await asyncio.sleep(0.002)
        assert (await registry.change("w", [BOB], left=[ALICE.id])).was_known
        assert (await told(broker, 3)) == ["+/s/t/3", "joined bob", "-/s/t/1", "left alice"]

    run(fresh_valkey, scenario)


def test_an_outage_that_is_longer_than_a_lease_ends_nobody(
    fresh_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_registry, "LEASE_MS", 50)

    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE, BOB], [])
        await registry.change("w", away=[away(BOB, 50)])
        fresh_valkey.stop()
        for call in (registry.renew("w"), registry.change("w", [AGAIN])):
            with pytest.raises(BrokerAwayError):
                await call
        await asyncio.sleep(0.06)
        fresh_valkey.start()
        # A sweep just after it: the sweeper knows that the history was away.
        assert (await registry.sweep(FAR_MS, 49, 0))[1:] == (2, 0, [])
        assert await registry.renew("w")
        assert await listed(broker) == [ALICE.id, BOB.id]

    run(fresh_valkey, scenario)


def test_a_valkey_that_refuses_changes_lets_nothing_end(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", [ALICE])
        await registry.change("w", away=[away(ALICE, 0)])
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            for call in (
                *(registry.change("w", [BOB]), registry.renew("w")),
                *(registry.sweep(0, 0, 0), registry.sweep(FAR_MS, FAR_MS, 0)),
            ):
                with pytest.raises(BrokerAwayError) as caught:
                    await call
                assert caught.value.cause == "OOM"
            assert await listed(broker) == [ALICE.id]
            assert (await registry.members("t"))[1:3] == (1, 1)
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
        assert (await registry.change("w", [AGAIN])).was_known
        assert len(await told(broker)) == 3

    run(server, scenario)


def test_a_clock_that_was_set_back_keeps_nothing_for_ever(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_registry, "LEASE_MS", 30)

    async def scenario(broker: ValkeyBroker) -> None:
        registry = broker.registry
        await registry.change("w", MANY)
        await registry.change("w", away=[away(each, 30) for each in MANY[:250]])
        server.ask("EVAL", SET_BACK, 0, HOUR_MS)
        found = await registry.sweep(FAR_MS, 29, 0)
        assert found[1:] == (400, 0, [])
        lapsed = []
        async with asyncio.timeout(20):
            while found.subscriptions:
                found = await registry.sweep(FAR_MS, FAR_MS, 0)
                lapsed += found.lapsed
        assert lapsed == ["w"]

    run(server, scenario)


def test_others_end_what_a_killed_worker_had_and_each_end_is_told_once(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_registry, "LEASE_MS", 20)

    async def scenario(broker: ValkeyBroker) -> None:
        killed = make(server)
        await killed.registry.change("killed", MANY)
        await killed.close()
        others = [make(server) for _ in range(3)]
        lapsed, ended = [], 0
        async with asyncio.timeout(20):
            while ended < len(MANY):
                sweeps = [other.registry.sweep(FAR_MS, FAR_MS, 1) for other in others]
                for found in await asyncio.gather(*sweeps):
                    lapsed += found.lapsed
                    ended += found.ended
        for other in others:
            await other.close()
        assert (lapsed, ended) == (["killed"], len(MANY))
        ends = [each for each in await told(broker) if each.startswith("-")]
        assert sorted(ends) == sorted(f"-{each.id}" for each in MANY)

    run(server, scenario)


def test_streams_that_move_between_workers_while_others_sweep_blink_nobody_out(
    server: ValkeyServer,
) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        workers = [make(server) for _ in range(3)]

        def opened(turn: int) -> list[Subscription]:
            return [each._replace(id=f"{each.id}x{turn}") for each in MANY[:100]]

        await workers[0].registry.change("w0", opened(0))
        before = len(await told(broker))
        for turn in range(1, 6):
            absences = [away(each, HOUR_MS) for each in opened(turn - 1)]
            name = f"w{turn % 3}"
            await workers[(turn - 1) % 3].registry.change(f"w{(turn - 1) % 3}", away=absences)
            await asyncio.gather(
                workers[turn % 3].registry.change(name, opened(turn)),
                broker.registry.sweep(FAR_MS, FAR_MS, HOUR_MS),
            )
        assert await told(broker, before) == []
        assert await listed(broker) == sorted(each.id for each in opened(0))
        for worker in workers:
            await worker.close()

    run(server, scenario)


def test_a_list_of_many_is_read_in_steps_while_they_change(server: ValkeyServer) -> None:
    async def scenario(broker: ValkeyBroker) -> None:
        other = make(server)
        await broker.registry.change("w", MANY)
        stay = {each.id for each in MANY[:300]}

        async def change() -> None:
            for each in MANY[300:]:
                await other.registry.change("v", left=[each.id])
                coming_back = MANY[int(each.id.rsplit("/", 1)[1]) - 300]
                await other.registry.change("v", away=[away(coming_back)])
                new = coming_back._replace(id=coming_back.id + "x")
                await other.registry.change("v", [new])

        changing = asyncio.create_task(change())
        end = time.monotonic() + 10
        while not changing.done() and time.monotonic() < end:
            assert stay <= set(await listed(broker))
            assert stay <= set(await listed(broker, "t0", "t1", "t2"))
        await changing
        await other.close()

    run(server, scenario)
