"""Publishes to Valkey: those that come while others are sent go together with the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.producers import Accepted, Batch
from barestream.history.record import Place
from barestream.history.update import Update
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.connections import Commands, Connections
from barestream.history.valkey.copies import Copies
from barestream.history.valkey.deadlines import Deadlines
from barestream.history.valkey.errors import is_to_be_repeated, unaccepted, unanswered
from barestream.history.valkey.valkey_parts import NoScriptError

# Valkey runs no other command during a script. This many publishes take it 2 to 10 ms, and need one
# fsync for all.
BATCH_MOST_UPDATES = 128
BATCH_MOST_BYTES = 1024 * 1024
BATCH_MOST_TOPICS = 512

# How much may wait to be sent while Valkey does not answer.
PENDING_MOST_BYTES = 32 * 1024 * 1024


class _Form(NamedTuple):
    """How a publish is sent.

    Attributes:
        script: The script that publishes it.
        head: The script's first arguments.
        joins: Whether one call publishes several, each by itself.
    """

    script: scripts.Script
    head: Sequence[bytes]
    joins: bool = False


@dataclass(slots=True, eq=False)
class _Pending:
    """A publish that waits for Valkey's answer.

    Attributes:
        form: How it is sent.
        updates: The updates; one if it joins others.
        arguments: The script's arguments behind those of the form.
        sent_bytes: The size of the arguments.
        topics: How many topics the updates have.
        outcome: The script's answer; its own part of it if it joins others.
        is_sent: Whether Valkey may have received it.
    """

    form: _Form
    updates: Sequence[Update]
    arguments: Sequence[bytes]
    sent_bytes: int
    topics: int
    outcome: asyncio.Future[Any]
    is_sent: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has its answer."""
        return self.outcome.done()


# What one call of a script publishes.
_Call = list[_Pending]


