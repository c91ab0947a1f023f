"""The bench's client finds every fault of a server, and none in a server without faults."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench.client import SEQUENCE, STAMP, TOPIC, Client, Load, Result, Target
from bench.servers import Ours
from support.servers.programs import path_of
from support.servers.served import until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

STREAMS = 5
LOAD = Load(
    streams=STREAMS,
    targets=[Target("/")],
    publishers=1,
    events_per_second=40,
    settle_seconds=0.1,
    measure_seconds=0.5,
    # It ends as soon as nothing is missing.
    drain_seconds=2,
)

# The events that a stream is sent when an event is published; both are given by number.
Plan = Callable[[int, int], Iterable[int]]


def well(_stream: int, event: int) -> list[int]:
    return [event]


@dataclass
class OddServer:
    """A server that sends its streams the events of a plan.

    Attributes:
        plan: The plan.
        piece_bytes: The size of the chunks in which an event is sent.
        end_at: The event after which each stream ends.
        form: How an event's data is written; it has one place for the data.
        refused: The publishes that are refused although their events are sent.
        streamed_most: After how many events of a streamed publish it is refused.
        published: The published events, in the order of their arrival.
    """

    plan: Plan = well
    piece_bytes: int = 1000
    end_at: int | None = None
    form: bytes = b"%b"
    refused: frozenset[int] = frozenset()
    streamed_most: int | None = None
    connections: int = 0
    published: list[bytes] = field(default_factory=list)
    _streams: list[asyncio.StreamWriter] = field(default_factory=list)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self.connections += 1
        await self._answer(reader, writer)
        writer.close()
        self.connections -= 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            if head.startswith(b"GET"):
                writer.write(HEAD)
                self._streams.append(writer)
                continue
            if b"chunked" in head:
                writer.write(await self._take_streamed(reader))
                return
            length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            self._send(await reader.readexactly(length))
            status = 503 if len(self.published) - 1 in self.refused else 201
            writer.write(answer(status, b"ok"))

    async def _take_streamed(self, reader: asyncio.StreamReader) -> bytes:
        """Send the events of a body in chunks, each a line, and return the answer."""
        taken = 0
        while size := int(await reader.readline(), 16):
            chunk = (await reader.readexactly(size + 2))[:-2]
            for line in chunk.splitlines():
                if taken == self.streamed_most:
                    return answer(409, b'{"status": 409, "accepted": %d}' % taken)
                taken += 1
                self._send(line)
        return answer(200, b'{"accepted": %d, "repeated": 0}' % taken)

    def _send(self, data: bytes) -> None:
        self.published.append(data)
        event = len(self.published) - 1
        for nth, stream in enumerate(self._streams):
            for number in self.plan(nth, event):
                data = self.form % self.published[number]
                text = b"id: x\nevent: y\ndata: %b\n\n" % data
                for at in range(0, len(text), self.piece_bytes):
                    piece = text[at : at + self.piece_bytes]
                    stream.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if event == self.end_at:
                stream.write(b"0\r\n\r\n")


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def listening(server: OddServer, socket: Path) -> AsyncIterator[None]:
    listener = await asyncio.start_unix_server(server.meet, socket)
    try:
        yield
    finally:
        listener.close()
        await until(lambda: not server.connections)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    path_of("cc", "gcc")
    return Client(tmp_path_factory.mktemp("bench"))


def request() -> bytes:
    data = f"{SEQUENCE} {STAMP} ."
    return f"POST / HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n{data}".encode()


@pytest.fixture
def found(client: Client, tmp_path: Path) -> Callable[[OddServer], Result]:
    """Return a function that returns the client's findings about an odd server."""

    async def run(server: OddServer) -> Result:
        async with listening(server, tmp_path / "socket"):
            load = replace(LOAD, request=request())
            return await asyncio.to_thread(client.run, tmp_path / "socket", load)

    return lambda server: asyncio.run(run(server))


def test_the_client_finds_no_fault_where_each_stream_gets_each_event_once(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer())
    assert result.accepted == result.published > 10
    assert result.delivered == result.owed == STREAMS * result.accepted
    assert result.faults == 0


def test_the_client_reads_events_that_arrive_in_pieces(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer(piece_bytes=1))
    assert result.delivered == STREAMS * result.accepted > 0
    assert result.faults == 0


def test_the_client_counts_events_that_a_stream_did_not_get(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer(lambda nth, event: [] if nth == 1 and event in (3, 7) else [event]))
    assert (result.lost, result.faults) == (2, 2)


def test_the_client_counts_events_that_a_stream_got_twice(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer(lambda nth, event: [event, 0] if (nth, event) == (2, 5) else [event]))
    assert (result.twice, result.faults) == (1, 1)


def test_the_client_counts_events_out_of_order(found: Callable[[OddServer], Result]) -> None:
    swapped = {5: [], 6: [6, 5]}
    plan: Plan = lambda nth, event: swapped.get(event, [event]) if nth == 3 else [event]  # noqa: E731
    result = found(OddServer(plan))
    assert (result.out_of_order, result.faults) == (1, 1)


def test_the_client_owes_an_event_that_was_refused_and_arrived_anyway(
    found: Callable[[OddServer], Result],
) -> None:
    partly = OddServer(
        lambda nth, event: [] if event == 4 and nth > 0 else [event], refused=frozenset({4})
    )
    result = found(partly)
    assert result.refused == 1
    assert (result.lost, result.faults) == (STREAMS - 1, STREAMS - 1)


def test_the_client_does_not_owe_a_refused_event(found: Callable[[OddServer], Result]) -> None:
    result = found(
        OddServer(lambda _, event: [] if event == 4 else [event], refused=frozenset({4}))
    )
    assert (result.refused, result.faults) == (1, 0)


