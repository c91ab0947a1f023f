"""Fifty streams through nginx, and an app ended by a signal, by Docker or by a kill."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from compose import Stack
from support.clients.sse_client import ReconnectingClient, SseClient
from support.judges.complaints import complaints
from support.judges.ticks import assert_whole
from support.servers.service import wait_for

STREAMS = 50
MOST_SECONDS = 5


@dataclass
class Ends:
    """How the streams ended; seconds from the command to each stream's end, sorted."""

    clients: list[SseClient]
    retries_before_last_event: list[int]
    seconds: list[float]

    def assert_clean(self) -> None:
        """Fail unless each stream got a last delay, then its terminator, in time."""
        assert sum(client.clean is True for client in self.clients) == STREAMS
        assert all(len(client.retries_ms) == 2 for client in self.clients)
        assert self.retries_before_last_event == [1] * STREAMS
        assert self.seconds[-1] < MOST_SECONDS

    def __str__(self) -> str:
        clean = sum(client.clean is True for client in self.clients)
        first, last = self.seconds[0], self.seconds[-1]
        return f"{clean} of {STREAMS} clean, ended after {first:.2f} to {last:.2f} s"


async def ends_by(stack: Stack, command: Callable[[], None]) -> Ends:
    """Open the streams, run the command, and return when they all have ended."""
    retries_at_last_event = [0] * STREAMS
    ended_at = [0.0] * STREAMS

    def stream(nth: int) -> SseClient:
        client = SseClient(stack.address)

        def note(_event: object) -> None:
            retries_at_last_event[nth] = len(client.retries_ms)

        client.on_event = note
        return client

    async def follow(nth: int) -> None:
        await clients[nth].run(60)
        ended_at[nth] = time.monotonic()

    clients = [stream(nth) for nth in range(STREAMS)]
    following = asyncio.gather(*(follow(nth) for nth in range(STREAMS)))
    await live(clients)
    began_at = time.monotonic()
    await asyncio.gather(asyncio.to_thread(command), following)
    return Ends(clients, retries_at_last_event, sorted(at - began_at for at in ended_at))


async def live(clients: list[SseClient] | list[ReconnectingClient]) -> None:
    """Wait until each client has had a live tick behind its first."""
    await asyncio.to_thread(
        wait_for, "ticks for all", lambda: all(len(client.events) > 1 for client in clients)
    )


def is_ready(stack: Stack) -> bool:
    return httpx.get(f"{stack.url}/readyz").status_code == 200


def assert_streams(stack: Stack) -> None:
    client = asyncio.run(SseClient(stack.address).run(2.5))
    assert client.status == 200
    assert len(client.events) >= 2


@pytest.mark.parametrize("from_where", ["by Docker", "inside"])
def test_a_reload_ends_every_stream_cleanly(
    fresh_stack: Stack, from_where: str, figure: Callable[[str], None]
) -> None:
    def reload() -> None:
        if from_where == "inside":
            fresh_stack.signal_within(1, "HUP")
        else:
            fresh_stack.kill("app", "HUP")

    old_workers = set(fresh_stack.workers())
    began_at = time.time()
    ends = asyncio.run(ends_by(fresh_stack, reload))
    figure(str(ends))
    ends.assert_clean()
    wait_for("new workers alone", lambda: old_workers.isdisjoint(fresh_stack.workers()))
    assert len(fresh_stack.workers()) == len(old_workers)
    assert_streams(fresh_stack)
    assert fresh_stack.deaths(began_at) == []
    assert complaints(fresh_stack.logs()) == []


def test_a_term_by_docker_ends_every_stream_cleanly_and_the_app_stays_away(
    fresh_stack: Stack, figure: Callable[[str], None]
) -> None:
    began_at = time.time()
    ends = asyncio.run(ends_by(fresh_stack, lambda: fresh_stack.kill("app", "TERM")))
    figure(str(ends))
    ends.assert_clean()
    assert fresh_stack.deaths(began_at, expected=1) == [("app", 0)]
    # Docker takes a kill for the operator's wish, whatever the restart policy says.
    assert fresh_stack.inspect("app")["State"]["Status"] == "exited"
    assert complaints(fresh_stack.logs()) == []
    fresh_stack.start("app")
    wait_for("the app", lambda: is_ready(fresh_stack))
    assert_streams(fresh_stack)


