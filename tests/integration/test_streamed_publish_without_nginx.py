"""A publish whose body goes on, on our server without nginx."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from barestream.app import create_app
from barestream.server.protocol import Protocol
from barestream.server.server import PROBE_SECONDS
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, token
from support.clients.streamed_publisher import Answer, StreamedPublish, line
from support.servers.bound import Bound
from support.servers.served import Served, until
from support.servers.service import private_kb
from support.servers.valkey_server import ValkeyServer

A = [("topic", "a")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Return a server that gives up a plain body within one to two seconds."""
    monkeypatch.setattr(Protocol, "body_seconds", 1)
    with Served(create_app(Settings(token_key=KEY)), ours=True) as served:
        yield served


def test_a_body_may_pause_for_longer_than_that_of_a_plain_publish(impatient: Served) -> None:
    async def act() -> Answer:
        async with StreamedPublish(impatient.address, A) as request:
            await request.send(line(1))
            await asyncio.sleep(4)
            assert not request.is_answered
            return await request.end(line(2))

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (200, 2)


def test_a_publish_that_was_refused_keeps_no_connection_open_for_its_body(
    impatient: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Protocol, "linger_seconds", 1)

    async def act() -> None:
        async with StreamedPublish(impatient.address, A) as request:
            await request.send(b"x\n")
            assert (await request.answer()).status == 400
            await until(lambda: impatient.is_idle)

    asyncio.run(act())


def test_a_publisher_that_vanishes_is_noticed_by_probes(impatient: Served) -> None:
    # Accepted connections inherit them.
    listener = impatient._socket
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == PROBE_SECONDS


def test_of_an_endless_line_little_is_held_and_its_number_is_answered() -> None:
    with Bound(token_key=KEY) as bound:

        async def act() -> tuple[Answer, int]:
            async with StreamedPublish(bound.address, A) as request:
                await request.send(line(1))
                before = private_kb(bound.worker)
                while not request.is_answered:
                    await request.send(b"x" * 65_536)
                # What is sent after the answer is read, and dropped, for a while.
                for _ in range(500):
                    await request.send(b"x" * 65_536)
                return await request.answer(), private_kb(bound.worker) - before

        answer, grown_kb = asyncio.run(act())
        assert (answer.status, answer.body["accepted"]) == (413, 1)
        assert answer.body["detail"].startswith("line 2: The line is longer than")
        # The line's bound, twice while it grows, and what the server holds beside it.
        assert grown_kb < 8_000


def unread_questions(port: int) -> int:
    """Return how many connections to a port of this machine have bytes that nobody has read."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(
        each[1].endswith(f":{port:04X}") and not each[4].endswith(":00000000") for each in fields
    )


def test_a_worker_that_stops_while_valkey_is_silent_answers_with_a_problem() -> None:
    with (
        ValkeyServer() as valkey,
        Bound(token_key=KEY, broker_url=valkey.url, broker_password=valkey.password) as bound,
    ):

        async def act() -> tuple[Answer, httpx.Response]:
            headers = {"Authorization": f"Bearer {token()}"}
            async with (
                StreamedPublish(bound.address, A) as request,
                httpx.AsyncClient(base_url=bound.url, headers=headers, timeout=30) as client,
            ):
                await request.send(line(1))
                published = "barestream_updates_published_total 1.0"
                while published not in (await client.get("/metrics")).text:
                    await asyncio.sleep(0.05)
                valkey.pause()
                await request.send(line(2))
                asking = asyncio.create_task(client.get("/.well-known/mercure/runs?key=k"))
                # The tail's connection, the one that publishes, and the one that reads.
                await until(lambda: unread_questions(valkey.port) >= 2)
                await asyncio.to_thread(bound.reload)
                return await request.answer(), await asking

        try:
            answer, asked = asyncio.run(act())
        finally:
            valkey.resume()
    assert (answer.status, answer.body["accepted"]) == (503, 1)
    assert (asked.status_code, asked.headers["content-type"]) == (503, "application/problem+json")
    assert asked.headers["retry-after"] == "1"