def test_the_client_counts_streams_that_end_and_the_events_that_they_miss(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer(end_at=9))
    assert result.ended_early == STREAMS
    assert result.first_failure == "the response ended"
    assert result.lost == (result.accepted - 10) * STREAMS > 0


@pytest.mark.parametrize("are_odd", [False, True], ids=["even", "odd"])
@pytest.mark.parametrize("events_per_second", [100, 0], ids=["paced", "as soon as answered"])
def test_the_client_publishes_only_in_its_turns(
    client: Client, tmp_path: Path, events_per_second: float, are_odd: bool
) -> None:
    async def run(server: OddServer, load: Load) -> Result:
        async with listening(server, tmp_path / "socket"):
            return await asyncio.to_thread(client.run, tmp_path / "socket", load)

    server = OddServer()
    load = replace(
        LOAD,
        request=request(),
        events_per_second=events_per_second,
        turn_seconds=0.1,
        turns_are_odd=are_odd,
    )
    result = asyncio.run(run(server, load))
    due_at_ns = [int(data.split()[1]) for data in server.published]
    assert {at // 100_000_000 % 2 for at in due_at_ns} == {are_odd}
    assert result.faults == 0


def streamed_request() -> bytes:
    line = f"{SEQUENCE} {STAMP} ."
    return f"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{line}".encode()


STREAMED = replace(LOAD, request=streamed_request(), publishers=3, streamed=True)


@pytest.fixture
def found_streamed(client: Client, tmp_path: Path) -> Callable[[OddServer, Load], Result]:
    """Return a function that returns the client's findings about an odd server, by a load."""

    async def run(server: OddServer, load: Load) -> Result:
        async with listening(server, tmp_path / "socket"):
            return await asyncio.to_thread(client.run, tmp_path / "socket", load)

    return lambda server, load: asyncio.run(run(server, load))


@pytest.mark.parametrize("events_per_second", [200, 0], ids=["paced", "as fast as it is read"])
def test_the_client_finds_no_fault_where_streamed_publishes_arrive_whole(
    found_streamed: Callable[[OddServer, Load], Result], events_per_second: float
) -> None:
    server = OddServer()
    result = found_streamed(server, replace(STREAMED, events_per_second=events_per_second))
    assert result.accepted == result.published == len(server.published) > 30
    assert result.delivered == result.owed == STREAMS * result.accepted
    assert (result.faults, result.refused, result.unanswered) == (0, 0, 0)


def test_the_client_owes_what_a_streamed_publish_took_before_it_was_refused(
    found_streamed: Callable[[OddServer, Load], Result],
) -> None:
    server = OddServer(lambda nth, event: [] if nth == 1 and event == 3 else [event])
    server.streamed_most = 8
    result = found_streamed(server, replace(STREAMED, publishers=1, events_per_second=100))
    assert result.accepted == 8
    assert result.refused == result.published - 8 > 0
    assert (result.owed, result.lost, result.faults) == (8 * STREAMS, 1, 1)
    assert result.first_failure == "a streamed publish was answered with 409, 8 accepted"


def test_the_client_counts_events_of_one_body_that_are_out_of_order(
    found_streamed: Callable[[OddServer, Load], Result],
) -> None:
    swapped = {5: [], 6: [6, 5]}
    plan: Plan = lambda nth, event: swapped.get(event, [event]) if nth == 3 else [event]  # noqa: E731
    one = found_streamed(OddServer(plan), replace(STREAMED, publishers=1, events_per_second=100))
    assert (one.out_of_order, one.faults) == (1, 1)


def test_the_client_reads_data_that_stands_in_json(
    found: Callable[[OddServer], Result],
) -> None:
    result = found(OddServer(form=b'{"channel":"bench","pub":{"data":"%b"}}', piece_bytes=7))
    assert result.delivered == STREAMS * result.accepted > 0
    assert result.faults == 0


def test_barestream_sends_fifty_streams_every_event_that_they_are_owed(client: Client) -> None:
    with Ours() as server:
        load = Load(
            streams=50,
            targets=[Target(server.get("bench"))],
            request=server.post("bench", f"{SEQUENCE} {STAMP} ."),
            publishers=8,
            events_per_second=400,
            together=True,
            measure_seconds=1,
        )
        result = client.run(server.address, load)
    assert result.opened == 50
    assert result.accepted == result.published > 100
    assert result.delivered == 50 * result.accepted
    assert result.faults == 0


def test_barestream_sends_streams_every_event_of_streamed_publishes(client: Client) -> None:
    with Ours() as server:
        load = Load(
            streams=10,
            targets=[Target(server.get("bench"))],
            request=server.streamed("bench", f"{SEQUENCE} {STAMP} ."),
            publishers=3,
            streamed=True,
            events_per_second=600,
            measure_seconds=1,
        )
        result = client.run(server.address, load)
    assert result.accepted == result.published > 300, result.first_failure
    assert result.delivered == 10 * result.accepted
    assert (result.faults, result.refused, result.unanswered) == (0, 0, 0)


def test_a_stream_of_some_topics_is_owed_only_their_events(client: Client) -> None:
    with Ours() as server:
        topics = [server.get(f"{nth:0{len(TOPIC)}}") for nth in range(10)]
        load = Load(
            streams=20,
            targets=[Target(topic, nth, 1) for nth, topic in enumerate(topics)],
            request=server.post(TOPIC, f"{SEQUENCE} {STAMP} ."),
            publishers=1,
            events_per_second=100,
            topics=10,
            measure_seconds=1,
        )
        result = client.run(server.address, load)
    assert result.accepted == result.published > 10
    # Two streams for each topic.
    assert result.delivered == 2 * result.accepted
    assert result.faults == 0
