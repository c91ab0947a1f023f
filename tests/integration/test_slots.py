"""A slot whose worker leaves, dies or hangs while others drain gets a new worker at once."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from support.clients.publisher import KEY, Publisher
from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import Service, wait_for
from support.servers.valkey_server import ValkeyServer

# How long a slot may be without a worker.
MOST_SECONDS = 2

# Far longer than each test takes.
DRAIN_SECONDS = 30


@contextmanager
def hub_with(valkey: ValkeyServer, **settings: object) -> Iterator[Service]:
    """Run the hub with a long drain, and end it without one."""
    settings |= {"broker_url": valkey.url, "broker_password": valkey.password}
    with Service(drain_seconds=DRAIN_SECONDS, token_key=KEY, **settings) as service:
        try:
            yield service
        finally:
            # `make down` also ends processes that the master no longer has.
            with contextlib.suppress(ProcessLookupError):
                service.signal(signal.SIGQUIT)


@asynccontextmanager
async def streams(service: Service, number: int) -> AsyncIterator[list[SseClient]]:
    """Hold streams open; nginx spreads them over the slots."""
    clients = [SseClient(service.address) for _ in range(number)]
    running = [asyncio.create_task(client.run()) for client in clients]
    await asyncio.gather(*(client.opened.wait() for client in clients))
    try:
        yield clients
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def slowest_seconds(service: Service, seconds: float) -> float:
    """Ask each slot by its own socket, and publish through nginx, for a while."""

    async def ask(path: Path) -> None:
        probe = SseClient(path, "/healthz")
        await probe.run()
        assert probe.status == 200

    async def timed(asking: Coroutine[Any, Any, Any]) -> float:
        began_at = time.monotonic()
        await asking
        return time.monotonic() - began_at

    slowest = 0.0
    ends_at = time.monotonic() + seconds
    async with Publisher(service.url) as publisher:
        while time.monotonic() < ends_at:
            asked = (publisher.publish("news", data="x"), *map(ask, service.current_sockets))
            slowest = max(slowest, *await asyncio.gather(*map(timed, asked)))
            await asyncio.sleep(0.05)
    return slowest


def test_a_worker_that_stops_alone_has_a_successor_while_it_drains(
    valkey: ValkeyServer, figure: Callable[[str], None]
) -> None:
    async def act() -> None:
        async with streams(service, 8) as clients:
            leaver, other = service.workers()
            os.kill(leaver, signal.SIGTERM)
            slowest = await slowest_seconds(service, 5)
            figure(f"slowest answer {slowest:.2f} s")
            assert slowest < MOST_SECONDS
            assert {leaver, other} < set(service.workers())
            assert len(service.workers()) == 3
            assert sum(client.clean is None for client in clients) >= 6

    with hub_with(valkey) as service:
        asyncio.run(act())
        assert service.complaints() == []


def test_a_new_worker_that_dies_has_a_successor_while_a_reload_drains(
    valkey: ValkeyServer, figure: Callable[[str], None]
) -> None:
    async def act() -> None:
        async with streams(service, 8):
            old = set(service.workers())
            service.signal(signal.SIGHUP)
            await until(lambda: len(service.workers()) == 4)
            await slowest_seconds(service, 0.1)
            os.kill(max(set(service.workers()) - old), signal.SIGKILL)
            slowest = await slowest_seconds(service, 5)
            figure(f"slowest answer {slowest:.2f} s")
            assert slowest < MOST_SECONDS
            assert old < set(service.workers())
            assert len(service.workers()) == 4

    with hub_with(valkey) as service:
        asyncio.run(act())


def test_workers_that_leave_one_after_the_other_stay_bounded_in_number(
    valkey: ValkeyServer,
) -> None:
    async def act() -> None:
        async with contextlib.AsyncExitStack() as open_streams:
            clients = []
            for _ in range(4):
                [newest] = set(service.workers()) - leavers
                clients += await open_streams.enter_async_context(streams(service, 3))
                os.kill(newest, signal.SIGTERM)
                leavers.add(newest)
                await until(lambda: set(service.workers()) - leavers)
                # Wait for the successor, so that the next signal reaches a worker with streams.
                await slowest_seconds(service, 0.1)
            await until(lambda: len(service.workers()) == 2)
            await until(lambda: sum(client.clean is True for client in clients) >= 9)
            assert sum(client.clean is False for client in clients) == 0

    leavers: set[int] = set()
    with hub_with(valkey, workers=1) as service:
        asyncio.run(act())


def test_a_reload_waits_for_the_workers_of_the_earlier_one_and_a_stop_does_not(
    valkey: ValkeyServer,
) -> None:
    async def act() -> None:
        async with streams(service, 8) as clients:
            service.signal(signal.SIGHUP)
            await until(lambda: len(service.workers()) == 4)
            second = set(service.workers())
            service.signal(signal.SIGHUP)
            service.signal(signal.SIGHUP)
            await until(lambda: "reload waits" in str(service.app_log()))
            assert set(service.workers()) == second
            began_at = time.monotonic()
            service.signal(signal.SIGQUIT)
            await until(lambda: not service.is_app_running())
            assert time.monotonic() - began_at < 3
            assert all(client.clean for client in clients)

    with hub_with(valkey) as service:
        asyncio.run(act())


def test_a_second_reload_comes_once_the_first_has_drained(valkey: ValkeyServer) -> None:
    with hub_with(valkey) as service:
        first = set(service.workers())
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(socket.create_connection(service.address))
            held.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            held.recv(100)
            service.signal(signal.SIGHUP)
            wait_for("the second workers", lambda: len(service.workers()) > 2)
            service.signal(signal.SIGHUP)
            wait_for("the reload to wait", lambda: "reload waits" in str(service.app_log()))
            second = set(service.workers()) - first
        wait_for(
            "the third workers alone",
            lambda: len(service.workers()) == 2 and not set(service.workers()) & (first | second),
        )
