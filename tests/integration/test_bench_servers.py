"""The servers of the bench that need no download."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.servers import Ours, Server
from bench.servers.floor import Floor
from support.clients.sse_client import SseClient
from support.servers.programs import path_of
from support.servers.served import until


def floor(cache: Path) -> Server:
    path_of("cc", "gcc")
    return Floor(Floor.install(cache))


@pytest.mark.parametrize("make", [lambda _: Ours(), floor], ids=["barestream", "C floor"])
def test_published_data_arrives_unchanged_on_both_streams_of_its_topic(
    make: Callable[[Path], Server], tmp_path: Path
) -> None:
    data = '{"stamp": 1.5, "is": "ä & b = c %"}'

    async def follow_and_publish(server: Server) -> list[list[str]]:
        clients = [SseClient(server.address, server.get("a/b")) for _ in range(2)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await asyncio.gather(*(client.opened.wait() for client in clients))
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(server.post("a/b", data))
        assert (await reader.readline()).startswith(b"HTTP/1.1 20")
        await until(lambda: all(client.events for client in clients))
        writer.close()
        for task in running:
            task.cancel()
        return [[event.data for event in client.events] for client in clients]

    with make(tmp_path) as server:
        received = asyncio.run(follow_and_publish(server))
        pids = server.pids()
    assert received == [[data], [data]]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
