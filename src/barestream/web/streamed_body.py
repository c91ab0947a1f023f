"""The body of one streamed publish, whose updates are published as they come."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from barestream.delivery.time_slices import Slices
from barestream.web.arriving import Arriving
from barestream.web.batches import Batches
from barestream.web.refusals import RETRY_AFTER, Refused
from barestream.web.sent_updates import Sent, SentUpdates

# A model may think for minutes, and a build may be silent for as long. nginx waits a little longer
# (nginx/templates/site.conf.template), so that the answer says what was accepted.
SILENT_SECONDS = 3600

# So much is parsed without a turn for other work; lines without an update are read in 5 ms.
_PARSED_BYTES = 16 * 1024

# Of what has come already when the worker stops, so many pieces are still read. The server holds no
# more, so a body that came whole is accepted.
_LAST_PIECES = 3

# A lease is renewed while the publisher is connected, twice before it would be over.
_RENEWALS = 3


class Clocks(NamedTuple):
    """Clocks, in seconds.

    Attributes:
        wall: By which tokens expire.
        steady: By which waits are measured.
    """

    wall: Callable[[], float]
    steady: Callable[[], float]


class Terms(NamedTuple):
    """What holds while a body comes.

    Attributes:
        expires_at: When its token expires, by the wall clock; None if it never does.
        expired: Returns the refusal from then on.
        lease_seconds: The lease of its producer; None without one.
        end: Ends its topic after the body; None if it does not.
        pace: Waits a moment if the worker's streams are behind; returns whether they were.
        check_not_revoked: Raises the refusal once its token is revoked.
    """

    expires_at: float | None
    expired: Callable[[], Refused]
    lease_seconds: float | None
    end: Sent | None
    pace: Callable[[], Awaitable[bool]]
    check_not_revoked: Callable[[], None]


class StreamedBody:
    """Reads a body, and publishes its updates; what is under way is all that it holds.

    Args:
        sent: Reads the updates.
        batches: Publishes them.
        terms: What holds meanwhile.
        clocks: The clocks.
        slices: The slices of long work.
    """

    def __init__(
        self, sent: SentUpdates, batches: Batches, terms: Terms, clocks: Clocks, slices: Slices
    ) -> None:
        self._sent = sent
        self._batches = batches
        self._terms = terms
        self._clocks = clocks
        self._slices = slices
        self._renewal_seconds = (terms.lease_seconds or math.inf) / _RENEWALS
        self._silent_at = self._renews_at = 0.0

    async def publish(self, body: AsyncIterator[bytes], end: asyncio.Future[None]) -> None:
        """Publish the updates until the body ends.

        The body is not read while a batch is under way, so that its sender is held back.

        Args:
            body: The pieces of the body.
            end: Is done once the body can no longer be waited for.

        Raises:
            Refused: The body cannot go on; what came before the reason was accepted.
        """
        arriving = Arriving(body)
        last_pieces = _LAST_PIECES
        now = self._clocks.steady()
        self._silent_at, self._renews_at = now + SILENT_SECONDS, now + self._renewal_seconds
        try:
            while True:
                seconds = self._free_seconds()
                if seconds <= 0:
                    await self._do_what_is_due()
                    continue
                try:
                    piece = await arriving.next(end, seconds)
                except TimeoutError:
                    self._terms.check_not_revoked()
                    if end.done():
                        raise _stopping() from None
                    continue
                self._terms.check_not_revoked()
                if piece is None:
                    break
                if end.done():
                    last_pieces -= 1
                    if last_pieces < 0:
                        raise _stopping()
                if piece:
                    self._silent_at = self._clocks.steady() + SILENT_SECONDS
                    await self._read(piece, end)
        finally:
            await arriving.leave()
        for each in self._sent.end():
            self._batches.add(each)
        await self._batches.flush()
        if self._terms.end is not None and not self._batches.ends_topic:
            self._batches.add(self._terms.end)
            await self._batches.flush()

    def _free_seconds(self) -> float:
        """Return for how long nothing is due but the body."""
        seconds = min(self._silent_at, self._renews_at) - self._clocks.steady()
        if self._terms.expires_at is not None:
            seconds = min(seconds, self._terms.expires_at - self._clocks.wall())
        return seconds

    async def _do_what_is_due(self) -> None:
        now, expires_at = self._clocks.steady(), self._terms.expires_at
        if expires_at is not None and self._clocks.wall() >= expires_at:
            raise self._terms.expired()
        if now >= self._silent_at:
            raise _silent()
        if now >= self._renews_at:
            await self._batches.renew()
            self._renews_at = now + self._renewal_seconds

    async def _read(self, piece: bytes, end: asyncio.Future[None]) -> None:
        """Publish the updates that a piece completes."""
        for start in range(0, len(piece), _PARSED_BYTES):
            try:
                for each in self._sent.feed(piece[start : start + _PARSED_BYTES]):
                    if self._batches.add(each):
                        await self._flush(end)
            except Refused:
                await self._batches.flush()
                raise
            await self._slices.step()
        await self._flush(end)

    async def _flush(self, end: asyncio.Future[None]) -> None:
        if not await self._batches.flush():
            return
        self._renews_at = self._clocks.steady() + self._renewal_seconds
        while await self._terms.pace() and not end.done():
            if self._free_seconds() <= 0:
                await self._do_what_is_due()
        await self._slices.step()


def _stopping() -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The worker stops, or nginx. Send what was not accepted in another request.",
        [RETRY_AFTER],
    )


def _silent() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_TIMEOUT, f"No further part of the body came within {SILENT_SECONDS} s."
    )
