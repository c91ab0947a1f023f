"""Connections to Valkey: a bounded number of them, and a deadline for each question."""

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from valkey.exceptions import ValkeyError

from barestream.history.valkey.errors import ANSWERED, broken, unanswered, unreachable
from barestream.history.valkey.valkey_parts import (
    Connection,
    UnixDomainSocketConnection,
    parse_url,
    writer_of,
)

# The keepalive detects a host that vanished while no question was under way; TCP_USER_TIMEOUT ends
# the connection if the host does not acknowledge written bytes. Linux, tcp(7).
_KEEPALIVE = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 10_000,
}

_URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
_DATABASE = re.compile(r"/?|/[0-9]+")

# A host that has vanished, such as a killed container, does not refuse a connection. The kernel
# gives its address up after 3 s; publishers get their answer before that.
CONNECT_SECONDS = 2.0

# The shortest time between reconnections to a server that keeps refusing: a TLS handshake takes
# both ends milliseconds.
LEAVE_SECONDS = 1.0

Commands = Sequence[Sequence[bytes]]


class Server:
    """The server that connections are made to.

    Args:
        options: How to connect (see connection_options).

    Attributes:
        epoch: A connection of another epoch than this is not used again.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = dict(options)
        self._class = self._options.pop("connection_class", Connection)
        self.epoch = 0
        self._left_at = float("-inf")

    def connection(self) -> Any:
        """Return an unconnected connection of the client library."""
        return self._class(**self._options)

    def leave(self) -> None:
        """Do not use the existing connections again, because the server refuses.

        A primary that was demoted keeps its connections open. Its name may point to another server
        by then, and only a new connection resolves the name again.
        """
        now = asyncio.get_running_loop().time()
        if now - self._left_at >= LEAVE_SECONDS:
            self._left_at = now
            self.epoch += 1


class Connections:
    """A bounded number of connections to a server, made when they are needed.

    Args:
        server: The server.
        most: How many there may be; a question waits until one is free.
        answer_seconds: How long a question may take, including the wait for a connection.
    """

    def __init__(self, server: Server, most: int, answer_seconds: float) -> None:
        self._server = server
        self._free = asyncio.Semaphore(most)
        self._answer_seconds = answer_seconds
        # Each with the epoch in which it was made.
        self._idle: list[tuple[Any, int]] = []
        self._busy: set[Any] = set()

    async def ask(self, *commands: Sequence[bytes]) -> list[Any]:
        """Send commands together, and return their answers, which may be errors of the server.

        Raises:
            BrokerAwayError: No connection was made, it ended, or the time is over.
        """
        return await self.ask_by(lambda: commands)

    async def ask_by(self, choose: Callable[[], Commands]) -> list[Any]:
        """Do the same with commands, perhaps none, that are chosen once there is a connection.

        Raises:
            BrokerAwayError: As with ``ask``. Nothing was sent if the commands were not chosen yet.
        """
        has_chosen = False

        def chosen() -> Commands:
            nonlocal has_chosen
            has_chosen = True
            return choose()

        # "from None", because errors about an unknown command quote its arguments.
        try:
            async with asyncio.timeout(self._answer_seconds), self._free:
                return await self._ask(chosen)
        except TimeoutError:
            raise unanswered(self._answer_seconds, nothing_taken=not has_chosen) from None
        except (ValkeyError, OSError) as error:
            raise (broken(error) if has_chosen else unreachable(error)) from None

    async def _ask(self, choose: Callable[[], Commands]) -> list[Any]:
        connection, epoch = await self._connected()
        # The client library drops its reference to the writer of a failed send without closing it.
        writer = writer_of(connection)
        self._busy.add(connection)
        try:
            commands = choose()
            if commands:
                await connection.send_packed_command(_packed(commands))
            answers = [await _answer(connection) for _ in commands]
        except BaseException:
            # A late answer would be read as that to the next question. And unsent bytes to a
            # stopped server would keep the connection from closing.
            if writer is not None:
                writer.transport.abort()
            await _cut(connection)
            raise
        finally:
            self._busy.discard(connection)
        self._idle.append((connection, epoch))
        return answers

    async def _connected(self) -> tuple[Any, int]:
        while self._idle:
            connection, epoch = self._idle.pop()
            is_usable = False
            try:
                is_usable = epoch == self._server.epoch and await _is_quiet(connection)
            finally:
                # This also runs if the question is cancelled meanwhile.
                if not is_usable:
                    await _cut(connection)
            if is_usable:
                return connection, epoch
        epoch = self._server.epoch
        connection = self._server.connection()
        try:
            await connection.connect()
        except BaseException:
            # A late answer to the greeting would be read as that to a question.
            await _cut(connection)
            raise
        return connection, epoch

    async def close(self) -> None:
        """Close them; open questions end with BrokerAwayError."""
        idle, self._idle = self._idle, []
        for connection in (*(each for each, _ in idle), *self._busy):
            await _cut(connection)
        # An aborted transport closes its socket at the loop's next turn.
        await asyncio.sleep(0)


def _packed(commands: Commands) -> bytes:
    """Return commands as they are sent (https://valkey.io/topics/protocol).

    The client library copies all before each argument again, which took 10 % of a publish.
    """
    pieces: list[bytes] = []
    for command in commands:
        pieces.append(b"*%d\r\n" % len(command))
        for argument in command:
            pieces += (b"$%d\r\n" % len(argument), argument, b"\r\n")
    return b"".join(pieces)


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ANSWERED as error:
        return error


async def _is_quiet(connection: Any) -> bool:
    """Return whether the server keeps the connection open, and no unexpected bytes have come."""
    try:
        return connection.is_connected and not await connection.can_read_destructive()
    except (ValkeyError, OSError):
        return False


async def _cut(connection: Any) -> None:
    writer = writer_of(connection)
    if writer is not None:
        writer.transport.abort()
    with suppress(ValkeyError, OSError):
        await connection.disconnect(nowait=True)


def connection_options(url: str) -> dict[str, Any]:
    """Return the options of a Server for a URL.

    Raises:
        ValueError: The URL is malformed. The message does not quote it, because a password that is
            not percent-encoded may be in any part of it.
    """
    try:
        options: dict[str, Any] = dict(parse_url(url))
        parts = urlsplit(url)
        names = parse_qs(parts.query, strict_parsing=bool(parts.query))
        is_unix = options.get("connection_class") is UnixDomainSocketConnection
        is_whole = not parts.fragment and names.keys() <= _URL_OPTIONS
        if is_unix:
            is_whole = is_whole and bool(parts.path)
        else:
            is_whole = is_whole and bool(parts.hostname) and bool(_DATABASE.fullmatch(parts.path))
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(
            "expected the URL of a Valkey, such as redis://host:6379/0, rediss://host, or "
            f"unix:///path, with no options but {', '.join(sorted(_URL_OPTIONS))}"
        )
    if not is_unix:
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    if parts.scheme in ("rediss", "valkeys"):
        # The client library's default accepts the certificate of any host.
        options["ssl_check_hostname"] = True
    # Each question has one deadline for all its steps, so a connected socket needs no timeout.
    return options | {
        "client_name": "barestream",
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
    }
