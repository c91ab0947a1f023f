"""deploy/native after a master was killed: its workers are still there."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable

from service import Service, children, is_alive
from sse_client import SseClient


async def streams_over(service: Service, kill_and_end: Callable[[], None]) -> list[SseClient]:
    clients = [SseClient(service.address) for _ in range(10)]
    running = [asyncio.create_task(client.run(20)) for client in clients]
    await asyncio.gather(*(client.opened.wait() for client in clients))
    await asyncio.to_thread(kill_and_end)
    return await asyncio.gather(*running)


def test_down_ends_the_workers_of_an_app_whose_master_was_killed() -> None:
    def kill_and_stop() -> None:
        service.signal(signal.SIGKILL)
        service.stop()

    with Service() as service:
        workers = service.workers()
        clients = asyncio.run(streams_over(service, kill_and_stop))
        assert not any(map(is_alive, workers))
        assert all(client.clean for client in clients)


def test_up_starts_a_new_app_where_the_master_was_killed() -> None:
    with Service() as service:
        old = service.workers()
        service.signal(signal.SIGKILL)
        service.make_up()
        assert service.is_app_running()
        assert not any(map(is_alive, old))
        assert len(service.workers()) == 2


def test_the_app_alone_is_started_anew_where_its_master_was_killed() -> None:
    with Service() as service:
        old = service.workers()
        service.signal(signal.SIGKILL)
        service.start_app()
        assert service.is_app_running()
        assert not any(map(is_alive, old))
        assert len(service.workers()) == 2


def test_down_ends_the_workers_of_an_nginx_whose_master_was_killed() -> None:
    with Service() as service:
        workers = children(service.nginx_pid)
        os.kill(service.nginx_pid, signal.SIGKILL)
        service.stop()
        assert not any(map(is_alive, workers))
        with socket.socket() as client:
            assert client.connect_ex(service.address) == errno.ECONNREFUSED
