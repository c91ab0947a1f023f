"""A sentinel that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libvalkey import Reader

from support.servers.valkey_server import ValkeyServer


class ScriptedSentinel:
    """Answers as a sentinel does.

    Args:
        primary: The server that it names.

    Attributes:
        port: Its port.
        epoch: The epoch of its configuration.
        is_silent: Whether it answers nothing.
        asked: How often it was asked for the primary.
    """

    def __init__(self, primary: ValkeyServer) -> None:
        self._primary = primary
        self.port = 0
        self.epoch = 1
        self.is_silent = False
        self.asked = 0
        self._open: set[asyncio.StreamWriter] = set()

    def name(self, primary: ValkeyServer) -> None:
        """Name another server from now on, as after a failover."""
        self._primary = primary
        self.epoch += 1

    @asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator["ScriptedSentinel"]:
        """Listen, on a free port if none is given."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        commands = Reader()
        while some := await reader.read(65536):
            commands.feed(some)
            while command := commands.gets():
                if not self.is_silent:
                    writer.write(self._answer([part.upper() for part in command]))
        writer.close()

    def _answer(self, command: list[bytes]) -> bytes:
        port = b"%d" % self._primary.port
        if command[:2] == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME"]:
            self.asked += 1
            return _array(b"127.0.0.1", port)
        if command[:2] == [b"SENTINEL", b"MASTER"]:
            return _array(b"ip", b"127.0.0.1", b"config-epoch", b"%d" % self.epoch)
        return b"+OK\r\n"


def _array(*texts: bytes) -> bytes:
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
    return b"*%d\r\n%s" % (len(texts), parts)
