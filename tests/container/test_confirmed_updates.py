"""Updates that count as accepted once a replica has them on the disk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.producers import Batch, Claim, Lease, Producer
from barestream.history.record import BEGIN
from barestream.history.revocations import Revocation, Selection
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.mercure.sse import Event
from support.judges.published import data_of
from support.servers.sentinel_group import is_linked
from support.servers.service import PATIENCE_SECONDS, wait_for
from valkey_pair import ContainedValkey

BOUNDS = HistoryBounds(events=1000, seconds=1e9, bytes=10_000_000)

LOG = "{barestream}:log"

T = TypeVar("T")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ContainedValkey, ContainedValkey]]:
    with ContainedValkey() as primary, ContainedValkey(primary) as replica:
        yield primary, replica


@pytest.fixture
def primary(servers: tuple[ContainedValkey, ContainedValkey]) -> ContainedValkey:
    primary, replica = servers
    wait_for("a replica", lambda: is_linked(replica))
    primary.flush()
    return primary


@contextmanager
def paused(replica: ContainedValkey) -> Iterator[None]:
    replica.pause()
    try:
        yield
    finally:
        replica.resume()


@asynccontextmanager
async def broker_of(server: ContainedValkey, replicas: int = 1) -> AsyncIterator[ValkeyBroker]:
    broker = ValkeyBroker(Replicated(server.url, replicas=replicas), BOUNDS)
    try:
        yield broker
    finally:
        await broker.close()


def update(data: str, event_id: str | None = None) -> Update:
    return Update(("topic",), Event(data, event_id))


async def accepted(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask as a publisher does that tries again; a busy machine may take longer than a second."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await ask()
            except BrokerAwayError as error:
                assert error.cause == "replicas"  # noqa: PT017 (others are not expected)


async def texts(broker: ValkeyBroker) -> list[str]:
    return [data_of(record) for record in (await broker.read(BEGIN, 1000)).records]


def test_an_update_is_accepted_once_the_replica_has_it(
    primary: ContainedValkey, servers: tuple[ContainedValkey, ContainedValkey]
) -> None:
    async def scenario() -> None:
        async with broker_of(primary) as broker:
            for number in range(20):
                each = update(f"{number}", f"own {number}")
                await accepted(partial(broker.publish, each))
                assert servers[1].ask("XLEN", LOG) == number + 1

    asyncio.run(scenario())


def test_an_update_that_no_replica_has_is_not_accepted_also_if_it_is_sent_again(
    primary: ContainedValkey, servers: tuple[ContainedValkey, ContainedValkey]
) -> None:
    async def scenario() -> None:
        async with broker_of(primary) as broker:
            with paused(servers[1]):
                with pytest.raises(BrokerAwayError) as caught:
                    await broker.publish(update("a", "own"))
                assert (caught.value.cause, caught.value.nothing_taken) == ("replicas", False)
                with pytest.raises(BrokerAwayError) as probed:
                    await broker.probe()
                assert probed.value.words == caught.value.words
                # The history has it by now, so nothing is left to be written for it. Another
                # worker's connection has not written anything either.
                async with broker_of(primary) as other:
                    for each in (broker, other):
                        with pytest.raises(BrokerAwayError) as again:
                            await each.publish(update("a", "own"))
                        assert again.value.cause == "replicas"
            assert await accepted(partial(broker.publish, update("a", "own"))) == "own"
            assert await texts(broker) == ["a"]
            assert servers[1].ask("XLEN", LOG) == 1

    asyncio.run(scenario())


def test_whatever_somebody_is_told_of_waits_for_the_replica(
    primary: ContainedValkey, servers: tuple[ContainedValkey, ContainedValkey]
) -> None:
    lease = Lease(60, False, 60)
    batch = Batch("topic", Producer("producer", 0), 0, (update("b"),))
    revocation = Revocation(Selection(None, jti="t"), 1, None)

    claim = Claim("key", "run", "/run", "/runner", lease, 60)
    told: list[Callable[[ValkeyBroker], Awaitable[object]]] = [
        lambda broker: broker.publish_all([update("a", "own")]),
        lambda broker: broker.publish_batch(batch),
        lambda broker: broker.claim(claim),
        lambda broker: broker.revocations.revoke(revocation),
        lambda broker: broker.revocations.take_back("nobody's"),
    ]

    async def scenario() -> None:
        async with broker_of(primary) as broker:
            with paused(servers[1]):
                # The second time the history has all of it already.
                for ask in [*told, *told]:
                    with pytest.raises(BrokerAwayError) as caught:
                        await ask(broker)
                    assert (caught.value.cause, caught.value.nothing_taken) == ("replicas", False)
            wait_for("the replica", lambda: is_linked(servers[1]))
            for ask in told:
                await accepted(partial(ask, broker))
            assert await texts(broker) == ["a", "b"]

    asyncio.run(scenario())


def test_a_primary_that_cannot_confirm_takes_nothing_and_goes_on_once_it_can(
    primary: ContainedValkey,
) -> None:
    async def scenario() -> None:
        primary.ask("CONFIG", "SET", "appendonly", "no")
        async with broker_of(primary) as broker:
            for ask in (broker.publish(update("a")), broker.probe()):
                with pytest.raises(BrokerAwayError, match="appendonly yes") as caught:
                    await ask
                assert (caught.value.cause, caught.value.nothing_taken) == ("WAITAOF", True)
            assert primary.ask("EXISTS", LOG) == 0
            primary.ask("CONFIG", "SET", "appendonly", "yes")
            await accepted(partial(broker.publish, update("b", "own")))
            assert await texts(broker) == ["b"]

    asyncio.run(scenario())
