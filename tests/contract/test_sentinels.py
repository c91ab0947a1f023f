"""Real sentinels, and servers that are killed, stopped and cut off under a worker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.record import BEGIN
from barestream.history.standing import Standing
from barestream.history.update import Update
from barestream.history.valkey import sentinels
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.mercure.sse import Event
from reader import Reader, at_last
from support.judges.published import data_of
from support.servers.scripted_sentinel import ScriptedSentinel
from support.servers.sentinel_group import SERVICE, SentinelGroup, has_all
from support.servers.served import until
from support.servers.service import free_port
from support.servers.valkey_server import ValkeyServer

BOUNDS = HistoryBounds(events=1000, seconds=1e9, bytes=10_000_000)


def update(data: str) -> Update:
    return Update(("topic",), Event(data))


class Worker:
    """A worker's broker, and what it was told of the sentinels."""

    def __init__(self, url: str, password: str) -> None:
        self.standings: list[Standing] = []
        where = Replicated(url, notify=self.standings.append)
        self.broker = ValkeyBroker(where, BOUNDS, password)

    async def publish(self, data: str) -> None:
        """Publish as a publisher does that tries again."""
        await at_last(lambda: self.broker.publish(update(data)))


@asynccontextmanager
async def worker_of(url: str, password: str) -> AsyncIterator[Worker]:
    worker = Worker(url, password)
    try:
        yield worker
    finally:
        await worker.broker.close()


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    with SentinelGroup() as running:
        yield running


@pytest.mark.parametrize("fault", ["killed", "stopped", "demoted"])
def test_readers_and_publishers_follow_a_failover_from_a_primary_that_was(
    group: SentinelGroup, fault: str
) -> None:
    before, after = group.servers

    async def scenario() -> None:
        async with worker_of(group.url, group.password) as worker:
            reader = Reader(worker.broker)
            async with reader.following():
                await worker.publish("before")
                await until(lambda: reader.events() == ["before"])
                await until(lambda: has_all(after, before))
                if fault == "killed":
                    before.kill()
                elif fault == "stopped":
                    before.pause()
                else:
                    group.sentinels[0].ask("SENTINEL FAILOVER", SERVICE)
                await asyncio.to_thread(group.wait_until_primary, after)
                first, last = (f"127.0.0.1:{each.port}" for each in (before, after))
                await until(lambda: worker.standings[-1].primary == last)
                await worker.publish("after")
                await until(lambda: reader.events() == ["before", "after"])
                named = [each.primary for each in worker.standings]
                assert list(dict.fromkeys(named)) == [first, last]
                if fault == "stopped":
                    # It still takes itself for the primary. Nothing comes from there any more.
                    before.resume()
                    await worker.publish("later")
                    await until(lambda: reader.events() == ["before", "after", "later"])

    asyncio.run(scenario())


def test_a_worker_goes_on_with_the_primary_that_it_knows_while_all_sentinels_are_away(
    shared_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shared_valkey.ask("FLUSHALL")

    async def scenario() -> None:
        sentinel = ScriptedSentinel(shared_valkey)
        async with sentinel.served():
            url = f"redis+sentinel://barestream@127.0.0.1:{sentinel.port}/{SERVICE}"
            async with worker_of(url, shared_valkey.password) as worker:
                await worker.publish("a")
                sentinel.is_silent = True
                await until(lambda: worker.standings[-1].answering == 0)
                # A connection that is made anew needs the address, too.
                for each in shared_valkey.ask("CLIENT", "LIST", "TYPE", "NORMAL").split(b"\n"):
                    if b"name=barestream" in each:
                        shared_valkey.ask("CLIENT", "KILL", "ID", each.split()[0][3:])
                await worker.publish("b")
                page = await worker.broker.read(BEGIN, 10)
                assert list(map(data_of, page.records)) == ["a", "b"]
                assert worker.standings[-1].primary == f"127.0.0.1:{shared_valkey.port}"
                sentinel.is_silent = False
                await until(lambda: worker.standings[-1].answering == 1)

    asyncio.run(scenario())
    told = [each.message for each in caplog.records if "sentinel" in each.message]
    assert told == [
        "the sentinels name the primary",
        "no sentinel names a primary: this worker goes on with the one that it knows",
        "sentinels name a primary again",
    ]


def test_a_worker_that_no_sentinel_answers_says_so_and_takes_nothing() -> None:
    async def scenario() -> None:
        url = (
            f"redis+sentinel://barestream@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/{SERVICE}"
        )
        async with worker_of(url, "") as worker:
            with pytest.raises(BrokerAwayError, match="no sentinel names the primary") as caught:
                await worker.broker.publish(update("a"))
            assert (caught.value.cause, caught.value.nothing_taken) == ("unreachable", True)
            assert worker.standings == [Standing(None, 0, 2)]

    asyncio.run(scenario())


def test_a_primary_that_does_not_listen_yet_is_connected_to_once_it_does(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario() -> None:
        sentinel = ScriptedSentinel(fresh_valkey)
        async with sentinel.served():
            url = f"redis+sentinel://barestream@127.0.0.1:{sentinel.port}/{SERVICE}"
            async with worker_of(url, fresh_valkey.password) as worker:
                reader = Reader(worker.broker)
                async with reader.following():
                    fresh_valkey.kill()
                    for _ in range(10):
                        with pytest.raises(BrokerAwayError):
                            await worker.broker.publish(update("refused"))
                    fresh_valkey.start()
                    await worker.publish("a")
                    await until(lambda: reader.events() == ["a"])

    asyncio.run(scenario())


def test_a_sentinel_that_still_names_the_earlier_primary_is_not_believed(
    fresh_valkey: ValkeyServer, shared_valkey: ValkeyServer
) -> None:
    shared_valkey.ask("FLUSHALL")

    async def scenario() -> None:
        current, stale = (ScriptedSentinel(each) for each in (fresh_valkey, shared_valkey))
        current.epoch = 2
        async with current.served(), stale.served():
            url = f"redis+sentinel://barestream@127.0.0.1:{stale.port},127.0.0.1:{current.port}/{SERVICE}"
            async with worker_of(url, fresh_valkey.password) as worker:
                await worker.publish("a")
                current.is_silent = True
                await until(lambda: worker.standings[-1].answering == 1)
                await worker.publish("b")
                assert shared_valkey.ask("EXISTS", "{barestream}:log") == 0
                assert fresh_valkey.ask("XLEN", "{barestream}:log") == 2

    asyncio.run(scenario())


def test_a_sentinel_that_cannot_be_connected_to_is_left_alone_for_a_while(
    shared_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinels, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(sentinels, "REST_SECONDS", 3600)

    async def scenario() -> None:
        there, away = ScriptedSentinel(shared_valkey), ScriptedSentinel(shared_valkey)
        async with there.served(), AsyncExitStack() as stack:
            async with away.served():
                hosts = f"127.0.0.1:{there.port},127.0.0.1:{away.port}"
                url = f"redis+sentinel://barestream@{hosts}/{SERVICE}"
                worker = await stack.enter_async_context(worker_of(url, shared_valkey.password))
                await worker.publish("a")
                await until(lambda: away.asked > 1)
            # One that answers no more is asked again at once; only a refused connection counts.
            await until(lambda: worker.broker._guide._resting)
            async with away.served(away.port):
                seen, asked = there.asked, away.asked
                await until(lambda: there.asked > seen + 20)
                assert away.asked == asked

    asyncio.run(scenario())
