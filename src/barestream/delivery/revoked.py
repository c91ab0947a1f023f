"""What a worker knows of the revocations, and the end of what it holds open for revoked tokens."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.history.revocations import (
    NO_CHANGES,
    Revocation,
    RevocationStore,
    Table,
    Version,
)
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

# Streams of a revoked token end within a second on every worker. A question takes Valkey 1 us, and
# the worker 40 us.
POLL_SECONDS = 0.4

# How long requests with a token wait for a worker's first read, which takes some milliseconds.
FIRST_READ_SECONDS = 3.0

# So many revocations are added to a table without a turn for other work: they take 1 ms.
_ADDED_TOGETHER = 200


class Holder(Protocol):
    """Holds something open for tokens, such as streams."""

    async def end_revoked(self, is_revoked: Callable[[TokenId], bool]) -> None:
        """End what it holds open for revoked tokens."""


class Revoked:
    """Knows which tokens are revoked, and ends what holders hold open for them.

    While the history is away, the last table that was read holds.

    Args:
        store: Keeps the revocations.
        metrics: Where they are counted.
        slices: The slices of long work.
        now: The wall clock, in seconds since 1970-01-01 UTC.

    Attributes:
        may_refuse: Whether a token may be refused: there are revocations, or the table was not read
            yet.
    """

    def __init__(
        self,
        store: RevocationStore,
        metrics: Metrics,
        slices: Slices,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._slices = slices
        self._now = now
        self._holders: tuple[Holder, ...] = ()
        self._table: Table | None = None
        self._version = NO_CHANGES
        self.may_refuse = True
        self._reading = asyncio.Lock()
        # Set once the first read has succeeded or failed.
        self._first_read = asyncio.Event()
        self._failure: BrokerAwayError | None = None

    async def wait_until_read(self) -> None:
        """Wait until the table was read once; not if the history does not answer.

        Raises:
            BrokerAwayError: It was not.
        """
        if self._table is not None:
            return
        if self._failure is None:
            # A timeout needs a task; a request that has none becomes one when it waits.
            await asyncio.sleep(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_READ_SECONDS):
                    await self._first_read.wait()
        if self._table is None:
            words = self._failure.words if self._failure else "has not answered yet"
            raise BrokerAwayError("the revocations were not read yet", words=words)

    def refuses(self, token: TokenId) -> bool:
        """Return whether a request's token is revoked, and count it if it is."""
        is_revoked = self.revokes(token)
        if is_revoked:
            self._metrics.requests_revoked.inc()
        return is_revoked

    def revokes(self, token: TokenId) -> bool:
        """Return whether a token is revoked, as far as is known."""
        return self.revoking(token) is not None

    def revoking(self, token: TokenId) -> Revocation | None:
        """Return a revocation that a token falls under, as far as is known; None without one."""
        table = self._table
        return None if table is None else table.revoking(token, 1000 * self._now())

    async def page(self, after: str, most: int) -> list[Revocation]:
        """Return the revocations in force that follow an id (see Table).

        Raises:
            BrokerAwayError: The history cannot be reached.
        """
        await self.refresh()
        assert self._table is not None  # noqa: S101 (it was read)
        return self._table.page(after, most)

    async def run(
        self, *holders: Holder, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Read the changes until cancelled, and have the holders end what they make void."""
        self._holders = holders
        while True:
            with suppress(BrokerAwayError):
                await self.refresh()
            await sleep(POLL_SECONDS)

    async def refresh(self) -> None:
        """Read the table if it has changed, and have the holders end what it makes void.

        Raises:
            BrokerAwayError: The history cannot be reached.
        """
        async with self._reading:
            try:
                version = await self._store.version()
                if self._table is None or version != self._version:
                    await self._read(version)
            except BrokerAwayError as error:
                self._note_failure(error)
                raise
            finally:
                self._first_read.set()
            self._note_success()
            self._drop_over()

    async def _read(self, version: Version) -> None:
        table = Table()
        for number, each in enumerate(await self._store.read()):
            table.add(each)
            if number % _ADDED_TOGETHER == 0:
                await self._slices.step()
        table.drop_over(1000 * self._now())
        before, self._table = self._table, table
        if before is not None and version.changes <= self._version.changes:
            gone = sum(table.get(each.id) is None for each in before)
            self._metrics.revocations_lost.inc()
            logger.warning(
                "the revocations were lost or replaced by an older copy: those that it lacks are "
                "in force no more",
                extra={"gone": gone, "left": len(table)},
            )
        self._version = version
        self._note_table(table)
        if table:
            for holder in self._holders:
                await holder.end_revoked(self.revokes)

    def _drop_over(self) -> None:
        table = self._table
        if table:
            table.drop_over(1000 * self._now())
            self._note_table(table)

    def _note_table(self, table: Table) -> None:
        self.may_refuse = bool(table)
        self._metrics.revocations.set(len(table))

    def _note_failure(self, error: BrokerAwayError) -> None:
        if self._failure is None or error.cause != self._failure.cause:
            self._metrics.revocations_current.set(0)
            logger.warning(
                "the revocations cannot be read: those that were read last hold"
                if self._table is not None
                else "the revocations were not read yet: requests with a token are put off",
                extra={"cause": error.cause, "why": str(error)},
            )
        self._failure = error

    def _note_success(self) -> None:
        if self._failure is not None:
            self._failure = None
            logger.info("the revocations are read again")
        self._metrics.revocations_current.set(1)
