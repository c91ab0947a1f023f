"""An event source that needs nothing: the time, on each whole interval.

Id and data of a tick follow from its second alone, so every worker on every machine says the
same bytes, and a client resumes from any of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from barestream.event_log import EventLog, Place, Record
from barestream.feed import Feed
from barestream.frames import Event, encode
from barestream.metrics import Metrics

TOPIC = "/events"


class Clock:
    """Ticks on each multiple of the interval since 1970-01-01 UTC.

    Args:
        interval_seconds: From one tick to the next.
        history_events: How many ticks can be replayed.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        metrics: Where deliveries are counted.
    """

    def __init__(
        self,
        interval_seconds: int,
        history_events: int,
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._interval_seconds = interval_seconds
        self._now = now
        at = now()
        floor = self._newest(at) - history_events * interval_seconds
        log = EventLog(history_events, _place(floor))
        self.feed = Feed(log, metrics, now, count=self._count)
        self.fill(at)
        self.feed.flush()

    def fill(self, at: float) -> None:
        """Append every tick whose second has come by this time of the wall clock.

        After a jump of the wall clock only the newest that the log holds are made. Set back,
        the clock is silent until the time is past the last tick again: no client goes backwards.
        """
        log = self.feed.log
        newest = self._newest(at)
        floor = newest - log.capacity_events * self._interval_seconds
        if floor > log.last.ms // 1000:
            self.feed.restart(_place(floor))
        first = log.last.ms // 1000 + self._interval_seconds
        for second in range(first, newest + 1, self._interval_seconds):
            self.feed.append(Record(_place(second), _tick(second), (TOPIC,)))

    def resume(self, last_event_id: str | None) -> Place:
        """Return the place from which a client goes on.

        Args:
            last_event_id: What the client sent. Without one, and with one that no clock can
                have given, it starts with the newest tick.
        """
        if last_event_id is not None:
            try:
                place = Place.parse(last_event_id)
            except ValueError:
                pass
            else:
                if self.feed.is_place_to_come_from(place):
                    return place
        return self.feed.log.before(1)

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
