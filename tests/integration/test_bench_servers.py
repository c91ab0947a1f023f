"""The servers of the bench that need no download; with `make test-full` the built ones too.

A build of Centrifugo takes more than a minute. Mercure's hub is built by hand: BENCH_MERCURE names
its program.
"""

import asyncio
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.servers import Ours, Server
from bench.servers.centrifugo import Centrifugo
from bench.servers.floor import Floor
from bench.servers.mercure import Mercure
from support.clients.sse_client import SseClient
from support.full_size import IS_FULL_SIZE
from support.servers.programs import path_of
from support.servers.served import until

Make = Callable[[Path], Server]


def barestream(_: Path) -> Server:
    return Ours()


def floor(cache: Path) -> Server:
    path_of("cc", "gcc")
    return Floor(Floor.install(cache))


def centrifugo(cache: Path) -> Server:
    path_of("go", "golang")
    return Centrifugo(Centrifugo.install(cache))


def mercure(_: Path, *, is_durable: bool) -> Server:
    return Mercure(Path(os.environ["BENCH_MERCURE"]), is_durable=is_durable)


MAKES: dict[str, Make] = {"barestream": barestream, "C floor": floor}
if IS_FULL_SIZE:
    MAKES["Centrifugo"] = centrifugo
if "BENCH_MERCURE" in os.environ:
    MAKES["Mercure's hub"] = partial(mercure, is_durable=False)
    MAKES["Mercure's hub with Bolt"] = partial(mercure, is_durable=True)


def published(server: Server, client: SseClient) -> list[str]:
    """Return what a client was sent of what was published."""
    texts = [event.data for event in client.events]
    if not isinstance(server, Centrifugo):
        return texts
    messages = [json.loads(text) for text in texts]
    return [message["pub"]["data"] for message in messages if "pub" in message]


def is_subscribed(server: Server, client: SseClient) -> bool:
    # Centrifugo sends the head first, and subscribes then.
    return bool(client.events) if isinstance(server, Centrifugo) else client.opened.is_set()


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
def test_published_data_arrives_unchanged_on_both_streams_of_its_topic(
    make: Make, tmp_path: Path
) -> None:
    data = '{"stamp": 1.5, "is": "ä & b = c %"}'

    async def follow_and_publish(server: Server) -> list[list[str]]:
        clients = [SseClient(server.address, server.get("a/b")) for _ in range(2)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(is_subscribed(server, client) for client in clients))
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(server.post("a/b", data))
        assert (await reader.readline()).startswith(b"HTTP/1.1 20")
        await until(lambda: all(published(server, client) for client in clients))
        writer.close()
        for task in running:
            task.cancel()
        return [published(server, client) for client in clients]

    with make(tmp_path) as server:
        received = asyncio.run(follow_and_publish(server))
        pids = server.pids()
    assert received == [[data], [data]]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
