"""The revocations in a Valkey that fails, forgets, or goes back; and what a worker makes of it."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from barestream.delivery.revoked import Revoked
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.record import BEGIN
from barestream.history.revocations import Revocation, Selection
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics
from support.servers.served import until
from support.servers.valkey_server import ValkeyServer
from topic_updates import update

NOW = 1_800_000_000.0


def token(jti: str) -> TokenId:
    return TokenId(None, jti, None, None, (b"",))


def of(jti: str, *, until_ms: int | None = None) -> Revocation:
    return Revocation(Selection(None, jti=jti), int(1000 * NOW), until_ms)


class Worker:
    """A worker that reads the revocations again when the test says so."""

    def __init__(self, server: ValkeyServer) -> None:
        self.broker = ValkeyBroker(
            server.url, HistoryBounds(1000, 1e9, 10_000_000), server.password
        )
        self.store = self.broker.revocations
        self.metrics = Metrics()
        self.now = NOW
        self.revoked = Revoked(self.store, self.metrics, Slices(lambda: 0.0), lambda: self.now)

    async def turn(self) -> None:
        """Have it ask once more."""
        with suppress(BrokerAwayError):
            await self.revoked.refresh()

    def revokes(self, *jtis: str) -> list[bool]:
        return [self.revoked.revokes(token(jti)) for jti in jtis]

    def text(self) -> str:
        return self.metrics.text().decode()


def run(
    server: ValkeyServer, scenario: Callable[[Worker, Worker], Coroutine[Any, Any, None]]
) -> None:
    """Run a scenario of two workers."""

    async def act() -> None:
        workers = Worker(server), Worker(server)
        try:
            await scenario(*workers)
        finally:
            for each in workers:
                await each.broker.close()

    asyncio.run(act())


def test_a_worker_notices_what_another_has_changed(server: ValkeyServer) -> None:
    async def scenario(first: Worker, second: Worker) -> None:
        await second.turn()
        assert not second.revoked.may_refuse
        await first.store.revoke(of("a"))
        await first.store.revoke(of("b"))
        await second.turn()
        assert second.revoked.may_refuse
        assert second.revokes("a", "b", "c") == [True, True, False]
        await first.store.take_back(of("a").id)
        await second.turn()
        assert second.revokes("a", "b") == [False, True]
        await first.store.take_back(of("b").id)
        await second.turn()
        assert not second.revoked.may_refuse

    run(server, scenario)


def test_nothing_is_read_where_nothing_has_changed(server: ValkeyServer) -> None:
    async def scenario(first: Worker, _: Worker) -> None:
        await first.store.revoke(of("a"))
        await first.turn()
        server.ask("CONFIG", "RESETSTAT")
        for _turn in range(10):
            await first.turn()
        told = server.ask("INFO", "commandstats")
        assert told["cmdstat_hmget"]["calls"] == 10
        assert not [name for name in told if "scan" in name or "eval" in name]

    run(server, scenario)


def test_what_was_read_last_holds_while_valkey_is_away(
    fresh_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "barestream.delivery.revoked")

    async def scenario(first: Worker, second: Worker) -> None:
        await first.store.revoke(of("a"))
        await first.turn()
        fresh_valkey.kill()
        for _turn in range(3):
            await first.turn()
        await second.turn()
        assert first.revokes("a", "b") == [True, False]
        with pytest.raises(BrokerAwayError):
            await second.revoked.wait_until_read()
        assert "barestream_revocations_current 0.0" in first.text()
        fresh_valkey.start()
        for each in (first, second):
            # The first question finds that the connection has ended.
            await each.turn()
            await each.turn()
            await each.revoked.wait_until_read()
            assert each.revokes("a", "b") == [True, False]
            assert "barestream_revocations_current 1.0" in each.text()

    run(fresh_valkey, scenario)
    # The connection was broken, and then there was none: two causes.
    assert [record.message for record in caplog.records] == [
        "the revocations cannot be read: those that were read last hold",
        "the revocations cannot be read: those that were read last hold",
        "the revocations were not read yet: requests with a token are put off",
        "the revocations are read again",
        "the revocations are read again",
    ]


def test_a_valkey_that_lost_them_is_followed(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(first: Worker, second: Worker) -> None:
        for each in "abc":
            await first.store.revoke(of(each))
        await second.turn()
        server.ask("FLUSHALL")
        # As many changes as before, before the worker asks.
        for each in "cde":
            await first.store.revoke(of(each))
        await second.turn()
        assert second.revokes(*"abcde") == [False, False, True, True, True]
        assert "barestream_revocations_lost_total 1.0" in second.text()

    run(server, scenario)
    [record] = caplog.records
    assert "lost or replaced by an older copy" in record.message
    assert record.__dict__["gone"] == 2


def test_an_older_copy_is_noticed_also_after_as_many_changes(fresh_valkey: ValkeyServer) -> None:
    async def scenario(first: Worker, second: Worker) -> None:
        await first.store.revoke(of("old"))
        fresh_valkey.ask("CONFIG", "SET", "appendonly", "no")
        fresh_valkey.ask("SAVE")
        copy = fresh_valkey.folder / "dump.rdb"
        kept = copy.read_bytes()
        await first.store.revoke(of("new"))
        await second.turn()
        assert second.revokes("old", "new") == [True, True]
        fresh_valkey.kill()
        shutil.rmtree(fresh_valkey.folder / "appendonlydir", ignore_errors=True)
        (fresh_valkey.folder / "appendonly.aof").unlink(missing_ok=True)
        config = fresh_valkey.folder / "server.conf"
        config.write_text(config.read_text().replace("appendonly yes", "appendonly no"))
        copy.write_bytes(kept)
        fresh_valkey.start()
        await first.turn()
        await second.turn()
        await first.store.revoke(of("other"))
        await second.turn()
        assert second.revokes("old", "new", "other") == [True, False, True]

    run(fresh_valkey, scenario)


def test_an_older_release_leaves_them_alone(server: ValkeyServer) -> None:
    async def scenario(first: Worker, second: Worker) -> None:
        await first.store.revoke(of("a", until_ms=2 * int(1000 * NOW)))
        # What an older release does with a history: it publishes, trims, and begins anew.
        await first.broker.publish(update("u", "t"))
        await first.broker.trim()
        server.ask("DEL", "{barestream}:log", "{barestream}:state")
        await first.broker.publish(update("v", "t"))
        assert len((await first.broker.read(BEGIN, 9)).records) == 1
        await second.turn()
        assert second.revokes("a") == [True]

    run(server, scenario)


def test_one_that_is_over_holds_no_more_though_nothing_has_changed(server: ValkeyServer) -> None:
    async def scenario(first: Worker, _: Worker) -> None:
        await first.store.revoke(of("a", until_ms=int(1000 * NOW) + 5000))
        await first.turn()
        first.now = NOW + 4.999
        assert first.revokes("a") == [True]
        first.now = NOW + 5
        assert first.revokes("a") == [False]
        assert first.revoked.may_refuse
        await first.turn()
        assert not first.revoked.may_refuse
        assert await first.revoked.page("", 9) == []

    run(server, scenario)


def test_a_request_waits_for_the_first_read_of_a_slow_valkey(fresh_valkey: ValkeyServer) -> None:
    async def scenario(first: Worker, second: Worker) -> None:
        await first.store.revoke(of("a"))
        fresh_valkey.pause()
        reading = asyncio.create_task(second.turn())
        waiting = asyncio.create_task(second.revoked.wait_until_read())
        await until(fresh_valkey.unread_bytes)
        assert not waiting.done()
        fresh_valkey.resume()
        await asyncio.gather(reading, waiting)
        assert second.revokes("a") == [True]

    run(fresh_valkey, scenario)


@pytest.mark.parametrize("value", [b"1 0 0 [null, 1, 2, 3, 4]", b"1 0 0 {", b"later", b"\xff"])
def test_a_revocation_of_another_form_leaves_the_others_in_force(
    server: ValkeyServer, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(first: Worker, _: Worker) -> None:
        server.ask("HSET", "{barestream}:revocations", "of another form", value)
        await first.store.revoke(of("a"))
        await first.turn()
        assert first.revokes("a", "b") == [True, False]

    run(server, scenario)
    assert "a revocation cannot be read" in caplog.messages
