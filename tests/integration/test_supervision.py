"""Workers that hang, that were paused, whose clock jumps, or whose master was killed."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from support.clients.publisher import KEY, Publisher
from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, Service, is_alive, wait_for

TIMEOUT_SECONDS = 3


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--timeout {TIMEOUT_SECONDS}")


def test_requests_that_wait_for_a_hung_worker_are_served_by_its_successor(
    figure: Callable[[str], None],
) -> None:
    async def act() -> None:
        async with Publisher(service.url) as publisher:
            os.kill(hung, signal.SIGSTOP)
            began_at = time.monotonic()
            await asyncio.gather(*(publisher.publish("news", data="x") for _ in range(10)))
            seconds = time.monotonic() - began_at
        figure(f"ten publishes after {seconds:.1f} s, with a timeout of {TIMEOUT_SECONDS} s")
        assert seconds < TIMEOUT_SECONDS + 5

    with Service(workers=1, token_key=KEY) as service:
        [hung] = service.workers()
        asyncio.run(act())
        wait_for("its end", lambda: not is_alive(hung))


def test_workers_that_die_or_hang_are_counted_as_lost_and_no_others() -> None:
    def lost() -> float:
        return service.metrics().get("barestream_workers_lost_total", -1)

    def end(number: signal.Signals) -> None:
        [pid] = service.workers()
        os.kill(pid, number)
        wait_for("its end", lambda: not is_alive(pid))
        wait_for("its successor", service.is_ready)

    with Service(workers=1) as service:
        [before] = service.workers()
        service.signal(signal.SIGHUP)
        wait_for("the reload", lambda: service.workers() and before not in service.workers())
        wait_for("the new worker", service.is_ready)
        assert lost() == 0
        end(signal.SIGKILL)
        wait_for("the count of the killed one", lambda: lost() == 1)
        end(signal.SIGSTOP)
        wait_for("the count of the hung one", lambda: lost() == 2)


def test_a_hung_worker_does_not_delay_a_stop_for_the_whole_drain() -> None:
    with Service(workers=1, drain_seconds=60) as service:
        os.kill(service.workers()[0], signal.SIGSTOP)
        service.signal(signal.SIGTERM)
        wait_for("the end", lambda: not service.is_app_running(), TIMEOUT_SECONDS + 7)


def test_a_worker_that_hangs_at_its_start_is_killed_too() -> None:
    with Service(workers=1) as service:
        [first] = service.workers()
        service.signal(signal.SIGHUP)
        hung = wait_for("the new worker", lambda: set(service.workers()) - {first}).pop()
        os.kill(hung, signal.SIGSTOP)
        wait_for("its end", lambda: not is_alive(hung), TIMEOUT_SECONDS + 7)
        wait_for("its successor", service.workers)


def test_workers_outlive_a_pause_of_the_whole_service() -> None:
    with Service() as service:
        workers = service.workers()
        for pid in (service.app_pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(TIMEOUT_SECONDS + 2)
        # In the worse order: the master looks at workers that have not run yet.
        service.signal(signal.SIGCONT)
        service.signal(signal.SIGCHLD)
        time.sleep(0.5)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        # Longer than the master needs for its next look.
        time.sleep(2)
        assert service.workers() == workers
        assert service.complaints() == []


def test_workers_whose_master_was_killed_drain_and_end() -> None:
    async def act() -> list[SseClient]:
        clients = [SseClient(service.address) for _ in range(20)]
        running = [asyncio.create_task(client.run(PATIENCE_SECONDS)) for client in clients]
        await asyncio.gather(*(client.opened.wait() for client in clients))
        service.signal(signal.SIGKILL)
        await until(lambda: not any(map(is_alive, workers)))
        return await asyncio.gather(*running)

    with Service() as service:
        workers, master = service.workers(), service.app_pid
        assert all(client.clean for client in asyncio.run(act()))
        said = [line for line in service.app_log() if line["level"] == "ERROR"]
        assert {line["pid"] for line in said} == set(workers)
        assert f"the master (pid {master}) has ended" in said[0]["message"]


def test_workers_that_are_signalled_while_they_are_forked_stop() -> None:
    with Service(workers=1) as service:
        [newest] = told = service.workers()
        for _ in range(20):
            os.kill(newest, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE_SECONDS
            # Without a pause: the test is about their first millisecond.
            while not (fresh := set(service.workers()) - set(told)):
                assert time.monotonic() < deadline
            newest = fresh.pop()
            told.append(newest)
        wait_for("the end of all the others", lambda: service.workers() == [newest])
        assert service.is_app_running()
