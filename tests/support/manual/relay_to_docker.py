"""Port 80 of a reader's network, led to the port of this machine that Docker publishes."""

import asyncio
import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

# setns(2).
_CLONE_NEWNET = 0x40000000


def _listener(network: str) -> socket.socket:
    """Return a socket that listens in a network; the calling thread ends up in its own again."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(network, os.O_RDONLY)
    try:
        if libc.setns(other, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.create_server(("127.0.0.1", 80))
        finally:
            libc.setns(own, _CLONE_NEWNET)
    finally:
        os.close(own)
        os.close(other)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while read := await reader.read(65_536):
            writer.write(read)
            await writer.drain()
    writer.close()


async def _serve(listener: socket.socket, port: int, ending: asyncio.Event) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        writers.append(onward_writer)
        await asyncio.gather(_copy(reader, onward_writer), _copy(onward_reader, writer))

    server = await asyncio.start_server(answer, sock=listener)
    await ending.wait()
    server.close()
    for writer in writers:
        writer.transport.abort()
    # Each copy ends with its connection.
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


@contextmanager
def relay(network: str, port: int) -> Iterator[None]:
    """Lead port 80 of a network to a port of this one as long as the context lasts.

    Args:
        network: The file of the network's namespace.
        port: Where each connection goes.
    """
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    def serve() -> None:
        # In this thread, which alone changes its network.
        loop.run_until_complete(_serve(_listener(network), port, ending))
        loop.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
