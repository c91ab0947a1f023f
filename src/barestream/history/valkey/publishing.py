"""Publishes to Valkey, in batches: updates that come while a batch is sent go with the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.update import Update
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.connections import Commands, Connections
from barestream.history.valkey.errors import is_to_be_repeated, unaccepted, unanswered
from barestream.history.valkey.valkey_parts import NoScriptError

# Valkey runs no other command during a script. This many publishes take it 2 to 10 ms, and need one
# fsync for all.
BATCH_MOST_UPDATES = 128
BATCH_MOST_BYTES = 1024 * 1024
BATCH_MOST_TOPICS = 512

# How much may wait to be sent while Valkey does not answer.
PENDING_MOST_BYTES = 32 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Pending:
    """A publish that waits for Valkey's answer.

    Attributes:
        updates: The updates.
        is_whole: Whether all or none of them are to be published; else there is one.
        arguments: The script's arguments.
        sent_bytes: The size of the arguments.
        topics: How many topics the updates have.
        places: The answer: the id of each update's entry.
        is_sent: Whether Valkey may have received it.
    """

    updates: Sequence[Update]
    is_whole: bool
    arguments: Sequence[bytes]
    sent_bytes: int
    topics: int
    places: asyncio.Future[list[bytes]]
    is_sent: bool = False


class Publishing:
    """Sends publishes in batches, on a connection that is used for nothing else.

    Args:
        connections: The connection.
        bounds: The bounds of the history, as the script's arguments.
        answer_seconds: How long a publish may take.
        error: Returns the error for an error answer.
    """

    def __init__(
        self,
        connections: Connections,
        bounds: Sequence[bytes],
        answer_seconds: float,
        error: Callable[[Exception], BrokerAwayError],
    ) -> None:
        self._connections = connections
        self._bounds = bounds
        self._answer_seconds = answer_seconds
        self._error = error
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._sender: asyncio.Task[None] | None = None

    async def publish(self, updates: Sequence[Update], *, is_whole: bool) -> list[bytes]:
        """Run the script for updates; return the ids of their entries.

        Args:
            updates: The updates.
            is_whole: Whether all or none of them are to be published; else there is one.

        Raises:
            BrokerAwayError: Valkey cannot be reached, refused, or did not answer in time.
            TopicEndedError: See Broker.
            TooMuchKeptError: See Broker.
        """
        arguments = [argument for update in updates for argument in codec.arguments(update)]
        sent_bytes = sum(map(len, arguments))
        topics = sum(len(update.topics) for update in updates)
        places: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        pending = _Pending(updates, is_whole, arguments, sent_bytes, topics, places)
        if self._pending_bytes + sent_bytes > PENDING_MOST_BYTES:
            raise BrokerAwayError(
                "too many updates wait to be published",
                cause="full",
                words="has too many updates waiting",
                nothing_taken=True,
            )
        self._pending.append(pending)
        self._pending_bytes += sent_bytes
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await places
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
            return (scripts.PUBLISH.call_known(*self._arguments(batch)),) if batch else ()

        answers = await self._connections.ask_by(choose)
        if not batch:
            return
        [answer] = answers
        if isinstance(answer, NoScriptError):
            # Valkey was restarted, or has no update of this release yet. It has done nothing.
            [answer] = await self._connections.ask(scripts.PUBLISH.call(*self._arguments(batch)))
        again = []
        for pending, outcome in zip(batch, _outcomes(batch, answer), strict=True):
            if pending.places.done():
                continue
            if not isinstance(outcome, ValkeyError):
                pending.places.set_result(outcome)
            elif is_to_be_repeated(outcome):
                again.append(pending)
            else:
                error = unaccepted(outcome, pending.updates) or self._error(outcome)
                pending.places.set_exception(error)
        self._put_back(again)

    def _take_batch(self, batch: list[_Pending]) -> None:
        batch_bytes = topics = 0
        while self._pending and len(batch) < BATCH_MOST_UPDATES:
            pending = self._pending[0]
            is_beyond = (
                batch_bytes + pending.sent_bytes > BATCH_MOST_BYTES
                or topics + pending.topics > BATCH_MOST_TOPICS
            )
            if batch and (is_beyond or batch[0].is_whole or pending.is_whole):
                break
            self._pending.popleft()
            self._pending_bytes -= pending.sent_bytes
            # A publish that was cancelled, or has ended with an error, is not sent.
            if not pending.places.done():
                pending.is_sent = True
                batch.append(pending)
                batch_bytes += pending.sent_bytes
                topics += pending.topics

    def _put_back(self, batch: Sequence[_Pending]) -> None:
        """Send these again before the others."""
        for pending in reversed(batch):
            pending.is_sent = False
            self._pending.appendleft(pending)
            self._pending_bytes += pending.sent_bytes

    def _arguments(self, batch: Sequence[_Pending]) -> list[bytes]:
        mode = b"all" if batch[0].is_whole else b"each"
        of_updates = [argument for pending in batch for argument in pending.arguments]
        return [*self._bounds, mode, *of_updates]

    def _fail_pending(self, error: BrokerAwayError) -> None:
        _fail(self._pending, error)
        self._pending.clear()
        self._pending_bytes = 0


def _outcomes(batch: Sequence[_Pending], answer: Any) -> list[Any]:
    """Return the outcome of each publish of a batch: the places, or an error."""
    if isinstance(answer, ValkeyError):
        return [answer] * len(batch)
    if batch[0].is_whole:
        return [answer]
    return [each if isinstance(each, ValkeyError) else [each] for each in answer]


def _fail(publishes: Iterable[_Pending], error: BrokerAwayError) -> None:
    for pending in publishes:
        if not pending.places.done():
            pending.places.set_exception(error)
