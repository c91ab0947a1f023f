"""A Valkey Cluster: the service finds the node that has the history, and follows it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from valkey.exceptions import ResponseError

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.record import Place
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.history.valkey.broker_url import Replicated
from barestream.history.valkey.connections import MOST_MOVES
from barestream.history.valkey.current_address import CurrentAddress
from barestream.mercure.sse import Event
from reader import at_last
from support.judges.published import data_of
from support.servers.service import PATIENCE_SECONDS
from support.servers.valkey_cluster import ValkeyCluster
from support.servers.valkey_server import ValkeyServer

BEGIN = Place(0, 0)
BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=10_000_000)


def update(data: str) -> Update:
    return Update(("topic",), Event(data))


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    with ValkeyCluster() as running:
        yield running


@asynccontextmanager
async def broker_at(node: ValkeyServer) -> AsyncIterator[ValkeyBroker]:
    broker = ValkeyBroker(node.url, BOUNDS, node.password)
    try:
        yield broker
    finally:
        await broker.close()


async def texts(broker: ValkeyBroker) -> list[str]:
    return [data_of(record) for record in (await broker.newest(1000, 1_000_000)).records]


async def publish_at_last(broker: ValkeyBroker, data: str) -> None:
    """Publish an update; try again while the cluster refuses it."""
    await at_last(lambda: broker.publish(update(data)))


async def wait_at_last(broker: ValkeyBroker, after: Place) -> str:
    """Return the data of what comes next; wait again while the cluster refuses to tell."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            page = await at_last(lambda: broker.wait(after, 10))
            if page.records:
                return data_of(page.records[0])


def test_a_broker_finds_the_node_that_has_the_history_and_follows_it_over_a_failover(
    cluster: ValkeyCluster,
) -> None:
    async def scenario() -> None:
        async with broker_at(cluster.other) as broker:
            # None of these is told that the history is elsewhere.
            await broker.publish(update("first"))
            await asyncio.gather(*(broker.publish(update(f"{n}")) for n in range(20)))
            written = ["first", *(f"{n}" for n in range(20))]
            assert await texts(broker) == written
            last = (await broker.newest(1, 1000)).upto
            waits = asyncio.create_task(broker.wait(last, 10))
            await broker.publish(update("awaited"))
            assert [data_of(record) for record in (await waits).records] == ["awaited"]
            assert await broker.misfits() == []
            last = (await broker.newest(1, 1000)).upto
            # Its connection is at the node that is demoted while it waits.
            waits = asyncio.create_task(wait_at_last(broker, last))
            await asyncio.to_thread(cluster.fail_over)
            await publish_at_last(broker, "after a failover")
            assert await waits == "after a failover"
            assert await texts(broker) == [*written, "awaited", "after a failover"]

    asyncio.run(scenario())


def test_a_broker_goes_by_its_url_again_when_the_node_that_it_was_sent_to_has_died(
    cluster: ValkeyCluster,
) -> None:
    async def scenario() -> None:
        async with broker_at(cluster.other) as broker:
            await broker.publish(update("before"))
            last = (await broker.newest(1, 1000)).upto
            waits = asyncio.create_task(wait_at_last(broker, last))
            await asyncio.to_thread(cluster.wait_for_copy)
            await asyncio.to_thread(cluster.primary.kill)
            with pytest.raises(BrokerAwayError):
                await broker.publish(update("lost"))
            await asyncio.to_thread(cluster.take_over)
            await publish_at_last(broker, "after")
            assert await waits == "after"
            assert await texts(broker) == ["before", "after"]

    asyncio.run(scenario())


# --- what a node names ---


def moved(address: str) -> ResponseError:
    return ResponseError(f"MOVED 3999 {address}")


