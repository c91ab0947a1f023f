"""Connections to Valkey: a bounded number of them, and a deadline for each question."""

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.valkey import tls
from barestream.history.valkey.errors import broken, unanswered, unreachable
from barestream.history.valkey.exchange import Exchange, pack
from barestream.history.valkey.preface import Preface
from barestream.history.valkey.server import Server
from barestream.history.valkey.valkey_parts import (
    UnixDomainSocketConnection,
    parse_url,
    transport_of,
)

# The keepalive detects a host that vanished while no question was under way; TCP_USER_TIMEOUT ends
# the connection if the host does not acknowledge written bytes. Linux, tcp(7).
_KEEPALIVE = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 10_000,
}

_DATABASE = re.compile(r"/?|/[0-9]+")

# A host that has vanished, such as a killed container, does not refuse a connection. The kernel
# gives its address up after 3 s; publishers get their answer before that.
CONNECT_SECONDS = 2.0

# How often a question follows the address that a node names. A cluster whose nodes disagree agrees
# within seconds; until then the question ends with an error.
MOST_MOVES = 3

# Any node of a cluster does these, so their answers do not say where the history is.
_WITHOUT_KEYS = (b"WAIT", b"WAITAOF")

Commands = Sequence[Sequence[bytes]]

PRIMARY_CHANGED = "another server has become the primary"


@dataclass(slots=True, eq=False)
class _Open:
    """An open connection.

    Attributes:
        connection: The client library's connection.
        exchange: Asks on it.
        epoch: The server's epoch in which it was made.
        may_write: Whether nothing is to be asked before a write.
    """

    connection: Any
    exchange: Exchange
    epoch: int
    may_write: bool


