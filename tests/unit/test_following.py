"""How a stream passes from its rewind to the feed."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from barestream.delivery.resume import Resumption
from barestream.delivery.revoked import Revoked
from barestream.delivery.rewinding import Plan, Rewinding
from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.time_slices import Slices
from barestream.history.local_revocations import LocalRevocations
from barestream.history.record import Place
from barestream.history.revocations import Revocation, Selection
from barestream.history.topic_state import Rewind
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics
from barestream.web.follow import Following
from fake_writer import FakeWriter, fake_stream
from rewinds import World, events, played, settle


@asynccontextmanager
async def followed(
    world: World, plan: Plan, **fields: Any
) -> AsyncIterator[tuple[Stream, FakeWriter]]:
    stream, writer = fake_stream()
    following = Following(
        world.feed,
        Resumption(None),
        fields.pop("heartbeat_events", False),
        plan.whole,
        rewinding=partial(Rewinding, world.tail, plan, sleep=world.sleep),
        **fields,
    )
    async with following(stream):
        yield stream, writer


def test_nothing_is_missing_or_twice_between_a_rewind_and_the_feed() -> None:
    async def scenario() -> None:
        world = World(ring_events=2)
        await world.publish_all("a1", "x1", "a2", "a3")
        async with followed(world, world.plan("a")) as (_, writer):
            writer.take_bytes = 0
            for number in range(4, 30):
                # Each comes while the client takes an event of the rewind, or after it.
                await world.publish(f"a{number}")
                await settle()
                writer.drain()
            while writer.pending_bytes:
                writer.drain()
                await settle()
        got = events(writer)
        assert [data for data, _ in got] == [f"a{number}" for number in range(1, 30)]
        in_rewind = [str(event_id).endswith("~") for _, event_id in got]
        assert in_rewind == sorted(in_rewind, reverse=True)

    played(scenario)


def test_the_client_is_told_once_that_its_replay_is_over_after_all_of_it() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish_all("a1", "a2", "x1")
        async with followed(world, world.plan("a", "b"), tells_ready=True) as (_, writer):
            await settle()
            await world.publish("b1")
            await world.publish("a3")
        ready = (json.dumps({"empty": ["b"]}), "#4000-0")
        assert [data for data, _ in events(writer)] == ["a1", "a2", ready[0], "b1", "a3"]
        assert events(writer)[2] == ready

    played(scenario)


def test_a_heartbeat_says_that_the_rewind_is_not_over_until_it_is() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish("a1")
        world.broker.away["rewound"] = 1
        plan = world.plan("a", rewind=Rewind(events=1))
        async with followed(world, plan, heartbeat_events=True) as (stream, writer):
            await asyncio.sleep(0)
            assert stream.heartbeat().body.endswith(b"\nid: #0-0~\n\n")
            await settle()
            assert stream.heartbeat().body.endswith(b"\nid: #2000-0\n\n")
        assert events(writer) == [("a1", "#2000-0"), ("", "#2000-0")]

    played(scenario)


def sent_while_it_reads_slowly(meanwhile: Callable[[World], Awaitable[None]]) -> list[str]:
    """Return what a slow client of two updates is sent where something happens in its rewind."""

    async def scenario() -> list[str]:
        world = World()
        await world.publish_all("a1", "a2")
        async with followed(world, world.plan("a")) as (_, writer):
            writer.take_bytes = 0
            await settle()
            await meanwhile(world)
            while writer.pending_bytes:
                writer.drain()
                await settle()
        return [data for data, _ in events(writer)]

    return played(scenario)


def test_a_client_whose_worker_took_up_another_history_meanwhile_is_sent_a_gap() -> None:
    async def leap(world: World) -> None:
        for _ in world.feed.leap(Place(500, 0), []):
            pass

    assert sent_while_it_reads_slowly(leap) == ["a1", "a2", "gap #3000-0 #500-0"]


def test_a_client_whose_worker_fell_behind_its_history_meanwhile_misses_nothing() -> None:
    async def restart(world: World) -> None:
        for _ in world.feed.restart(world.feed.ring.last):
            pass
        await world.publish("a3")

    assert sent_while_it_reads_slowly(restart) == ["a1", "a2", "a3"]


@pytest.mark.parametrize("rewind", [Rewind(kept=True), Rewind(events=5)])
def test_a_client_of_ended_topics_that_have_nothing_left_gets_a_cursor(rewind: Rewind) -> None:
    async def scenario() -> None:
        world = World(events=1)
        await world.publish("a1", end=3600)
        await world.publish("x1")
        async with followed(world, world.plan("a", rewind=rewind)) as (stream, writer):
            await settle()
            assert stream.end_reason is EndReason.ENDED
        # Without an id it would come back for ever.
        assert events(writer) == [("", "#3000-0")]
        assert b"event: barestream.heartbeat\n" in writer.body

    played(scenario)


def test_a_client_of_ended_topics_is_sent_their_rewind_and_no_more() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish("a1")
        await world.publish("a2", end=3600)
        async with followed(world, world.plan("a"), heartbeat_events=True) as (stream, writer):
            await settle()
            assert stream.end_reason is EndReason.ENDED
            assert writer.closed
        assert events(writer) == [("a1", "#0-0~"), ("a2", "#3000-0")]

    played(scenario)


def test_a_rewind_that_fails_ends_the_stream_so_that_its_client_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        world = World()
        await world.publish("a1")

        async def fail(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        world.broker.__dict__["rewound"] = fail
        async with followed(world, world.plan("a")) as (stream, _):
            await settle()
            assert stream.end_reason is EndReason.ERROR

    with caplog.at_level(logging.ERROR):
        played(scenario)
    [record] = caplog.records
    assert record.message == "a rewind failed"


def test_a_client_that_leaves_ends_its_rewind() -> None:
    async def scenario() -> None:
        world = World()
        await world.publish_all("a1", "a2")
        async with followed(world, world.plan("a")) as (_, writer):
            writer.take_bytes = 0
            await settle()
        writer.drain()
        await settle()
        assert [data for data, _ in events(writer)] == ["a1"]
        # Nothing follows it any more.
        await world.publish("a3")
        assert len(asyncio.all_tasks()) == 1

    played(scenario)


@pytest.mark.parametrize("jti", ["revoked", "other"])
def test_a_stream_whose_token_was_revoked_before_it_began_ends(jti: str) -> None:
    token = TokenId(None, jti, None, None, ())

    async def scenario() -> None:
        world = World()
        store = LocalRevocations(1)
        await store.revoke(Revocation(Selection(None, jti="revoked"), 0))
        revoked = Revoked(store, Metrics(), Slices(lambda: 0.0), lambda: 0.0)
        await revoked.refresh()
        plan = world.plan("a")
        async with followed(world, plan, token=token, revoked=revoked) as (stream, _):
            ended = EndReason.REVOKED if jti == "revoked" else None
            assert (stream.token, stream.end_reason) == (token, ended)

    played(scenario)
