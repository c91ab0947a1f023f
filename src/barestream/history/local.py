"""The log of updates in the memory of one process; it ends with it."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable

from barestream.history.broker import (
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    HistoryBounds,
    IdTakenError,
    Misfit,
    Page,
    Weights,
    size_bytes,
)
from barestream.history.record import Known, Place
from barestream.history.update import Entry, Update

# Objects of CPython 3.11: an entry with its place, update and event takes 450 bytes, and a place in
# the table of ids 70.
WEIGHTS = Weights(1, 450, 70)


class LocalBroker:
    """A log for one worker.

    Args:
        bounds: What it keeps.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, bounds: HistoryBounds, now: Callable[[], float]) -> None:
        self._bounds = bounds
        self._now = now
        # Ordinals count every update ever taken; those from _first to before _end are kept.
        self._entries: dict[int, Entry] = {}
        self._first = self._end = 0
        self._by_id: dict[str, Entry] = {}
        self._size_bytes = 0
        self._floor = self._last = Place(int(now() * 1000), 0)
        self._news = asyncio.Event()

    async def publish(self, update: Update) -> str:
        """Take an update (see Broker)."""
        event_id = update.event.id
        if event_id and (known := self._by_id.get(event_id)):
            if known.update != update:
                raise IdTakenError(f"the history holds another update with the id {event_id}")
            return known.id
        added_bytes = size_bytes(update)
        entry = Entry(self._next_place(), update)
        self._entries[self._end] = entry
        self._end += 1
        self._last = entry.place
        self._size_bytes += added_bytes
        if event_id:
            self._by_id[event_id] = entry
        await self.trim()
        self._news.set()
        self._news = asyncio.Event()
        return entry.id

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        start = self._end
        total_bytes = 0
        for n in range(self._end - 1, max(self._first, self._end - most_events) - 1, -1):
            total_bytes += size_bytes(self._entries[n].update)
            if start < self._end and total_bytes > most_bytes:
                break
            start = n
        floor = self._entries[start - 1].place if start > self._first else self._floor
        return Page(floor, [self._entries[n] for n in range(start, self._end)])

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place (see Broker)."""
        start = self._first + bisect_right(
            range(self._first, self._end), after, key=lambda n: self._entries[n].place
        )
        entries: list[Entry] = []
        page_bytes = 0
        for n in range(start, min(start + most_events, self._end)):
            entries.append(self._entries[n])
            page_bytes += size_bytes(entries[-1].update)
            if page_bytes >= most_bytes:
                break
        is_known = after <= self._floor or (
            start > self._first and self._entries[start - 1].place == after
        )
        return Page(max(after, self._floor), entries, is_known)

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
        """Have every update from now on get a later place: nobody else follows this log."""
        self._last = max(self._last, place)

    async def find(self, event_id: str) -> Known | None:
        """Return what is known of the update with this id (see Broker)."""
        entry = self._by_id.get(event_id)
        return Known(entry.place, entry.update.topics, entry.update.private) if entry else None

    async def trim(self) -> None:
        """Let go of what is beyond the bounds by now (see Broker)."""
        oldest_ms = (self._now() - self._bounds.seconds) * 1000
        while self._first < self._end:
            oldest = self._entries[self._first]
            kept = self._end - self._first
            too_many = kept > self._bounds.events
            held_bytes = WEIGHTS.total(self._size_bytes, kept, len(self._by_id))
            too_large = kept > 1 and held_bytes > self._bounds.bytes
            if not (too_many or too_large or oldest.place.ms < oldest_ms):
                break
            del self._entries[self._first]
            self._first += 1
            self._floor = oldest.place
            self._size_bytes -= size_bytes(oldest.update)
            self._by_id.pop(oldest.update.event.id or "", None)

    async def probe(self) -> None:
        """Do nothing: memory takes whatever there is."""

    async def misfits(self) -> list[Misfit]:
        """Return nothing: nobody says how much memory the process may have."""
        return []

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _next_place(self) -> Place:
        ms = int(self._now() * 1000)
        # In the same millisecond, or with a clock that was set back.
        if ms <= self._last.ms:
            return Place(self._last.ms, self._last.seq + 1)
        return Place(ms, 0)
