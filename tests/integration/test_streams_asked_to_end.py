"""Workers that are asked to end their streams, as deploy/nginx-start asks them."""

import asyncio
import signal
from pathlib import Path

import httpx

from barestream.web.end_streams import AWAY_MS, END_STREAMS
from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import Service, open_connections, wait_for

STREAMS = 40
DRAIN_SECONDS = 8


async def ask(path: Path) -> int:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(END_STREAMS, timeout=10)
    return answer.status_code


def held(service: Service) -> int:
    """Return how many connections the workers have accepted, streams and others."""
    return sum(
        open_connections(worker, path)
        for worker in service.workers()
        for path in service.current_sockets
    )


async def follow(service: Service, *, drains: bool) -> tuple[list[int], list[SseClient]]:
    """Open the streams, ask each worker to end them, and maybe start a drain right after that."""
    clients = [SseClient(service.address) for _ in range(STREAMS)]
    running = [asyncio.create_task(client.run()) for client in clients]
    await until(lambda: all(client.opened.is_set() for client in clients))
    asked = asyncio.gather(*map(ask, service.current_sockets))
    if drains:
        # Some streams may have ended by then.
        await until(
            lambda: (
                asked.done()
                or held(service) + sum(each.clean is not None for each in clients) >= STREAMS + 2
            )
        )
        service.signal(signal.SIGTERM)
    answers = await asked
    await asyncio.gather(*running)
    return answers, clients


def test_all_streams_end_cleanly_and_the_workers_go_on() -> None:
    with Service(drain_seconds=DRAIN_SECONDS) as service:
        answers, clients = asyncio.run(follow(service, drains=False))
        assert answers == [204, 204]
        assert [client.clean for client in clients] == [True] * STREAMS
        assert all(client.retries_ms[-1] >= AWAY_MS + 1000 for client in clients)
        wait_for("the ends", lambda: len(service.ended_streams()) == STREAMS)
        ends = service.ended_streams()
        assert {end["reason"] for end in ends} == {"nginx stopped"}
        seconds = [end["seconds"] for end in ends]
        assert max(seconds) - min(seconds) < DRAIN_SECONDS / 2
        assert [httpx.get(f"{service.url}/readyz").status_code for _ in range(4)] == [200] * 4
        client = SseClient(service.address)
        asyncio.run(client.read_until(lambda client: len(client.events) >= 2))
        assert client.clean is None


def test_a_drain_that_begins_at_the_same_moment_is_not_shortened() -> None:
    with Service(drain_seconds=DRAIN_SECONDS) as service:
        answers, clients = asyncio.run(follow(service, drains=True))
        assert answers == [503, 503]
        assert [client.clean for client in clients] == [True] * STREAMS
        wait_for("the ends", lambda: len(service.ended_streams()) == STREAMS)
        seconds = [end["seconds"] for end in service.ended_streams()]
        assert max(seconds) - min(seconds) > DRAIN_SECONDS / 2
