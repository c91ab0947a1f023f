"""Runs of real processes, on the real service: nginx, four workers and Valkey."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from barestream.runs import Runs, Status
from support.clients.publisher import KEY, PATH, token
from support.clients.run_process import Orders, RunProcess
from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, Service, wait_for
from support.servers.valkey_server import ValkeyServer

SCOPE: dict[str, Any] = {"type": "http", "headers": [], "query_string": b""}

# All followers are told within so many seconds that the process of a run has died.
TOLD_SECONDS = 10


class Stack(NamedTuple):
    """The service and its Valkey."""

    service: Service
    valkey: ValkeyServer

    @property
    def hub(self) -> str:
        """The hub's URL."""
        return self.service.url + PATH

    def process(self, key: str, **orders: Any) -> RunProcess:
        """Return a process that starts a run of this key."""
        return RunProcess(Orders(self.hub, token(), key, **orders))

    def follower(self, topic: str) -> SseClient:
        """Return a browser's stream of a run, straight from the hub."""
        path = f"{PATH}?{httpx.QueryParams(topic=topic, last_event_id='earliest')}"
        headers = {"Authorization": f"Bearer {token()}"}
        return SseClient(self.service.address, path, headers)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with ValkeyServer() as valkey:
        settings = {"broker_url": valkey.url, "broker_password": valkey.password}
        with Service(workers=4, token_key=KEY, drain_seconds=1, **settings) as service:
            ready = f"{service.url}/readyz"
            wait_for("the hub", lambda: httpx.get(ready).status_code == 200)
            yield Stack(service, valkey)


async def text(runs: Runs, key: str, **options: Any) -> list[str]:
    """Follow a run by the library to its end; return the data of its events."""
    answer = await runs.follow(SCOPE, key, **options)
    assert answer.status == 200
    whole = b"".join([piece async for piece in answer.body]).decode()
    return [line[6:] for line in whole.split("\n") if line.startswith("data: ")]


def numbers(told: list[str]) -> list[int]:
    """Return the words of a run, which are numbers, but for its end."""
    return [int(word) for each in told[:-1] for word in each.split()]


def status(told: list[str]) -> str:
    """Return what the end of a run says."""
    found: str = json.loads(told[-1])["status"]
    return found


def test_of_fifty_starts_in_five_processes_one_generates(stack: Stack) -> None:
    with ExitStack() as kept:
        processes = [
            kept.enter_context(stack.process("fifty", starts=10, words=20)) for _ in range(5)
        ]
        runs = [run for each in processes for run in each.wait("run", 10)]
        assert len(runs) == 50
        assert len({run["id"] for run in runs}) == 1
        assert sum(run["is_new"] for run in runs) == 1

        async def main() -> None:
            async with Runs(stack.hub, token()) as there:
                told = await text(there, "fifty")
                assert numbers(told) == [*range(20)]
                assert status(told) == "done"

        asyncio.run(main())
        assert sum(len(each.told("begun")) for each in processes) == 1


def test_a_process_that_is_killed_is_noticed_by_all_followers_in_time(stack: Stack) -> None:
    async def main() -> None:
        with stack.process("killed", words=10_000) as process:
            [run] = process.wait("run")
            clients = [stack.follower(run["topic"]) for _ in range(20)]
            streams = [asyncio.create_task(each.run(PATIENCE_SECONDS)) for each in clients]
            async with Runs(stack.hub, token()) as there:
                ways = ("sse", "ai-sdk")
                readings = [asyncio.create_task(text(there, "killed", format=way)) for way in ways]
                await until(lambda: all(len(each.events) > 5 for each in clients))
                killed_at = time.monotonic()
                process.signal(signal.SIGKILL)
                sse, chat = await asyncio.gather(*readings)
                await asyncio.wait(streams)
                assert time.monotonic() - killed_at <= TOLD_SECONDS
                ended = await there.get("killed")
                assert ended is not None
                assert ended.status is Status.INTERRUPTED
                # The app may offer to start again.
                with stack.process("killed", words=1) as again:
                    assert again.wait("run")[0]["is_new"]
        assert status(sse) == "interrupted"
        assert [each[:16] for each in chat[-2:]] == ['{"type":"error",', "[DONE]"]
        for client in clients:
            told = [event.data for event in client.events]
            assert (client.clean, status(told)) == (True, "interrupted")
            assert numbers(told) == [*range(len(numbers(told)))]

    asyncio.run(main())


