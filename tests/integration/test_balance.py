"""Streams spread evenly over the workers, as they arrive over seconds and stay."""

import asyncio

import pytest

from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import Service, open_connections

STREAMS = 400
ARRIVAL_SECONDS = 0.005


@pytest.mark.parametrize("workers", [2, 4])
def test_no_worker_has_more_than_its_share(workers: int) -> None:
    with Service(workers=workers) as service:

        async def hold() -> list[int]:
            running = []
            clients = [SseClient(service.address) for _ in range(STREAMS)]
            for client in clients:
                running.append(asyncio.create_task(client.run()))
                await asyncio.sleep(ARRIVAL_SECONDS)
            await until(lambda: all(client.opened.is_set() for client in clients))
            held = [
                sum(open_connections(pid, path) for pid in service.workers())
                for path in service.current_sockets
            ]
            for task in running:
                task.cancel()
            return held

        held = asyncio.run(hold())
    print(f"{STREAMS} streams over {workers} workers: {held}")
    assert sum(held) == STREAMS
    assert max(held) <= 1.05 * STREAMS / workers