@pytest.mark.parametrize(
    ("answers", "host", "port"),
    [
        ([moved("10.0.0.7:6381")], "10.0.0.7", 6381),
        ([moved("10.0.0.7:6381"), moved("10.0.0.8:6382")], "10.0.0.7", 6381),
        ([moved("node.example.com:6379")], "node.example.com", 6379),
        ([moved("2001:db8::1:6379")], "2001:db8::1", 6379),
        # A node that does not know its own name.
        ([moved(":6380")], "first", 6380),
    ],
)
def test_the_address_that_all_answers_name_is_the_current_one_until_it_fails(
    answers: list[ResponseError], host: str, port: int
) -> None:
    address = CurrentAddress({"host": "first"})
    assert address.options == {}
    assert address.follow(answers)
    assert address.options == {"host": host, "port": port}
    address.forget()
    assert address.options == {}


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [b"MOVED 3999 10.0.0.7:6381"],
        # The first was done: the question may not be asked again.
        [b"1", moved("10.0.0.7:6381")],
        [moved("10.0.0.7:6381"), ResponseError("ASK 3999 10.0.0.7:6381")],
        [ResponseError("MOVED")],
    ],
)
def test_other_answers_lead_nowhere(answers: list[ResponseError | bytes]) -> None:
    address = CurrentAddress({"host": "first"})
    assert not address.follow(answers)
    assert address.options == {}


def test_an_answer_of_a_unix_socket_leads_nowhere() -> None:
    assert not CurrentAddress({"path": "/run/valkey.sock"}).follow([moved("10.0.0.7:6381")])


def test_a_publish_that_replicas_confirm_follows_the_history_to_another_node() -> None:
    """Two servers: one answers each command of a key with the address of the other."""
    asked: dict[int, list[bytes]] = {0: [], 1: []}
    ports: list[int] = []

    async def serve(nth: int) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while head := await reader.readline():
                    parts = [await text(reader) for _ in range(int(head[1:]))]
                    asked[nth].append(parts[0])
                    writer.write(answer_to(parts[0], nth))
            writer.close()

        return await asyncio.start_server(answer, "127.0.0.1", 0)

    async def text(reader: asyncio.StreamReader) -> bytes:
        size = int((await reader.readline())[1:])
        return (await reader.readexactly(size + 2))[:-2]

    def answer_to(name: bytes, nth: int) -> bytes:
        # These have no key, so any node does them.
        keyless = {b"CLIENT": b"+OK", b"WAIT": b":0", b"WAITAOF": b"*2\r\n:1\r\n:1"}
        if name in keyless:
            return keyless[name] + b"\r\n"
        if nth == 0:
            return b"-MOVED 3999 127.0.0.1:%d\r\n" % ports[1]
        return b":0\r\n" if name == b"HSET" else b"*1\r\n$3\r\n7-1\r\n"

    async def scenario() -> None:
        servers = [await serve(0), await serve(1)]
        ports.extend(server.sockets[0].getsockname()[1] for server in servers)
        broker = ValkeyBroker(Replicated(f"redis://127.0.0.1:{ports[0]}", replicas=1), BOUNDS)
        try:
            assert await broker.publish(update("a")) == "#7-1"
        finally:
            await broker.close()
            for server in servers:
                server.close()
        assert asked[1][-4:] == [b"EVALSHA", b"HSET", b"WAIT", b"WAITAOF"]

    asyncio.run(scenario())


def test_nodes_that_name_each_other_end_a_question_after_some_moves() -> None:
    """Two servers that answer each command with the address of the other."""
    asked = 0

    async def serve(other_port: list[int]) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    if b"SETNAME" in data or b"AUTH" in data:
                        writer.write(b"+OK\r\n")
                    else:
                        asked += 1
                        writer.write(b"-MOVED 3999 127.0.0.1:%d\r\n" % other_port[0])
            writer.close()

        return await asyncio.start_server(answer, "127.0.0.1", 0)

    async def scenario() -> None:
        ports: tuple[list[int], list[int]] = ([], [])
        servers = [await serve(ports[0]), await serve(ports[1])]
        own = [server.sockets[0].getsockname()[1] for server in servers]
        ports[0].append(own[1])
        ports[1].append(own[0])
        broker = ValkeyBroker(f"redis://127.0.0.1:{own[0]}", BOUNDS)
        try:
            with pytest.raises(BrokerAwayError) as caught:
                await broker.probe()
        finally:
            await broker.close()
            for server in servers:
                server.close()
        assert (caught.value.cause, caught.value.nothing_taken) == ("MOVED", True)
        assert "its cluster moves the history" in caught.value.words
        assert asked == 1 + MOST_MOVES

    asyncio.run(scenario())
