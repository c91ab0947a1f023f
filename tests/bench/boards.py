"""What clients that come back, or that begin with a rewind, cost a worker that serves them."""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from barestream.app import create_app
from barestream.settings.settings import Settings
from bench.loop_holds import LoopHolds, collect_as_workers_do
from support.clients.publisher import KEY, PATH, token
from support.servers.served import Served
from support.servers.valkey_server import ValkeyServer

ROUNDS = 3

ROWS = 500
KEPT = 10_000
CLIENTS = 200
RETURNING = 500
OTHERS = 100_000
DATA = "x" * 100
ARRAY = 100

HOST = "https://example.com"

READY = b"event: barestream.ready"


class Use(NamedTuple):
    """What the server used since the last question.

    Attributes:
        cpu_seconds: Its CPU.
        hold_seconds: How long its loop was held at most.
        hold_cpu_seconds: The most CPU that its loop's thread took in one turn.
    """

    cpu_seconds: float
    hold_seconds: float
    hold_cpu_seconds: float


class Worker:
    """A worker in a process of its own."""

    def __init__(self, url: str, password: str | None) -> None:
        processes = multiprocessing.get_context("spawn")
        self._pipe, other = processes.Pipe()
        self._process = processes.Process(target=_serve, args=(other, url, password))
        self._process.start()
        self.address: tuple[str, int] = self._pipe.recv()

    def use(self) -> Use:
        """Return what it used since the last call."""
        self._pipe.send("use")
        return Use(*self._pipe.recv())

    def end(self) -> None:
        self._pipe.send("end")
        self._process.join()


def _serve(pipe: Connection, url: str, password: str | None) -> None:
    collect_as_workers_do()
    holds = LoopHolds()
    settings = Settings(
        broker_url=url,
        broker_password=password,
        token_key=KEY,
        log_level="warning",
        history_events=2 * OTHERS,
    )
    with Served(holds.around(create_app(settings)), ours=True) as served:
        pipe.send(served.address)
        cpu = time.process_time()
        while pipe.recv() == "use":
            now = time.process_time()
            pipe.send((now - cpu, holds.longest_seconds, holds.longest_cpu_seconds))
            cpu = now
            holds.forget()


@contextmanager
def worker(name: str) -> Iterator[Worker]:
    """Run a worker with one of the brokers."""
    if name == "local":
        running = Worker("local", None)
        yield running
        running.end()
        return
    with ValkeyServer() as server:
        server.ask("CONFIG", "SET", "appendonly", "no")
        running = Worker(server.url, server.password)
        yield running
        running.end()


def publish(worker: Worker, updates: Sequence[dict[str, Any]]) -> str:
    """Publish updates in arrays; return the id of the last."""
    host, port = worker.address
    headers = {"Authorization": f"Bearer {token()}"}
    ids: list[str] = []
    with httpx.Client(base_url=f"http://{host}:{port}", headers=headers, timeout=60) as client:
        for start in range(0, len(updates), ARRAY):
            answer = client.post(PATH, json=updates[start : start + ARRAY])
            assert answer.status_code == 200, answer.text
            ids = answer.json()["ids"]
    return ids[-1]


class Client(NamedTuple):
    """What a client got.

    Attributes:
        events: How many events, with the one that says that its replay is over.
        seconds: The time until that one, from before it connected.
    """

    events: int
    seconds: float


