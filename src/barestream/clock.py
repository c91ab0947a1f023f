"""An event source that needs nothing: the time, on each whole interval.

Id and data of a tick follow from its second alone, so every worker on every machine says the
same bytes, and a client resumes from any of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from barestream.event_log import EventLog, Place
from barestream.feed import Feed
from barestream.frames import Event, encode


class Clock:
    """Ticks on each multiple of the interval since 1970-01-01 UTC.

    Args:
        interval_seconds: From one tick to the next.
        history_events: How many ticks can be replayed.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(
        self, interval_seconds: int, history_events: int, now: Callable[[], float]
    ) -> None:
        self._interval_seconds = interval_seconds
        self._now = now
        at = now()
        floor = self._newest(at) - history_events * interval_seconds
        self.feed = Feed(EventLog(history_events, _place(floor)), self._count)
        self.fill(at)

    def fill(self, at: float) -> None:
        """Append every tick whose second has come by this time of the wall clock.

        After a jump of the wall clock only the newest that the log holds are made. Set back,
        the clock is silent until the time is past the last tick again: no client goes backwards.
        """
        log = self.feed.log
        newest = self._newest(at)
        floor = newest - log.capacity_events * self._interval_seconds
        if floor > log.last.ms // 1000:
            log.restart(_place(floor))
        first = log.last.ms // 1000 + self._interval_seconds
        if first == newest:
            self.feed.append(_place(newest), _tick(newest))
        elif first < newest:
            due = range(first, newest + 1, self._interval_seconds)
            self.feed.extend((_place(second), _tick(second)) for second in due)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tick until cancelled; no tick comes before its second."""
        while True:
            # One reading for both: a tick that came between two would wait for the next one.
            at = self._now()
            self.fill(at)
            await sleep(self._interval_seconds - at % self._interval_seconds)

    def _newest(self, at: float) -> int:
        """Return the newest second that has come and is a multiple of the interval."""
        return int(at) // self._interval_seconds * self._interval_seconds

    def _count(self, after: Place, upto: Place) -> int:
        interval_ms = self._interval_seconds * 1000
        return upto.ms // interval_ms - after.ms // interval_ms


def _place(second: int) -> Place:
    return Place(second * 1000, 0)


def _tick(second: int) -> bytes:
    stamp = datetime.fromtimestamp(second, UTC).isoformat()
    return encode(Event(stamp, id=str(_place(second))))
