"""The server that the history is in, as connections see it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import ValkeyError

from barestream.history.valkey.current_address import CurrentAddress
from barestream.history.valkey.exchange import Exchange, pack
from barestream.history.valkey.guide import Guide
from barestream.history.valkey.reign import Reign
from barestream.history.valkey.valkey_parts import Connection

# The shortest time between reconnections to a server that keeps refusing: a TLS handshake takes
# both ends milliseconds.
LEAVE_SECONDS = 1.0


class Server:
    """The server that connections are made to.

    Args:
        options: How to connect (see connection_options).
        guide: Who says where it is; None if the options do.

    Attributes:
        address: Where it is, without a guide.
        epoch: A connection of another epoch than this is not used again.
        reign: What the server is told before the first write.
    """

    def __init__(self, options: dict[str, Any], guide: Guide | None = None) -> None:
        self._options = dict(options)
        self._class = self._options.pop("connection_class", Connection)
        self._guide = guide
        self.address = CurrentAddress(options)
        self._followers: list[Callable[[], None]] = []
        self.reign = Reign()
        self.epoch = 0
        self._left_at = float("-inf")
        if guide is not None:
            guide.follow(self._move)

    async def connection(self) -> Any:
        """Return an unconnected connection of the client library."""
        if self._guide is None:
            return self._class(**self._options | self.address.options)
        address = await self._guide.address()
        return self._class(**(self._options | address._asdict()))

    async def check(self, exchange: Exchange) -> None:
        """Check that a connection leads to the primary, if there is a guide.

        A guide may know too late that the server is the primary no more, or name it too early.

        Raises:
            ValkeyError: It does not, or the server refuses to say.
        """
        if self._guide is None:
            return
        asked_at = asyncio.get_running_loop().time()
        role, time = answers = await exchange.ask(pack((b"ROLE",), (b"TIME",)), 2)
        for answer in answers:
            if isinstance(answer, ValkeyError):
                raise answer
        if role[0] != b"master":
            raise LostError(f"the server that was named as the primary is a {role[0].decode()}")
        self.reign.note_clock(1000 * int(time[0]) + int(time[1]) / 1000, asked_at)

    def follow(self, moved: Callable[[], None]) -> None:
        """Have a function called whenever another server has become the primary."""
        self._followers.append(moved)

    def has_moved(self, answers: Sequence[Any]) -> bool:
        """Return whether a question was done nowhere, and is to be asked at another address."""
        # This is asked of each answer; few are errors.
        if not (answers and isinstance(answers[0], ValkeyError)):
            return False
        before = self.address.options
        if not self.address.follow(answers):
            return False
        if self.address.options != before:
            self.epoch += 1
        return True

    def leave(self) -> None:
        """Do not use the existing connections again, because the server refuses.

        A primary that was demoted keeps its connections open. Its name may point to another server
        by then, and only a new connection resolves the name again.
        """
        now = asyncio.get_running_loop().time()
        if now - self._left_at >= LEAVE_SECONDS:
            self._left_at = now
            self.epoch += 1

    def _move(self) -> None:
        """Leave the server for another one at once, also with the questions that are open."""
        self.epoch += 1
        self.reign.end()
        for moved in self._followers:
            moved()