async def whole(address: tuple[str, int], query: str, last_event_id: str = "") -> Client:
    """Read a stream until it says that its replay is over."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(*address)
    head = f"GET {PATH}?{query} HTTP/1.1\r\nHost: bench\r\n"
    if last_event_id:
        head += f"Last-Event-ID: {last_event_id}\r\n"
    writer.write(f"{head}\r\n".encode())
    body = bytearray()
    while READY not in body:
        part = await reader.read(1 << 16)
        assert part, "the stream is over"
        body += part
    seconds = time.perf_counter() - began
    writer.close()
    return Client(body.count(b"\nid: "), seconds)


async def together(
    address: tuple[str, int], *queries: str, last_event_id: str = ""
) -> list[Client]:
    """Have a client for each query come at once."""
    found = await asyncio.gather(*(whole(address, query, last_event_id) for query in queries))
    # The worker notices that they have left.
    await asyncio.sleep(0.2)
    return found


def measure(worker: Worker, what: str, *queries: str, last_event_id: str = "") -> None:
    """Print what clients cost that come at once; the medians of some rounds."""
    rows = []
    worker.use()
    asyncio.run(together(worker.address))
    # What the measurement itself takes: the loop wakes a thousand times a second.
    idle, *_ = worker.use()
    for _ in range(ROUNDS):
        worker.use()
        found = asyncio.run(together(worker.address, *queries, last_event_id=last_event_id))
        rows.append((max(client.seconds for client in found), *worker.use()))
    last, cpu, hold, hold_cpu = map(statistics.median, zip(*rows, strict=True))
    print(
        f"  {what}: {len(queries)} at once, {min(client.events for client in found)} events each, "
        f"the last has all after {last:.2f} s; CPU {1000 * (cpu - idle) / len(queries):.2f} ms a "
        f"client; "
        f"loop held {1000 * hold_cpu:.1f} ms of CPU ({1000 * hold:.1f} ms in all)",
        flush=True,
    )


def _query(*topics: str, **others: str) -> str:
    pairs = [*(("topic", topic) for topic in topics), *others.items(), ("include", "topic,ready")]
    return urlencode(pairs)


def main(name: str) -> None:
    """Print the figures of one broker."""
    with worker(name) as running:
        rewinds(running)
    with worker(name) as running:
        returns(running)


def full_of_values(worker: Worker) -> None:
    """Print what the board costs among as many kept values as there may be."""
    for nth in range(0, KEPT - ROWS, ARRAY):
        rows = range(nth, nth + ARRAY)
        publish(
            worker,
            [{"topic": f"{HOST}/others/{n}", "data": 10 * DATA, "keep": 3600} for n in rows],
        )
    what = f"a board of {ROWS} of {KEPT:,} kept values"
    board = _query(HOST + "/orders/{id}", rewind="kept")
    for count in (1, CLIENTS):
        measure(worker, what, *(board for _ in range(count)))


def rewinds(worker: Worker) -> None:
    """Print what clients cost that begin with a rewind, beside those that begin with nothing."""
    topics = [f"{HOST}/topics/{nth}" for nth in range(100)]
    publish(
        worker,
        [
            {"topic": f"{HOST}/orders/{nth}", "data": f"{nth} {DATA}", "keep": "forever"}
            for nth in range(ROWS)
        ],
    )
    publish(worker, [{"topic": topics[nth % 100], "data": DATA} for nth in range(2000)])
    for what, query in (
        ("one topic, no rewind", _query(topics[0])),
        (f"a board of {ROWS} kept values", _query(HOST + "/orders/{id}", rewind="kept")),
        ("100 topics, no rewind", _query(*topics)),
        ("100 topics, rewind=10", _query(*topics, rewind="10")),
    ):
        for count in (1, CLIENTS):
            measure(worker, what, *(query for _ in range(count)))
    full_of_values(worker)


def returns(worker: Worker) -> None:
    """Print what clients cost that come back, each with a topic of its own."""
    first = publish(worker, [{"topic": f"{HOST}/first", "data": DATA}])
    own = [f"{HOST}/clients/{nth}" for nth in range(RETURNING)]
    every = OTHERS // (10 * RETURNING)
    updates = []
    for nth in range(OTHERS):
        updates.append({"topic": f"{HOST}/others/{nth % 1000}", "data": DATA})
        if nth % every == 0:
            updates.append({"topic": own[nth // every % RETURNING], "data": DATA})
    publish(worker, updates)
    what = f"an own topic among {OTHERS:,} events of others, after an id before them"
    measure(worker, what, *map(_query, own), last_event_id=first)