def test_a_term_from_inside_ends_every_stream_cleanly_and_the_app_comes_back(
    fresh_stack: Stack, figure: Callable[[str], None]
) -> None:
    began_at = time.time()
    ends = asyncio.run(ends_by(fresh_stack, lambda: fresh_stack.signal_within(1, "TERM")))
    figure(str(ends))
    ends.assert_clean()
    wait_for("the restart", lambda: fresh_stack.inspect("app")["RestartCount"] == 1)
    wait_for("the app", lambda: is_ready(fresh_stack))
    assert fresh_stack.deaths(began_at, expected=1) == [("app", 0)]
    assert_streams(fresh_stack)


def test_an_app_that_was_reloaded_by_docker_still_comes_back_when_it_ends(
    fresh_stack: Stack,
) -> None:
    fresh_stack.kill("app", "HUP")
    wait_for("the new workers", lambda: fresh_stack.logs("app").count("Booting worker") == 4)
    fresh_stack.signal_within(1, "TERM")
    wait_for("the restart", lambda: fresh_stack.inspect("app")["RestartCount"] == 1)
    wait_for("the app", lambda: is_ready(fresh_stack))


@pytest.mark.parametrize("service", ["app", "nginx"])
def test_a_container_that_is_stopped_as_it_starts_ends_at_once(
    fresh_stack: Stack, service: str, figure: Callable[[str], None]
) -> None:
    fresh_stack.stop(service)
    began_at = time.time()
    fresh_stack.start(service)
    # Killed after 20 s, where Docker would wait for the whole grace.
    done = fresh_stack.run("stop", "--timeout", "20", service)
    seconds = time.time() - began_at
    code = fresh_stack.inspect(service)["State"]["ExitCode"]
    figure(f"ended after {seconds:.1f} s with exit code {code}")
    assert done.returncode == 0
    # A shell or a Python that runs nothing yet is ended by the signal itself.
    assert code != 137
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("command", [Stack.stop, Stack.down])
def test_the_end_of_the_whole_stack_ends_every_stream_cleanly(
    fresh_stack: Stack,
    command: Callable[[Stack], None],
    figure: Callable[[str], None],
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    began_at = time.time()
    with fresh_stack.follow_logs(log):
        ends = asyncio.run(ends_by(fresh_stack, lambda: command(fresh_stack)))
    figure(str(ends))
    ends.assert_clean()
    ended = [("app", 0), ("nginx", 0), ("valkey", 0)]
    assert fresh_stack.deaths(began_at, expected=3) == ended
    assert log.read_text().count('"reason": "drained"') == STREAMS
    assert complaints(log.read_text()) == []


def test_the_end_of_the_whole_stack_spreads_the_ends_over_the_whole_drain(
    figure: Callable[[str], None],
) -> None:
    drain_seconds = 8
    with Stack(drain_seconds=drain_seconds) as stack:
        ends = asyncio.run(ends_by(stack, stack.down))
    figure(str(ends))
    assert all(client.clean for client in ends.clients)
    assert ends.retries_before_last_event == [1] * STREAMS
    # The last one's turn is a step before the drain is over.
    assert ends.seconds[-1] - ends.seconds[0] > 0.8 * drain_seconds
    # Ends of each half of the drain; both workers have their own pace.
    early = sum(at - ends.seconds[0] < drain_seconds / 2 for at in ends.seconds)
    assert 0.3 * STREAMS < early < 0.7 * STREAMS


def test_after_a_kill_of_one_worker_every_client_is_back_and_misses_nothing(
    fresh_stack: Stack, figure: Callable[[str], None]
) -> None:
    async def follow() -> tuple[list[ReconnectingClient], float]:
        clients = [ReconnectingClient(fresh_stack.address) for _ in range(STREAMS)]
        following = asyncio.gather(*(client.run(15) for client in clients))
        await live(clients)
        victim = fresh_stack.workers()[0]
        killed_at = time.time()
        await asyncio.to_thread(fresh_stack.signal_within, victim, "KILL")
        await following
        return clients, killed_at

    clients, killed_at = asyncio.run(follow())
    hit = [client for client in clients if client.connects > 1]
    silences = [
        after.at - before.at
        for client in hit
        for before, after in pairwise(client.events)
        if after.at > killed_at
    ]
    figure(f"{len(hit)} of {STREAMS} lost their stream, longest silence {max(silences):.2f} s")
    assert len(hit) >= STREAMS // 2 - 2
    for client in clients:
        assert_whole(client.events)
        assert client.connects <= 2
        assert client.events[-1].at > killed_at + MOST_SECONDS
    # Of which up to a second was the wait for the next tick anyway.
    assert max(silences) < MOST_SECONDS
    assert len(fresh_stack.workers()) == 2
    assert fresh_stack.deaths(killed_at) == []
