"""When a worker ends topics whose producers did not come back, with clocks that the test moves."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.leases import Leases
from barestream.history.local import LocalBroker
from barestream.history.producers import Batch, Lease, Producer, Swept
from barestream.history.update import Update
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics

TOPIC = "t"
LEASE_SECONDS = 6


class World:
    """A worker, and a history whose clock may jump.

    Attributes:
        seconds: The time of the worker.
        ahead_seconds: How far the history's clock is ahead.
        is_away: Whether the history fails to answer.
        cause: Why it does.
        slow_seconds: How long the history takes to answer.
    """

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.ahead_seconds = 1_700_000_000.0
        self.is_away = False
        self.cause = "unreachable"
        self.slow_seconds = 0.0
        world = self

        class MovedBroker(LocalBroker):
            """A history that can be away or slow."""

            async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
                if world.is_away:
                    raise BrokerAwayError("away", cause=world.cause)
                world.seconds += world.slow_seconds
                return await super().end_overdue(upto_ms, steady_ms)

        bounds = HistoryBounds(1000, 1e9, 10_000_000)
        self.broker = MovedBroker(bounds, lambda: self.seconds + self.ahead_seconds)
        self.metrics = Metrics()
        self.leases = Leases(self.broker, self.metrics, lambda: self.seconds)

    async def come_back(self, lease_seconds: float = LEASE_SECONDS) -> None:
        """Have the producer come back."""
        update = Update((TOPIC,), Event("a"))
        lease = Lease(lease_seconds, private=False, ended_seconds=3600)
        await self.broker.publish_batch(Batch(TOPIC, Producer("p", 0), 0, [update], lease))

    async def pass_time(self, seconds: float, step_seconds: float = 1.0) -> None:
        """Let the worker sweep once a second, or in other steps, for so long."""
        end = self.seconds + seconds

        async def sleep(_: float) -> None:
            if self.seconds + step_seconds > end:
                raise asyncio.CancelledError
            self.seconds += step_seconds

        with pytest.raises(asyncio.CancelledError):
            await self.leases.run(sleep)
        self.seconds = end

    async def has_ended(self) -> bool:
        """Return whether the topic has ended."""
        return TOPIC in await self.broker.ends()


async def steady() -> World:
    """Return a world whose worker has swept for longer than the lease that a producer has."""
    world = World()
    await world.pass_time(LEASE_SECONDS + 1)
    await world.come_back()
    return world


def test_a_topic_is_ended_within_a_second_of_its_leases_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act() -> None:
        world = await steady()
        await world.pass_time(LEASE_SECONDS - 0.5)
        assert not await world.has_ended()
        assert "barestream_leases 1.0" in world.metrics.text().decode()
        await world.pass_time(2)
        assert await world.has_ended()
        assert "barestream_leases 0.0" in world.metrics.text().decode()
        assert "barestream_topics_interrupted_total 1.0" in world.metrics.text().decode()

    with caplog.at_level(logging.WARNING):
        asyncio.run(act())
    [line] = caplog.records
    assert line.message == "a topic was ended: its producer did not come back in time"
    assert line.__dict__["topic"] == TOPIC


def test_a_worker_that_has_just_started_waits_for_the_whole_length_of_a_lease() -> None:
    async def act() -> None:
        world = World()
        await world.come_back()
        world.seconds += LEASE_SECONDS - 1
        await world.pass_time(LEASE_SECONDS - 0.5)
        assert not await world.has_ended()
        await world.pass_time(2)
        assert await world.has_ended()

    asyncio.run(act())


def test_a_shorter_lease_ends_before_a_longer_one_after_the_start() -> None:
    async def act() -> None:
        world = World()
        await world.come_back(60)
        await world.pass_time(59)
        await world.come_back(5)
        await world.pass_time(7)
        assert await world.has_ended()

    asyncio.run(act())


def be_away(world: World) -> None:
    world.is_away = True


def be_slow(world: World) -> None:
    world.slow_seconds = 4


@pytest.mark.parametrize("trouble", [be_away, be_slow])
def test_no_lease_runs_out_while_the_history_is_away(trouble: Callable[[World], None]) -> None:
    async def act() -> None:
        world = await steady()
        await world.pass_time(4)
        trouble(world)
        await world.pass_time(60)
        world.is_away, world.slow_seconds = False, 0
        await world.pass_time(LEASE_SECONDS - 1)
        assert not await world.has_ended()
        await world.come_back()
        await world.pass_time(LEASE_SECONDS - 1)
        assert not await world.has_ended()
        await world.pass_time(3)
        assert await world.has_ended()

    asyncio.run(act())


def test_each_cause_for_which_the_sweeps_fail_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act() -> None:
        world = World()
        await world.pass_time(10)
        for world.cause in ("unreachable", "error"):
            world.is_away = True
            await world.pass_time(60)
        for _ in range(2):
            world.is_away = False
            await world.pass_time(10)

    with caplog.at_level(logging.INFO):
        asyncio.run(act())
    failed, again = "overdue leases are not ended", "overdue leases are ended again"
    lines = [(line.message, line.__dict__.get("cause")) for line in caplog.records]
    assert lines == [(failed, "unreachable"), (failed, "error"), (again, None)]


def test_no_lease_runs_out_while_the_worker_stands_still() -> None:
    async def act() -> None:
        world = await steady()
        world.seconds += 3600
        await world.pass_time(LEASE_SECONDS - 1)
        assert not await world.has_ended()
        await world.pass_time(3)
        assert await world.has_ended()

    asyncio.run(act())


@pytest.mark.parametrize("jump_seconds", [4, 3600, 86_400 * 365])
def test_no_lease_runs_out_because_the_clock_was_set_forward(jump_seconds: float) -> None:
    async def act() -> None:
        world = await steady()
        await world.pass_time(3)
        world.ahead_seconds += jump_seconds
        await world.pass_time(LEASE_SECONDS - 1)
        assert not await world.has_ended()
        await world.pass_time(3)
        assert await world.has_ended()

    asyncio.run(act())


@pytest.mark.parametrize("jump_seconds", [4, 3600])
def test_a_lease_runs_anew_when_the_clock_was_set_back(jump_seconds: float) -> None:
    async def act() -> None:
        world = await steady()
        await world.pass_time(3)
        world.ahead_seconds -= jump_seconds
        await world.pass_time(LEASE_SECONDS - 1)
        assert not await world.has_ended()
        await world.pass_time(3)
        assert await world.has_ended()

    asyncio.run(act())


def test_a_clock_that_gains_a_little_ends_leases_in_time() -> None:
    async def act() -> None:
        world = await steady()
        for _ in range(LEASE_SECONDS + 2):
            world.ahead_seconds += 0.0005
            await world.pass_time(1)
        assert await world.has_ended()

    asyncio.run(act())


def test_a_loop_that_is_a_little_late_ends_leases_in_time() -> None:
    async def act() -> None:
        world = await steady()
        await world.pass_time(LEASE_SECONDS + 3, step_seconds=2.5)
        assert await world.has_ended()

    asyncio.run(act())
