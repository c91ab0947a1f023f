"""A worker that stops, by each signal, with streams open: through nginx."""

import asyncio
import math
import os
import signal
import socket
import time
from operator import itemgetter

import pytest

from support.clients.sse_client import ReconnectingClient, SseClient, stamp_seconds
from support.judges.ticks import assert_whole
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, Service, is_alive, open_connections, wait_for

STREAMS = 50


async def follow_over(service: Service, number: signal.Signals) -> tuple[list[SseClient], float]:
    """Open the streams, signal the master; return the clients and the durations of their ends."""
    clients = [SseClient(service.address) for _ in range(STREAMS)]
    running = [asyncio.create_task(client.run(PATIENCE_SECONDS)) for client in clients]
    await until(lambda: all(client.opened.is_set() for client in clients))
    started_at = time.monotonic()
    service.signal(number)
    await asyncio.gather(*running)
    return clients, time.monotonic() - started_at


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_every_stream_ends_cleanly_with_a_reconnection_delay(number: signal.Signals) -> None:
    with Service(drain_seconds=1) as service:
        old_workers = service.workers()
        clients, seconds = asyncio.run(follow_over(service, number))
        wait_for("the old workers' end", lambda: not any(map(is_alive, old_workers)))
        assert sum(client.clean is True for client in clients) == STREAMS
        assert all(len(client.retries_ms) == 2 for client in clients)
        assert len({client.retries_ms[-1] for client in clients}) > STREAMS / 2
        assert seconds < 5
        ends = service.ended_streams()
        assert [end["reason"] for end in ends] == ["drained"] * STREAMS
        assert service.complaints() == []


def test_a_request_on_an_accepted_connection_is_served_before_the_worker_goes() -> None:
    with Service(workers=1) as service:
        [worker], [path] = service.workers(), service.current_sockets
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            wait_for("the accept", lambda: open_connections(worker, path))
            service.signal(signal.SIGTERM)
            stops = "the worker stops: ending its streams"
            wait_for("the drain", lambda: stops in map(itemgetter("message"), service.app_log()))
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in answer
        assert b"draining" in answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_end_streams_quickly_and_cleanly(number: signal.Signals) -> None:
    with Service(drain_seconds=30) as service:
        clients, seconds = asyncio.run(follow_over(service, number))
        assert sum(client.clean is True for client in clients) == STREAMS
        assert seconds < 3
        assert service.complaints() == []


def test_a_quit_is_quick_during_a_drain_too() -> None:
    with Service(drain_seconds=30) as service:

        async def follow() -> tuple[list[SseClient], float]:
            clients = [SseClient(service.address) for _ in range(STREAMS)]
            running = [asyncio.create_task(client.run(PATIENCE_SECONDS)) for client in clients]
            await until(lambda: all(client.opened.is_set() for client in clients))
            service.signal(signal.SIGTERM)
            await until(service.ended_streams)
            service.signal(signal.SIGQUIT)
            quit_at = time.monotonic()
            await asyncio.gather(*running)
            return clients, time.monotonic() - quit_at

        clients, seconds = asyncio.run(follow())
        assert sum(client.clean is True for client in clients) == STREAMS
        assert seconds < 2
        assert service.complaints() == []


def test_ends_are_spread_over_the_drain() -> None:
    with Service(drain_seconds=2) as service:
        clients, _ = asyncio.run(follow_over(service, signal.SIGTERM))
        wait_for("their lines", lambda: len(service.ended_streams()) == len(clients))
        drained = service.ended_streams()
        longest = max(end["seconds"] for end in drained) - min(end["seconds"] for end in drained)
        assert 1 < longest < 4


def test_a_draining_worker_outlives_the_timeout_of_the_arbiter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--timeout 3")
    with Service(drain_seconds=12, workers=1) as service:

        async def hold() -> list[SseClient]:
            clients = [SseClient(service.address) for _ in range(3)]
            running = [asyncio.create_task(client.run(PATIENCE_SECONDS)) for client in clients]
            await until(lambda: all(client.opened.is_set() for client in clients))
            service.signal(signal.SIGHUP)
            return await asyncio.gather(*running)

        # The third stream's turn is after 8 s.
        assert [client.clean for client in asyncio.run(hold())] == [True] * 3
        assert service.complaints() == []


def test_after_a_kill_all_clients_are_back_and_miss_nothing() -> None:
    with Service() as service:

        async def follow() -> tuple[list[ReconnectingClient], float]:
            clients = [ReconnectingClient(service.address) for _ in range(STREAMS)]
            killed_at = math.inf

            def is_back(client: ReconnectingClient) -> bool:
                newest = client.events and client.events[-1]
                return bool(newest) and stamp_seconds(newest) > killed_at + 3

            running = [asyncio.create_task(client.run_until(is_back)) for client in clients]
            await until(lambda: all(client.events for client in clients))
            victim = service.workers()[0]
            os.kill(victim, signal.SIGKILL)
            killed_at = time.time()
            await asyncio.gather(*running)
            return clients, killed_at

        clients, killed_at = asyncio.run(follow())
        for client in clients:
            assert_whole(client.events)
        assert sum(client.connects > 1 for client in clients) >= STREAMS // 2 - 2
        assert max(client.events[-1].at for client in clients) - killed_at < 5
        wait_for("the new worker", lambda: len(service.workers()) == 2)


def test_a_reload_refuses_no_connection_and_loses_no_tick() -> None:
    with Service() as service:

        async def follow() -> tuple[list[ReconnectingClient], list[int]]:
            clients = [ReconnectingClient(service.address) for _ in range(10)]
            asked_until = math.inf

            def is_back(client: ReconnectingClient) -> bool:
                newest = client.events and client.events[-1]
                return client.connects >= 2 and bool(newest) and stamp_seconds(newest) > asked_until

            running = [asyncio.create_task(client.run_until(is_back)) for client in clients]
            statuses = []
            for request in range(60):
                if request in (10, 30):
                    service.signal(signal.SIGHUP)
                probe = SseClient(service.address, "/healthz")
                await probe.run(PATIENCE_SECONDS)
                statuses.append(probe.status)
                await asyncio.sleep(0.1)
            asked_until = time.time()
            await asyncio.gather(*running)
            return clients, statuses

        clients, statuses = asyncio.run(follow())
        assert set(statuses) == {200}
        for client in clients:
            assert_whole(client.events)
        assert service.complaints() == []
