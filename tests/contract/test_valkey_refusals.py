"""A Valkey that answers and refuses: the errors name it, and publishing goes on after it."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from valkey._parsers.base import BaseParser

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.record import Place
from barestream.history.sweeps import Sweeps
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.history.valkey.errors import answered
from barestream.mercure.sse import Event
from batches import TOPIC, batch, leased
from random_courses import SetClock
from support.judges.published import data_of
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, wait_for
from support.servers.valkey_server import ValkeyServer

LOG = "{barestream}:log"
BEGIN = Place(0, 0)
BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=10_000_000)


def update(data: str = "data") -> Update:
    return Update(("topic",), Event(data))


@asynccontextmanager
async def broker_of(server: ValkeyServer, url: str | None = None) -> AsyncIterator[ValkeyBroker]:
    broker = ValkeyBroker(url or server.url, BOUNDS, server.password)
    try:
        yield broker
    finally:
        await broker.close()


async def texts(broker: ValkeyBroker) -> list[str]:
    page = await broker.read(BEGIN, 1000)
    return [data_of(record) for record in page.records]


async def refused(broker: ValkeyBroker) -> BrokerAwayError:
    """Return the error of a refused publish; a probe is refused with the same one."""
    with pytest.raises(BrokerAwayError) as caught:
        await broker.publish(update("refused"))
    with pytest.raises(BrokerAwayError) as probed:
        await broker.probe()
    assert str(probed.value) == str(caught.value)
    assert (probed.value.cause, probed.value.words) == (caught.value.cause, caught.value.words)
    return caught.value


@contextmanager
def full(server: ValkeyServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield
    server.ask("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def without_replicas(server: ValkeyServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    yield
    server.ask("CONFIG", "SET", "min-replicas-to-write", "0")


@contextmanager
def demoted(server: ValkeyServer) -> Iterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", "1")
    yield
    server.ask("REPLICAOF", "NO", "ONE")


@contextmanager
def cut_off(server: ValkeyServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    with demoted(server):
        yield


@contextmanager
def without_a_disk(server: ValkeyServer) -> Iterator[None]:
    def has_saved(status: str) -> Callable[[], bool]:
        return lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == status

    # Not even root can replace a folder by a file.
    snapshot = server.folder / "dump.rdb"
    (snapshot / "in the way").mkdir(parents=True)
    server.ask("CONFIG", "SET", "save", "3600 1000000")
    server.ask("BGSAVE")
    wait_for("a snapshot that fails", has_saved("err"))
    yield
    shutil.rmtree(snapshot)
    server.ask("BGSAVE")
    wait_for("a snapshot", has_saved("ok"))


@contextmanager
def busy(server: ValkeyServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "busy-reply-threshold", "50")
    endless = threading.Thread(target=server.error, args=("EVAL", "while true do end", 0))
    endless.start()
    wait_for("a busy Valkey", lambda: "BUSY" in server.error("PING"))
    yield
    server.ask("SCRIPT", "KILL")
    endless.join()


@contextmanager
def without_permission(server: ValkeyServer) -> Iterator[None]:
    server.ask("ACL", "SETUSER", "barestream", "-eval", "-evalsha")
    yield
    server.ask("ACL", "SETUSER", "barestream", "+eval", "+evalsha")


@pytest.mark.parametrize(
    ("state", "cause", "words", "reads"),
    [
        (full, "OOM", "its memory is full", True),
        (without_replicas, "NOREPLICAS", "too few of its replicas", True),
        (demoted, "READONLY", "a read-only replica", True),
        (cut_off, "MASTERDOWN", "a replica without its primary", False),
        (without_a_disk, "MISCONF", "cannot write its data to the disk", True),
        (busy, "BUSY", "busy with a script", False),
        (without_permission, "NOPERM", "lacks the permission", False),
    ],
)
def test_a_refused_update_is_not_kept_its_cause_is_named_and_publishing_goes_on_afterwards(
    fresh_valkey: ValkeyServer, state: Callable[..., object], cause: str, words: str, reads: bool
) -> None:
    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.publish(update("before"))
            with state(fresh_valkey):  # type: ignore[attr-defined]
                error = await refused(broker)
                assert (error.cause, error.nothing_taken, error.is_refusal) == (cause, True, True)
                assert words in error.words
                assert str(error).startswith(f"{cause} ")
                assert "user_script" not in str(error)
                together = await asyncio.gather(
                    *(broker.publish(update(f"{n}")) for n in range(300)), return_exceptions=True
                )
                assert {getattr(each, "cause", each) for each in together} == {cause}
                if reads:
                    assert await texts(broker) == ["before"]
            await broker.probe()
            await broker.publish(update("after"))
            assert await texts(broker) == ["before", "after"]

    asyncio.run(scenario())


@pytest.mark.parametrize("state", [full, without_replicas, demoted, without_a_disk])
def test_no_lease_runs_out_while_updates_are_refused_and_questions_answered(
    fresh_valkey: ValkeyServer, state: Callable[..., object]
) -> None:
    lease = leased(0.5)
    # The sweeps follow each other at once; by the worker's clock they are this far apart.
    step_ms = 100
    clock = SetClock()

    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            sweeps = Sweeps("leases", broker.end_overdue, lambda _: None, clock)

            async def sweep(count: int) -> None:
                for _ in range(count):
                    clock.ms += step_ms
                    await sweeps._sweep()

            await sweep(10)
            await broker.publish_batch(batch(0, "a", lease=lease))
            with state(fresh_valkey):  # type: ignore[attr-defined]
                await asyncio.sleep(lease.seconds)
                clock.ms += int(1000 * lease.seconds)
                await sweep(5)
                with pytest.raises(BrokerAwayError):
                    await broker.end_overdue(0, 0)
            await sweep(5)
            assert not await broker.ends()
            async with asyncio.timeout(10):
                while TOPIC not in await broker.ends():
                    await sweep(1)

    asyncio.run(scenario())


def test_sweeps_without_leases_are_answered_while_updates_are_refused(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.publish(update())
            with full(fresh_valkey):
                assert (await broker.end_overdue(0, 0))[1:] == (0, [])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
        ("MOVED 3999 127.0.0.1:6381", "MOVED"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
        ("EXECABORT Transaction discarded because of previous errors.", "EXECABORT"),
        ("EXECABORT Transaction discarded because of: OOM command not allowed.", "OOM"),
        ("UNBLOCKED force unblock from blocking operation", "UNBLOCKED"),
    ],
)
def test_an_answer_after_which_nothing_was_done_is_reported_by_its_code(
    answer: str, cause: str
) -> None:
    error = answered(BaseParser.parse_error(answer))
    assert (error.cause, error.is_refusal, error.nothing_taken) == (cause, True, True)


@pytest.mark.parametrize(
    "answer",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value script: "
        "d736798466e4e86725e25b2c2dda62662e357303, on @user_script:62.",
        "ERR unknown command 'X', with args beginning with: 'secret'",
    ],
)
def test_an_error_that_may_follow_an_added_update_leaves_its_fate_open(answer: str) -> None:
    error = answered(BaseParser.parse_error(answer))
    assert (error.cause, error.is_refusal, error.nothing_taken) == ("error", False, False)
    assert "secret" not in str(error)
    assert "user_script" not in str(error)


def test_a_script_that_fails_after_it_added_an_update_leaves_its_fate_open(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.publish(update("before"))
            fresh_valkey.ask("ACL", "SETUSER", "barestream", "-rpush")
            with pytest.raises(BrokerAwayError) as caught:
                await broker.publish(update("added"))
            assert not caught.value.nothing_taken
            assert await texts(broker) == ["before", "added"]

    asyncio.run(scenario())


def test_updates_whose_transaction_is_not_permitted_are_answered_one_by_one(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            fresh_valkey.ask("ACL", "SETUSER", "barestream", "-multi")
            await asyncio.gather(*(broker.publish(update(f"{n}")) for n in range(3)))
            assert await texts(broker) == ["0", "1", "2"]

    asyncio.run(scenario())


def test_an_update_that_was_not_sent_is_not_kept_and_the_fate_of_a_sent_one_is_open(
    fresh_valkey: ValkeyServer,
) -> None:
    async def certain(broker: ValkeyBroker) -> bool:
        with pytest.raises(BrokerAwayError) as caught:
            await broker.publish(update())
        return caught.value.nothing_taken

    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.publish(update())
            fresh_valkey.pause()
            sent = asyncio.create_task(certain(broker))
            await until(lambda: not broker._publishing._pending and fresh_valkey.unread_bytes())
            waiting = asyncio.create_task(certain(broker))
            assert not await sent
            # It waited for the answer to the one before, and was never sent.
            assert await waiting
            # The connection is gone: the next update waits for the greeting.
            assert await certain(broker)
            sent = asyncio.create_task(certain(broker))
            await asyncio.to_thread(fresh_valkey.kill)
            assert await sent
            assert await certain(broker)

    asyncio.run(scenario())


def test_late_answers_to_a_greeting_are_not_given_to_another_question(
    fresh_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(word: bytes) -> tuple[bytes, ...]:
        return (b"EVAL", b"return ARGV[1]", b"0", word)

    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            fresh_valkey.pause()
            reading = broker._reading
            for _ in range(2):
                with pytest.raises(BrokerAwayError):
                    await reading.ask(echo(b"late"))
            fresh_valkey.resume()
            # A loaded machine may be late with this answer.
            reading._answer_seconds = PATIENCE_SECONDS
            assert await reading.ask(echo(b"my"), echo(b"own")) == [b"my", b"own"]

    monkeypatch.setattr("barestream.history.valkey.broker.ANSWER_SECONDS", 0.2)
    asyncio.run(scenario())


# --- a server that was demoted ---


class Name:
    """A name that leads each new connection to one server, which the test may change."""

    def __init__(self, leads_to: ValkeyServer) -> None:
        self.leads_to = leads_to
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield f"redis://barestream@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self.leads_to.port)
        for ends in ((reader, there[1]), (there[0], writer)):
            self._tasks.add(asyncio.create_task(_copy(*ends)))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while some := await reader.read(65536):
            writer.write(some)
    finally:
        writer.close()


def test_a_demoted_valkey_is_left_for_the_one_that_its_name_leads_to(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario(other: ValkeyServer) -> None:
        other.password = fresh_valkey.password
        name = Name(fresh_valkey)
        async with name.served() as url, broker_of(fresh_valkey, url) as broker:
            await broker.publish(update("old"))
            # A connection for reading is open, too.
            assert await texts(broker) == ["old"]
            fresh_valkey.ask("REPLICAOF", "127.0.0.1", "1")
            name.leads_to = other
            untaken = 0
            for n in range(60):
                try:
                    await broker.publish(update(f"{n}"))
                except BrokerAwayError:
                    untaken += 1
            assert untaken == 1
            assert await texts(broker) == [f"{n}" for n in range(1, 60)]

    with ValkeyServer() as other:
        asyncio.run(scenario(other))


def test_a_valkey_that_goes_on_refusing_is_connected_to_anew_at_intervals(
    fresh_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connections() -> int:
        return int(fresh_valkey.ask("INFO", "stats")["total_connections_received"])

    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.publish(update())
            with full(fresh_valkey):
                before = connections()
                for _ in range(50):
                    with pytest.raises(BrokerAwayError):
                        await broker.publish(update())
                # Each question of the test itself opens a connection, too.
                assert connections() - before == 1 + 1

    monkeypatch.setattr("barestream.history.valkey.server.LEAVE_SECONDS", 3600)
    asyncio.run(scenario())


# --- probes, and bounds ---


def test_a_probe_begins_a_history_and_then_writes_nothing(fresh_valkey: ValkeyServer) -> None:
    def written() -> tuple[int, int]:
        figures = fresh_valkey.ask("INFO", "persistence")
        return figures["rdb_changes_since_last_save"], figures["aof_current_size"]

    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            await broker.probe()
            assert fresh_valkey.ask("HEXISTS", "{barestream}:state", "floor")
            before = written()
            for _ in range(20):
                await broker.probe()
            assert written() == before

    asyncio.run(scenario())


def test_a_history_that_does_not_fit_the_memory_is_reported_with_its_figures(
    fresh_valkey: ValkeyServer,
) -> None:
    async def scenario() -> None:
        async with broker_of(fresh_valkey) as broker:
            assert await broker.misfits() == []
            fresh_valkey.ask("CONFIG", "SET", "maxmemory", "20mb")
            assert await broker.misfits() == []
            fresh_valkey.ask("CONFIG", "SET", "maxmemory", "10mb")
            (misfit,) = await broker.misfits()
            assert misfit.figures == {
                "history_bytes": BOUNDS.bytes,
                "maxmemory_bytes": 10 * 1024 * 1024,
            }
            assert "BARESTREAM_HISTORY_BYTES" in misfit.remedy
            fresh_valkey.ask("CONFIG", "SET", "maxmemory", "20mb")
            fresh_valkey.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            (misfit,) = await broker.misfits()
            assert misfit.figures == {"maxmemory_policy": "allkeys-lru"}
            fresh_valkey.ask("ACL", "SETUSER", "barestream", "-info")
            assert await broker.misfits() == []

    asyncio.run(scenario())


def test_a_valkey_that_cannot_confirm_updates_takes_none_and_says_what_to_do(
    fresh_valkey: ValkeyServer,
) -> None:
    # Redis before 7.2 does not know the command, and each server needs its log for it.
    fresh_valkey.ask("CONFIG", "SET", "appendonly", "no")

    async def scenario() -> None:
        where = Replicated(fresh_valkey.url, replicas=1)
        broker = ValkeyBroker(where, BOUNDS, fresh_valkey.password)
        error = await refused(broker)
        assert (error.cause, error.nothing_taken) == ("WAITAOF", True)
        assert "BARESTREAM_BROKER_REPLICAS=1" in str(error)
        assert fresh_valkey.ask("EXISTS", LOG) == 0
        assert await texts(broker) == []
        await broker.close()

    asyncio.run(scenario())