def test_a_process_that_was_declared_dead_appends_nothing_when_it_wakes_up(stack: Stack) -> None:
    async def main() -> None:
        with stack.process("stopped", words=10_000) as process:
            [run] = process.wait("run")
            process.wait("made", 10)
            stopped_at = time.monotonic()
            process.signal(signal.SIGSTOP)
            async with Runs(stack.hub, token()) as there:
                told = await text(there, "stopped")
                assert time.monotonic() - stopped_at <= TOLD_SECONDS
                assert status(told) == "interrupted"
                await asyncio.sleep(stopped_at + 12 - time.monotonic())
                process.signal(signal.SIGCONT)
                # Its generator was cancelled, as it can publish no more.
                await asyncio.to_thread(process.wait, "cleaned")
                assert await text(there, "stopped") == told
            client = stack.follower(run["topic"])
            await client.run(PATIENCE_SECONDS)
            assert [event.data for event in client.events] == told

    asyncio.run(main())


def test_a_stop_reaches_the_process_that_runs_it(stack: Stack) -> None:
    async def main() -> None:
        with stack.process("stop", words=10_000) as process:
            await asyncio.to_thread(process.wait, "made", 5)
            async with Runs(stack.hub, token()) as there:
                reading = asyncio.create_task(text(there, "stop"))
                assert await there.stop("stop")
                assert process.told("cleaned")
                told = await reading
                assert status(told) == "stopped"
                made = len(process.told("made"))
                assert numbers(told) == [*range(len(numbers(told)))]
                assert not await there.stop("stop")
                assert len(process.told("made")) == made

    asyncio.run(main())


@pytest.mark.parametrize(("seconds", "expected"), [(0, "interrupted"), (30, "done")])
def test_a_process_that_stops_ends_its_runs(stack: Stack, seconds: float, expected: str) -> None:
    key = f"drained {expected}"

    async def main() -> None:
        with stack.process(key, words=60, drain_seconds=seconds) as process:
            await asyncio.to_thread(process.wait, "made", 5)
            async with Runs(stack.hub, token()) as there:
                reading = asyncio.create_task(text(there, key))
                process.signal(signal.SIGTERM)
                assert status(await reading) == expected
            assert await asyncio.to_thread(process.ended) == 0

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["valkey", "hup", "worker"])
def test_a_run_and_its_followers_outlast_the_parts_of_the_service(stack: Stack, fault: str) -> None:
    key = f"through {fault}"

    async def main() -> None:
        with stack.process(key, words=150, pause_seconds=0.04) as process:
            await asyncio.to_thread(process.wait, "run")
            async with Runs(stack.hub, token()) as there:
                ways = ("sse", "ai-sdk")
                readings = [asyncio.create_task(text(there, key, format=way)) for way in ways]
                await asyncio.to_thread(process.wait, "made", 40)
                if fault == "valkey":
                    await asyncio.to_thread(stack.valkey.stop)
                    await asyncio.sleep(2)
                    await asyncio.to_thread(stack.valkey.start)
                elif fault == "hup":
                    stack.service.signal(signal.SIGHUP)
                else:
                    os.kill(stack.service.workers()[0], signal.SIGKILL)
                sse, chat = await asyncio.gather(*readings)
                assert numbers(sse) == numbers(chat) == [*range(150)]
                assert status(sse) == "done"
                assert chat[-1] == "[DONE]"
            assert process.told("begun") == [process.told("begun")[0]]

    asyncio.run(main())
