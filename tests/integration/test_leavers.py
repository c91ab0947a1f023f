"""Clients that leave: their streams end, and their memory is freed."""

import asyncio
import time
from datetime import datetime

from support.clients.sse_client import SseClient
from support.servers.served import reading
from support.servers.service import Service, private_kb, wait_for

ROUNDS = 20
STREAMS = 200


def test_the_worker_ends_the_stream_of_a_client_that_left_within_a_second(service: Service) -> None:
    client = SseClient(service.address, headers={"User-Agent": "leaves"})
    asyncio.run(client.read_until(lambda client: client.events))
    left_at = time.time()
    end = service.end_of("leaves")
    assert seconds_of(end["time"]) - left_at < 1
    assert end["reason"] == "client left"
    assert end["route"] == "/events"
    assert end["events"] >= 1
    assert len(end["request_id"]) == 32


def seconds_of(time: str) -> float:
    """Return the moment of a log line, in seconds since 1970-01-01 UTC."""
    return datetime.fromisoformat(time).timestamp()


def test_a_worker_does_not_grow_with_the_number_of_past_clients() -> None:
    async def come_and_go(service: Service) -> None:
        clients = [SseClient(service.address) for _ in range(STREAMS)]
        async with reading(*clients):
            pass

    used_kb = []
    with Service(workers=1) as service:
        [worker] = service.workers()
        for done in range(1, ROUNDS + 1):
            asyncio.run(come_and_go(service))
            wait_for("all ends", lambda done=done: len(service.ended_streams()) == done * STREAMS)
            used_kb.append(private_kb(worker))
    print(f"memory of the worker after each round, KB: {used_kb}")
    last = used_kb[-5:]
    assert max(last) <= 1.05 * min(last)
