"""scripts/native after a master was killed: its workers are still there."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable

from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, Service, children, is_alive, wait_for


def kill_master(service: Service) -> None:
    """Kill Gunicorn's master, and wait until it is gone: a signal takes effect after a moment."""
    service.signal(signal.SIGKILL)
    wait_for("the master's end", lambda: not service.is_app_running())


async def streams_over(service: Service, kill_and_end: Callable[[], None]) -> list[SseClient]:
    clients = [SseClient(service.address) for _ in range(10)]
    running = [asyncio.create_task(client.run(PATIENCE_SECONDS)) for client in clients]
    await until(lambda: all(client.opened.is_set() for client in clients))
    await asyncio.to_thread(kill_and_end)
    return await asyncio.gather(*running)


def test_down_ends_the_workers_of_an_app_whose_master_was_killed() -> None:
    def kill_and_stop() -> None:
        kill_master(service)
        service.stop()

    with Service() as service:
        workers = service.workers()
        clients = asyncio.run(streams_over(service, kill_and_stop))
        assert not any(map(is_alive, workers))
        assert all(client.clean for client in clients)


def test_up_starts_a_new_app_where_the_master_was_killed() -> None:
    with Service(workers=2) as service:
        old = service.workers()
        kill_master(service)
        service.make_up()
        assert service.is_app_running()
        assert not any(map(is_alive, old))
        assert len(service.workers()) == 2


def test_the_app_alone_is_started_anew_where_its_master_was_killed() -> None:
    with Service() as service:
        old = service.workers()
        kill_master(service)
        service.start_app()
        assert service.is_app_running()
        assert not any(map(is_alive, old))
        assert len(service.workers()) == 2


def test_down_ends_the_workers_of_an_nginx_whose_master_was_killed() -> None:
    with Service() as service:
        workers = children(service.nginx_pid)
        master = service.nginx_pid
        os.kill(master, signal.SIGKILL)
        wait_for("the master's end", lambda: not is_alive(master))
        service.stop()
        assert not any(map(is_alive, workers))
        with socket.socket() as client:
            assert client.connect_ex(service.address) == errno.ECONNREFUSED
