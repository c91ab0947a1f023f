"""The wall clock of the running service jumps: of its processes alone."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import Service
from support.servers.wall_clock import WallClock

TIMEOUT_SECONDS = 4


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[WallClock]:
    """Return the clock of the apps that start from here on."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--timeout {TIMEOUT_SECONDS}")
    with WallClock() as moved:
        monkeypatch.setattr(Service, "python", str(moved.interpreter(sys.executable)))
        yield moved


async def app_seconds(service: Service) -> float:
    """Return the wall clock of a worker, from the date of its answers."""
    answer = await SseClient(service.current_sockets[0], "/healthz").run()
    return parsedate_to_datetime(answer.response_headers["date"]).timestamp()


def unexpected(service: Service) -> list[str]:
    """Return the complaints in the logs, without those about the jump."""
    return [line for line in service.complaints() if "the wall clock was set" not in line]


def test_workers_and_streams_outlive_a_clock_that_is_set_back(clock: WallClock) -> None:
    async def act() -> None:
        clients = [SseClient(service.address) for _ in range(10)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await asyncio.gather(*(client.opened.wait() for client in clients))
        workers = service.workers()
        for back_seconds in (60, 3600):
            clock.move(-back_seconds)
            # The time that a worker may be silent, and the time in which the master kills it.
            await asyncio.sleep(TIMEOUT_SECONDS + 3)
            assert abs(time.time() - back_seconds - await app_seconds(service)) < 3
            assert service.workers() == workers
            assert all(client.clean is None for client in clients)
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    with Service() as service:
        asyncio.run(act())
        assert unexpected(service) == []


def test_a_stop_keeps_its_drain_when_the_clock_is_set_forward_meanwhile(clock: WallClock) -> None:
    async def act() -> list[SseClient]:
        clients = [SseClient(service.address) for _ in range(10)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await asyncio.gather(*(client.opened.wait() for client in clients))
        service.signal(signal.SIGTERM)
        await until(service.ended_streams)
        clock.move(3600)
        return await asyncio.gather(*running)

    with Service(drain_seconds=3) as service:
        assert all(client.clean for client in asyncio.run(act()))
        assert unexpected(service) == []