class Connections:
    """A bounded number of connections to a server, made when they are needed.

    Args:
        server: The server.
        most: How many there may be; a question waits until one is free.
        answer_seconds: How long a question may take, including the wait for a connection.
        preface: What each is asked before its first question; None for connections that read.
    """

    def __init__(
        self, server: Server, most: int, answer_seconds: float, preface: Preface | None = None
    ) -> None:
        self._server = server
        self._preface = preface
        self._free = asyncio.Semaphore(most)
        self._answer_seconds = answer_seconds
        self._idle: list[_Open] = []
        self._busy: set[_Open] = set()
        # Connections that are being made.
        self._dials: set[asyncio.Timeout] = set()
        server.follow(self._drop)

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

    async def ask_packed(self, packed: bytes, answers: int) -> list[Any]:
        """Do the same as ``ask`` with packed commands, in fewer steps.

        This is for one asker that asks one question after the other (Waiting): its connection is
        free, so it waits for none.

        Args:
            packed: The commands.
            answers: How many they are.
        """
        for _ in range(MOST_MOVES):
            answered = await self._ask_packed(packed, answers)
            if not self._server.has_moved(answered):
                return answered
        return await self._ask_packed(packed, answers)

    async def _ask_packed(self, packed: bytes, answers: int) -> list[Any]:
        late = None
        try:
            if (found := self._quiet()) is None:
                async with asyncio.timeout(self._answer_seconds):
                    found = await self._connected()
            exchange, loop = found.exchange, asyncio.get_running_loop()
            # asyncio.timeout takes five times as long.
            late = loop.call_later(self._answer_seconds, exchange.fail, TimeoutError())
            return await self._asked(found, packed, answers)
        except TimeoutError:
            raise unanswered(self._answer_seconds, nothing_taken=late is None) from None
        except (ValkeyError, OSError) as error:
            raise (broken(error) if late else unreachable(error)) from None
        finally:
            if late is not None:
                late.cancel()

    async def _ask(self, choose: Callable[[], Commands]) -> list[Any]:
        found = await self._usable()
        if not (commands := choose()):
            self._idle.append(found)
            return []
        packed = pack(*commands)
        answers = await self._asked(found, packed, len(commands))
        for _ in range(MOST_MOVES):
            of_keys = [
                answer
                for command, answer in zip(commands, answers, strict=True)
                if command[0] not in _WITHOUT_KEYS
            ]
            if not self._server.has_moved(of_keys):
                break
            answers = await self._asked(await self._usable(), packed, len(commands))
        return answers

    async def _usable(self) -> _Open:
        """Return a connection that was asked what is asked before its first question."""
        found = self._quiet() or await self._connected()
        if not found.may_write:
            await self._prepare(found)
        return found

    async def _prepare(self, found: _Open) -> None:
        """Ask what a connection is asked before its first question."""
        assert self._preface is not None  # noqa: S101 (without one it may write at once)
        try:
            await self._preface(
                lambda commands: self._exchanged(found, pack(*commands), len(commands))
            )
        except (BrokerAwayError, ValkeyError):
            # A later question asks again, mostly on this connection.
            if found.exchange.is_quiet:
                self._idle.append(found)
                self._server.leave()
            raise
        found.may_write = True

    async def _asked(self, found: _Open, packed: bytes, answers: int) -> list[Any]:
        answered = await self._exchanged(found, packed, answers)
        self._idle.append(found)
        return answered

    async def _exchanged(self, found: _Open, packed: bytes, answers: int) -> list[Any]:
        self._busy.add(found)
        try:
            answered = await found.exchange.ask(packed, answers)
        except BaseException:
            # A late answer would be read as that to the next question. And unsent bytes to a
            # stopped server would keep the connection from closing.
            await _cut(found.connection)
            raise
        finally:
            self._busy.discard(found)
        return answered

    def _quiet(self) -> _Open | None:
        """Return an idle connection that can be used, if the newest is one."""
        if self._idle:
            newest = self._idle[-1]
            if newest.epoch == self._server.epoch and newest.exchange.is_quiet:
                return self._idle.pop()
        return None

    async def _connected(self) -> _Open:
        while self._idle:
            if (found := self._quiet()) is not None:
                return found
            await _cut(self._idle.pop().connection)
        dial = asyncio.timeout(None)
        self._dials.add(dial)
        try:
            async with dial:
                return await self._dialed()
        except TimeoutError:
            raise LostError(PRIMARY_CHANGED) from None
        finally:
            self._dials.discard(dial)

    async def _dialed(self) -> _Open:
        epoch = self._server.epoch
        connection = await self._server.connection()
        try:
            await connection.connect()
            transport = transport_of(connection)
            assert transport is not None  # noqa: S101 (it is connected)
            exchange = Exchange(transport)
            await self._server.check(exchange)
            return _Open(connection, exchange, epoch, may_write=self._preface is None)
        except BaseException:
            # A late answer to the greeting would be read as that to a question.
            self._server.address.forget()
            await _cut(connection)
            raise

    def _drop(self) -> None:
        """Fail the questions that are open, and end the making of connections."""
        for each in self._busy:
            each.exchange.fail(LostError(PRIMARY_CHANGED))
        now = asyncio.get_running_loop().time()
        for dial in self._dials:
            # One that ends already cannot be ended again.
            if dial.when() is None:
                dial.reschedule(now)

    async def close(self) -> None:
        """Close them; open questions end with BrokerAwayError."""
        idle, self._idle = self._idle, []
        for each in (*idle, *self._busy):
            await _cut(each.connection)
        # An aborted transport closes its socket at the loop's next turn.
        await asyncio.sleep(0)


async def _cut(connection: Any) -> None:
    transport = transport_of(connection)
    if transport is not None:
        transport.abort()
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
        has_tls = parts.scheme in ("rediss", "valkeys")
        known = {"db", *tls.FILES} if has_tls else {"db"}
        is_whole = not parts.fragment and names.keys() <= known
        if is_unix:
            is_whole = is_whole and bool(parts.path)
        else:
            is_whole = is_whole and bool(parts.hostname) and bool(_DATABASE.fullmatch(parts.path))
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(
            "expected the URL of a Valkey, such as redis://host:6379/0, rediss://host, or "
            f"unix:///path, with no options but db, and {', '.join(tls.FILES)} for TLS"
        )
    if not is_unix:
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    if has_tls:
        # The client library's default accepts the certificate of any host.
        options["ssl_check_hostname"] = True
        # It takes no certificate without this option. A file may have both.
        if "ssl_certfile" in options:
            options.setdefault("ssl_keyfile", options["ssl_certfile"])
    # Each question has one deadline for all its steps, so a connected socket needs no timeout.
    return options | {
        "client_name": "barestream",
        # It would tell its own name and version, for which the service's user lacks the right.
        "lib_name": None,
        "lib_version": None,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
    }