class Publishing:
    """Sends publishes in batches, on a connection that is used for nothing else.

    Args:
        connections: The connection.
        bounds: The bounds of the history, and those of producers, as arguments of scripts.
        answer_seconds: How long a publish may take.
        error: Returns the error for an error answer.
        copies: How the publishes are confirmed.
        coding: How updates are written.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (the parts that it connects)
        self,
        connections: Connections,
        bounds: tuple[Sequence[bytes], Sequence[bytes]],
        answer_seconds: float,
        error: Callable[[Exception], BrokerAwayError],
        copies: Copies,
        coding: Coding = PLAIN,
    ) -> None:
        self._connections = connections
        self._copies = copies
        self._coding = coding
        of_history, of_producers = bounds
        self._each = _Form(scripts.PUBLISH, (*of_history, b"each"), joins=True)
        self._all = _Form(scripts.PUBLISH, (*of_history, b"all"))
        self._batch = _Form(scripts.BATCH, (*of_history, *of_producers))
        self._answer_seconds = answer_seconds
        self._deadlines = Deadlines(answer_seconds, self._be_overdue)
        self._error = error
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._sender: asyncio.Task[None] | None = None

    async def publish(self, update: Update) -> bytes:
        """Publish an update; return the id of its entry.

        Raises:
            BrokerAwayError: Valkey cannot be reached, refused, or did not answer in time.
            TopicEndedError: See Broker.
            TooMuchKeptError: See Broker.
        """
        arguments = self._coding.arguments(update)
        topics = len(update.topics)
        place: bytes = await self._ask(self._each, (update,), arguments, topics)
        return place

    async def publish_all(self, updates: Sequence[Update]) -> list[bytes]:
        """Publish all or none of some updates; return the ids of their entries.

        Raises:
            BrokerAwayError, TopicEndedError, TooMuchKeptError: See publish.
        """
        arguments = [argument for update in updates for argument in self._coding.arguments(update)]
        topics = sum(len(update.topics) for update in updates)
        places: list[bytes] = await self._ask(self._all, updates, arguments, topics)
        return places

    async def publish_batch(self, batch: Batch) -> tuple[Accepted, Place]:
        """Publish a producer's batch (see Broker, and codec.accepted)."""
        arguments, topics = codec.batch_arguments(batch), len(batch.updates)
        return codec.accepted(await self._ask(self._batch, batch.updates, arguments, topics))

    async def _ask(
        self, form: _Form, updates: Sequence[Update], arguments: Sequence[bytes], topics: int
    ) -> Any:
        """Return the script's answer once Valkey has given it; see _Pending."""
        sent_bytes = sum(map(len, arguments))
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pending = _Pending(form, updates, arguments, sent_bytes, topics, outcome)
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
        self._deadlines.add(pending)
        return await outcome

    def _be_overdue(self, pending: _Pending) -> None:
        error = unanswered(self._answer_seconds, nothing_taken=not pending.is_sent)
        pending.outcome.set_exception(error)

    async def close(self) -> None:
        """Send no more; waiting publishes end with an error."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        self._fail_pending(BrokerAwayError("closed", cause="closed", nothing_taken=True))
        self._deadlines.close()

    async def _send(self) -> None:
        while self._pending:
            calls: list[_Call] = []
            try:
                await self._send_some(calls)
            except BrokerAwayError as error:
                _fail(chain(*calls), error)
                if not calls:
                    # There was no connection, so nothing was sent.
                    self._fail_pending(error)
            except BaseException:
                _fail(chain(*calls), BrokerAwayError("the sender ended", cause="closed"))
                raise

    async def _send_some(self, calls: list[_Call]) -> None:
        """Send some of the pending publishes, and set the answer of each.

        Args:
            calls: An empty list. The calls are added to it once there is a connection.
        """

        def choose() -> Commands:
            self._take_some(calls)
            known = [_script(call).call_known(*_arguments(call)) for call in calls]
            return [*known, *self._copies.commands] if known else known

        answers = await self._connections.ask_by(choose)
        of_all = self._copies.shortfall(answers) if answers else None
        again: list[_Pending] = []
        for call, known_answer in zip(calls, answers, strict=True):
            answer, shortfall = known_answer, of_all
            if isinstance(answer, NoScriptError):
                # Valkey was restarted, or has no update of this release yet. It has done nothing.
                command = _script(call).call(*_arguments(call))
                asked = await self._connections.ask(command, *self._copies.commands)
                shortfall = self._copies.shortfall(asked)
                [answer] = asked
            for pending, outcome in zip(call, _outcomes(call, answer), strict=True):
                if pending.outcome.done():
                    continue
                if not isinstance(outcome, ValkeyError):
                    if shortfall is None:
                        pending.outcome.set_result(outcome)
                    else:
                        pending.outcome.set_exception(shortfall)
                elif is_to_be_repeated(outcome):
                    again.append(pending)
                else:
                    error = unaccepted(outcome, pending.updates) or self._error(outcome)
                    pending.outcome.set_exception(error)
        self._put_back(again)

    def _take_some(self, calls: list[_Call]) -> None:
        """Take pending publishes that one script publishes, so that all or none must be sent again
        if Valkey does not know it.
        """
        updates = sent_bytes = topics = 0
        while self._pending:
            pending = self._pending[0]
            if calls and (
                pending.form.script is not _script(calls[0])
                or updates + len(pending.updates) > BATCH_MOST_UPDATES
                or sent_bytes + pending.sent_bytes > BATCH_MOST_BYTES
                or topics + pending.topics > BATCH_MOST_TOPICS
            ):
                break
            self._pending.popleft()
            self._pending_bytes -= pending.sent_bytes
            # A publish that was cancelled, or has ended with an error, is not sent.
            if pending.outcome.done():
                continue
            pending.is_sent = True
            if calls and pending.form.joins and calls[-1][0].form.joins:
                calls[-1].append(pending)
            else:
                calls.append([pending])
            updates += len(pending.updates)
            sent_bytes += pending.sent_bytes
            topics += pending.topics

    def _put_back(self, publishes: Sequence[_Pending]) -> None:
        """Send these again before the others."""
        for pending in reversed(publishes):
            pending.is_sent = False
            self._pending.appendleft(pending)
            self._pending_bytes += pending.sent_bytes

    def _fail_pending(self, error: BrokerAwayError) -> None:
        _fail(self._pending, error)
        self._pending.clear()
        self._pending_bytes = 0


def _script(call: _Call) -> scripts.Script:
    return call[0].form.script


def _arguments(call: _Call) -> list[bytes]:
    return [*call[0].form.head, *(argument for pending in call for argument in pending.arguments)]


def _outcomes(call: _Call, answer: Any) -> list[Any]:
    """Return the outcome of each publish of a call: its answer, or an error."""
    if not call[0].form.joins or isinstance(answer, ValkeyError):
        return [answer] * len(call)
    return list(answer)


def _fail(publishes: Iterable[_Pending], error: BrokerAwayError) -> None:
    for pending in publishes:
        if not pending.outcome.done():
            pending.outcome.set_exception(error)
