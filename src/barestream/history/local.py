"""The history in the memory of one process; it ends with that process."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from barestream.history.broker import (
    MOST_FOUND,
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    HistoryBounds,
    Misfit,
    Page,
    Weights,
)
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.update import Update

# In CPython 3.11 a record with its place and topics takes 490 bytes, and its entry in the table of
# ids, with its digest, 130; a later one with the same id takes no more.
WEIGHTS = Weights(1, 490, 130)


class _Kept(NamedTuple):
    """A record in the history.

    Attributes:
        record: The record.
        size_bytes: Its update's size (Update.size_bytes).
        digest: Distinguishes updates with the same id of a publisher; empty without such an id.
    """

    record: Record
    size_bytes: int
    digest: bytes


class LocalBroker:
    """A history for one worker.

    Args:
        bounds: What it keeps.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, bounds: HistoryBounds, now: Callable[[], float]) -> None:
        self._bounds = bounds
        self._now = now
        # Ordinals count every update ever accepted; those from _first to before _end are kept.
        self._kept: dict[int, _Kept] = {}
        self._first = self._end = 0
        # Of each id the earliest update, and the later ones, oldest first, if there are any. These
        # are no deque: it takes 760 bytes, and most have one element.
        self._earliest: dict[str, _Kept] = {}
        self._repeats: dict[str, list[_Kept]] = {}
        self._repeats_count = 0
        self._size_bytes = 0
        self._floor = self._last = Place(int(now() * 1000), 0)
        self._news = asyncio.Event()

    async def publish(self, update: Update) -> str:
        """Keep an update (see Broker)."""
        own_id = update.event.id
        digest = update.digest if own_id else b""
        newest = self._newest(own_id) if own_id else None
        if own_id and newest and newest.digest == digest:
            return own_id
        record = update.at(self._next_place(), repeats=newest is not None)
        kept = _Kept(record, update.size_bytes, digest)
        self._kept[self._end] = kept
        self._end += 1
        self._last = record.place
        self._size_bytes += kept.size_bytes
        if own_id and newest:
            self._repeats.setdefault(own_id, []).append(kept)
            self._repeats_count += 1
        elif own_id:
            self._earliest[own_id] = kept
        await self.trim()
        self._news.set()
        self._news = asyncio.Event()
        return own_id or str(record.place)

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        start = self._end
        total_bytes = 0
        for n in range(self._end - 1, max(self._first, self._end - most_events) - 1, -1):
            total_bytes += self._kept[n].size_bytes
            if start < self._end and total_bytes > most_bytes:
                break
            start = n
        floor = self._kept[start - 1].record.place if start > self._first else self._floor
        return Page(floor, [self._kept[n].record for n in range(start, self._end)])

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place (see Broker)."""
        start = self._first + bisect_right(
            range(self._first, self._end), after, key=lambda n: self._kept[n].record.place
        )
        records: list[Record] = []
        page_bytes = 0
        for n in range(start, min(start + most_events, self._end)):
            records.append(self._kept[n].record)
            page_bytes += self._kept[n].size_bytes
            if page_bytes >= most_bytes:
                break
        is_known = after <= self._floor or (
            start > self._first and self._kept[start - 1].record.place == after
        )
        return Page(max(after, self._floor), records, is_known)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        if self._last <= after:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
        return await self.read(after, most_events, most_bytes)

    async def move_on(self, place: Place) -> None:
        """Give every later update a later place; this process is the only reader."""
        self._last = max(self._last, place)

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        following = (record for record in self._with_id(event_id) if record.place > after)
        return [
            Known(record.place, record.topics, record.private)
            for record in islice(following, MOST_FOUND)
        ]

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds (see Broker)."""
        oldest_ms = (self._now() - self._bounds.seconds) * 1000
        while self._first < self._end:
            oldest = self._kept[self._first]
            kept = self._end - self._first
            too_many = kept > self._bounds.events
            ids = len(self._earliest) + self._repeats_count
            held_bytes = WEIGHTS.total(self._size_bytes, kept, ids)
            too_large = kept > 1 and held_bytes > self._bounds.bytes
            if not (too_many or too_large or oldest.record.place.ms < oldest_ms):
                break
            del self._kept[self._first]
            self._first += 1
            self._floor = oldest.record.place
            self._size_bytes -= oldest.size_bytes
            if oldest.record.own_id is not None:
                self._forget_earliest(oldest.record.own_id)

    async def probe(self) -> None:
        """Do nothing: the memory accepts every update."""

    async def misfits(self) -> list[Misfit]:
        """Return nothing: the memory that the process may use is not known."""
        return []

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _newest(self, own_id: str) -> _Kept | None:
        repeats = self._repeats.get(own_id)
        return repeats[-1] if repeats else self._earliest.get(own_id)

    def _with_id(self, own_id: str) -> Iterator[Record]:
        """Yield the updates with an id, oldest first."""
        if own_id in self._earliest:
            yield self._earliest[own_id].record
            for kept in self._repeats.get(own_id, ()):
                yield kept.record

    def _forget_earliest(self, own_id: str) -> None:
        repeats = self._repeats.get(own_id)
        if repeats is None:
            del self._earliest[own_id]
            return
        self._earliest[own_id] = repeats.pop(0)
        self._repeats_count -= 1
        if not repeats:
            del self._repeats[own_id]

    def _next_place(self) -> Place:
        ms = int(self._now() * 1000)
        # The millisecond is the same, or the clock was set back.
        if ms <= self._last.ms:
            return Place(self._last.ms, self._last.seq + 1)
        return Place(ms, 0)
