"""Commands and their answers on a connection to Valkey."""

import asyncio
from collections.abc import Sequence
from typing import Any

from libvalkey import pack_command
from valkey.exceptions import ConnectionError as LostError
from valkey.exceptions import ValkeyError

from barestream.history.valkey.errors import ANSWERED
from barestream.history.valkey.valkey_parts import NOT_YET, answers_reader

_ENDED = "the connection has ended"


class Exchange(asyncio.Protocol):
    """The protocol of an open connection, in place of the client library's.

    The library has a coroutine, a stream and a timer for each answer. Each worker reads each
    update, and half of what that cost it was theirs.

    Args:
        transport: The connection's transport.

    Attributes:
        is_quiet: Whether the server keeps the connection open, and no unexpected bytes have come.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._reader = answers_reader()
        self._answers: list[Any] = []
        self._asked = 0
        self._whole: asyncio.Future[list[Any]] | None = None
        self.is_quiet = True
        transport.set_protocol(self)

    def ask(self, packed: bytes, answers: int) -> asyncio.Future[list[Any]]:
        """Send packed commands together, and return the future of their answers.

        The answers may be errors of the server. The future's error is a ValkeyError, if the
        connection has ended or an answer cannot be read, or that of ``fail``.
        """
        self._answers, self._asked = [], answers
        self._whole = whole = asyncio.get_running_loop().create_future()
        if self.is_quiet:
            self._transport.write(packed)
        else:
            self.fail(LostError(_ENDED))
        return whole

    def data_received(self, data: bytes) -> None:
        """Take bytes of the server."""
        if self._whole is None or self._whole.done():
            # Also a part of an answer: the rest of it would answer the next question.
            self.is_quiet = False
            return
        try:
            self._reader.feed(data)
            while not self._whole.done() and (answer := self._reader.gets()) is not NOT_YET:
                self._take(answer, self._whole)
        except ValkeyError as error:
            self.fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the question that is open."""
        self.fail(LostError(str(error or _ENDED)))

    def fail(self, error: Exception) -> None:
        """Fail the question that is open; the connection is of no use any more."""
        self.is_quiet = False
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(error)

    def _take(self, answer: Any, whole: asyncio.Future[list[Any]]) -> None:
        if isinstance(answer, Exception) and not isinstance(answer, ANSWERED):
            raise answer
        self._answers.append(answer)
        if len(self._answers) == self._asked:
            whole.set_result(self._answers)
            self.is_quiet = self.is_quiet and not self._reader.has_data()


def pack(*commands: Sequence[bytes]) -> bytes:
    """Return commands as they are sent."""
    return b"".join([pack_command(tuple(command)) for command in commands])
