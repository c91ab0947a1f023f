"""Alerts about workers: the fault, the alert, and its end once that is mended."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

from contained import Contained
from support.clients.streamed_publisher import StreamedPublish, line
from support.servers.programs import require_docker
from support.servers.served import following
from support.servers.service import is_alive, wait_for
from support.servers.stopped import stopped
from support.servers.valkey_server import ValkeyServer
from support.servers.wall_clock import WallClock
from watched_hub import act, again_and_again, instance, publish, published, watched, watching


def test_a_service_that_does_not_answer() -> None:
    with watched() as hub:
        with stopped(hub.service.master, *hub.service.workers()):
            hub.until_firing("BarestreamDown")
        hub.until_over("BarestreamDown")


def test_a_worker_that_does_not_get_the_processor() -> None:
    alerts = ("LoopIsLate", "DeliveryIsLate")

    def hold() -> None:
        with stopped(hub.service.worker):
            time.sleep(1.5)

    async def follow(stack: AsyncExitStack) -> None:
        await stack.enter_async_context(following(hub.service.address, "news"))
        # So a scrape, which comes each second, does not find it stopped each time.
        with again_and_again(hold, 0.8):
            await hub.wait(hub.until_firing, *alerts)
        await hub.wait(hub.until_over, *alerts)

    # What another instance publishes is late; a publish would wait with the worker.
    with (
        watched(workers=1) as hub,
        instance(hub.valkey) as other,
        again_and_again(partial(publish, other)),
    ):
        hub.until_over(*alerts)
        act(follow)


def put_first(pid: int) -> None:
    """Have a process run before other programs, as root may; else it needs a core that is free."""
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def test_a_worker_that_has_more_to_do_than_a_core_can() -> None:
    # Each of these is tried on each update that a client has missed; none of them matches.
    topic = "news" * 50
    templates = [f"{topic}{{rest}}{number}" for number in range(8)]

    async def come_back(first: str) -> None:
        while True:
            headers = {"Last-Event-ID": first}
            async with following(hub.service.address, *templates, headers=headers):
                await asyncio.sleep(1)

    async def load(stack: AsyncExitStack) -> None:
        first = published(hub.service)
        # The ring holds them all, so Valkey has nothing to do.
        async with StreamedPublish(hub.service.address, [("topic", topic)]) as stream:
            assert (await stream.end(line("x") * 9000)).status == 200
        put_first(hub.service.worker)
        for _ in range(20):
            stack.callback(asyncio.create_task(come_back(first)).cancel)
        await hub.wait(hub.until_firing, "WorkerIsBusy")

    with watched(workers=1) as hub:
        hub.until_over("WorkerIsBusy")
        act(load)
        hub.until_over("WorkerIsBusy")


def test_workers_that_die() -> None:
    killed: set[int] = set()

    def living() -> list[int]:
        return [pid for pid in hub.service.workers() if pid not in killed and is_alive(pid)]

    with watched() as hub:
        for _ in range(5):
            pid = living()[0]
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            wait_for("its successor", lambda: len(living()) == 2)
        hub.until_firing("WorkersDie")
        hub.until_over("WorkersDie")


def test_a_worker_that_hangs_and_whose_master_hangs_too() -> None:
    with watched() as hub:
        with stopped(hub.service.master, hub.service.workers()[0]):
            hub.until_firing("WorkerStandsStill")
        hub.until_over("WorkerStandsStill")


def test_a_container_whose_memory_is_nearly_full() -> None:
    has_room = "sum(barestream_worker_memory_bytes) < 0.91 * sum(barestream_memory_limit_bytes)"
    has_more = f"barestream_memory_limit_bytes == {2**30}"

    def fill() -> None:
        if hub.has(has_room):
            hub.publish(data="x" * 500_000)

    require_docker()
    # Each worker holds what was published last; that may be more than there is room for.
    with (
        ValkeyServer() as valkey,
        Contained(valkey, "300m", ring_bytes=400_000_000) as service,
        watching(service, valkey) as hub,
    ):
        with again_and_again(fill):
            hub.until_firing("MemoryNearLimit")
        service.give("1g")
        wait_for("workers that know of it", lambda: hub.has(has_more))
        hub.until_over("MemoryNearLimit")


def test_a_drain_that_does_not_end() -> None:
    async def reload(stack: AsyncExitStack) -> None:
        # Each worker has some: its last one stays for nearly the whole drain.
        for _ in range(20):
            await stack.enter_async_context(following(hub.service.address, "news"))
        os.kill(hub.service.master, signal.SIGHUP)
        await hub.wait(hub.until_firing, "DrainDoesNotEnd")
        await hub.wait(hub.until_over, "DrainDoesNotEnd")

    with watched(drain_seconds=15) as hub:
        act(reload)


def test_a_clock_that_jumps() -> None:
    with WallClock() as clock, watched(environment=clock.environment) as hub:
        clock.move(-3600)
        hub.until_firing("ClockJumped")
        clock.move(0)
        hub.until_over("ClockJumped")
