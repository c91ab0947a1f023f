"""Publishes to Valkey, in batches: updates that come while a batch is sent go with the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.valkey import scripts
from barestream.history.valkey.connections import Commands, Connections
from barestream.history.valkey.errors import unanswered

# Valkey runs no other command during a transaction. This many publishes take it 10 to 20 ms, and
# need one fsync for all.
BATCH_MOST_UPDATES = 256
BATCH_MOST_BYTES = 1024 * 1024

# How much may wait to be sent while Valkey does not answer.
PENDING_MOST_BYTES = 32 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Pending:
    """A publish that waits for Valkey's answer.

    Attributes:
        arguments: The script's arguments.
        sent_bytes: The size of the arguments.
        place: The answer: the entry's id.
        is_sent: Whether Valkey may have received it.
    """

    arguments: Sequence[bytes]
    sent_bytes: int
    place: asyncio.Future[bytes]
    is_sent: bool = False


class Publishing:
    """Sends publishes in batches, on a connection that is used for nothing else.

    Args:
        connections: The connection.
        answer_seconds: How long a publish may take.
        error: Returns the error for an error answer.
    """

    def __init__(
        self,
        connections: Connections,
        answer_seconds: float,
        error: Callable[[Exception], BrokerAwayError],
    ) -> None:
        self._connections = connections
        self._answer_seconds = answer_seconds
        self._error = error
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._sender: asyncio.Task[None] | None = None

    async def publish(self, arguments: Sequence[bytes]) -> bytes:
        """Run the script for an update; return its entry's id.

        Args:
            arguments: The script's arguments.

        Raises:
            BrokerAwayError: Valkey cannot be reached, refused, or did not answer in time.
        """
        sent_bytes = sum(map(len, arguments))
        if self._pending_bytes + sent_bytes > PENDING_MOST_BYTES:
            raise BrokerAwayError(
                "too many updates wait to be published",
                cause="full",
                words="has too many updates waiting",
                nothing_taken=True,
            )
        pending = _Pending(arguments, sent_bytes, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        self._pending_bytes += sent_bytes
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await pending.place
        except TimeoutError:
            raise unanswered(self._answer_seconds, nothing_taken=not pending.is_sent) from None

    async def close(self) -> None:
        """Send no more; waiting publishes end with an error."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        self._fail_pending(BrokerAwayError("closed", cause="closed", nothing_taken=True))

    async def _send(self) -> None:
        while self._pending:
            batch: list[_Pending] = []
            try:
                await self._send_batch(batch)
            except BrokerAwayError as error:
                _fail(batch, error)
                if not batch:
                    # There was no connection, so nothing was sent.
                    self._fail_pending(error)
            except BaseException:
                _fail(batch, BrokerAwayError("the sender ended", cause="closed"))
                raise

    async def _send_batch(self, batch: list[_Pending]) -> None:
        """Send some of the pending updates, and set the answer of each.

        Args:
            batch: An empty list. The updates are added to it once there is a connection.
        """

        def choose() -> Commands:
            self._take_batch(batch)
            return _commands(batch)

        answers = await self._connections.ask_by(choose)
        if not batch:
            return
        for pending, outcome in zip(batch, _outcomes(answers, len(batch)), strict=True):
            if pending.place.done():
                continue
            if isinstance(outcome, ValkeyError):
                pending.place.set_exception(self._error(outcome))
            else:
                pending.place.set_result(outcome)

    def _take_batch(self, batch: list[_Pending]) -> None:
        batch_bytes = 0
        while self._pending and len(batch) < BATCH_MOST_UPDATES:
            pending = self._pending[0]
            if batch and batch_bytes + pending.sent_bytes > BATCH_MOST_BYTES:
                break
            self._pending.popleft()
            self._pending_bytes -= pending.sent_bytes
            # A publish that was cancelled, or has ended with an error, is not sent.
            if not pending.place.done():
                pending.is_sent = True
                batch.append(pending)
                batch_bytes += pending.sent_bytes

    def _fail_pending(self, error: BrokerAwayError) -> None:
        _fail(self._pending, error)
        self._pending.clear()
        self._pending_bytes = 0


def _commands(batch: Sequence[_Pending]) -> Commands:
    if not batch:
        return ()
    # The first command contains the script, so the others find it, even in a Valkey that was just
    # restarted: all of them are one transaction.
    commands = [scripts.call_known(scripts.PUBLISH_SHA, *each.arguments) for each in batch]
    commands[0] = scripts.call(scripts.PUBLISH, *batch[0].arguments)
    return ((b"MULTI",), *commands, (b"EXEC",))


def _outcomes(answers: list[Any], updates: int) -> list[Any]:
    """Return the outcome of each update of a transaction, from the answers to its commands.

    If EXEC answers with a list, the commands whose answer is an error failed, and the others were
    done. If MULTI was refused, Valkey ran each command by itself. Else it discarded the
    transaction.
    """
    begun, *queued, executed = answers
    if isinstance(executed, list):
        return executed
    if isinstance(begun, ValkeyError):
        return queued
    refused = next((answer for answer in queued if isinstance(answer, ValkeyError)), executed)
    return [refused] * updates


def _fail(publishes: Iterable[_Pending], error: BrokerAwayError) -> None:
    for pending in publishes:
        if not pending.place.done():
            pending.place.set_exception(error)
