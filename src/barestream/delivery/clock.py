"""An event source without publishers: the time, once in each interval.

The id and the data of a tick depend only on its second. So every worker on every machine sends the
same bytes, and a client can resume at any of them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime

from barestream.delivery.feed import Feed
from barestream.delivery.lag import DeliveryLag
from barestream.delivery.resume import Resumption
from barestream.delivery.subscriber import Missed
from barestream.delivery.time_slices import Slices
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.sse import Event, encode
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

TOPIC = "/events"

# A larger step is a jump: clocks that NTP keeps right differ by less, and are corrected in smaller
# steps.
MOST_STEP_SECONDS = 5.0

# With a tick a second, a quarter of an hour can be replayed; a client that was away for longer is
# sent a gap.
HISTORY_TICKS = 1000

# How often the clocks are read if ticks are rarer.
LOOK_SECONDS = 1.0


class Clock:
    """Ticks on each multiple of the interval since 1970-01-01 UTC.

    Args:
        interval_seconds: From one tick to the next.
        history_events: How many ticks can be replayed.
        now: The wall clock, in seconds since 1970-01-01 UTC.
        steady: A monotonic clock, in seconds.
        metrics: Where deliveries are counted.
    """

    def __init__(
        self,
        interval_seconds: int,
        history_events: int,
        now: Callable[[], float],
        steady: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._interval_seconds = interval_seconds
        self._now = now
        self._steady = steady
        self._metrics = metrics
        # Prometheus sees no increase in the first value of a figure, so each of them begins at 0.
        for direction in ("back", "forward"):
            metrics.clock_jumps.labels(direction)
        self._looked_at, self._steady_at = now(), steady()
        floor = self._floor(self._looked_at, history_events)
        ring = Ring(history_events, _place(floor))
        for record in self._ticks(floor, self._looked_at):
            ring.append(record)
        self.feed = Feed(ring, metrics, now, count=self._count)
        self.feed.lag = DeliveryLag(metrics, now, steady)

    def look(self) -> Generator[None, None, None]:
        """Append every tick whose second has come; after a jump continue at the current time.

        If the clock was set back a little, there is no tick until the time has passed the last
        tick again. After a larger jump, in either direction, each stream is sent a gap and the
        newest tick: so a client's cursor goes back too, and no stream gets an hour of ticks at
        once.
        """
        at, steady_at = self._now(), self._steady()
        jump_seconds = (at - self._looked_at) - (steady_at - self._steady_at)
        self._looked_at, self._steady_at = at, steady_at
        # A tick never comes before its second, so a ring that is ahead proves a step back. Several
        # small steps back may add up to a jump.
        was_set_back = self.feed.ring.last.ms / 1000 > at + MOST_STEP_SECONDS
        if was_set_back or jump_seconds > MOST_STEP_SECONDS:
            logger.warning(
                "the wall clock was set back" if was_set_back else "the wall clock was set forward",
                extra={"jump_seconds": round(jump_seconds, 3)},
            )
            self._metrics.clock_jumps.labels("back" if was_set_back else "forward").inc()
            yield from self._leap(at)
        else:
            self.feed.lag.ask()
            yield from self._fill(at)
            self.feed.lag.read_to_end()

    def resumption(self, last_event_ids: Sequence[str]) -> Resumption:
        """Return where a client's stream starts.

        Args:
            last_event_ids: The ids that it saw last. The newest counts. If none is that of a tick,
                the stream starts with the newest tick.
        """
        place = _newest(last_event_ids)
        missed_after = None
        # Another machine's clock may be ahead of this one by a little.
        newest_ms = max(self._now() * 1000, self.feed.ring.last.ms)
        if place is not None and place.ms > newest_ms + MOST_STEP_SECONDS * 1000:
            # The clock that gave it was set back.
            missed_after, place = str(place), None
        if place is None:
            place = self.feed.ring.before(1)
        preceding = max(place, self.feed.ring.floor)
        missed = None if missed_after is None else Missed(missed_after, place)
        return Resumption(place, str(preceding), missed, is_resumed=bool(last_event_ids))

    async def run(
        self, slices: Slices, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Tick until cancelled; no tick comes before its second."""
        while True:
            await slices.work(self.look())
            # The reading of look, because with a second reading a tick between the two would be
            # sent late.
            until_tick_seconds = self._interval_seconds - self._looked_at % self._interval_seconds
            await sleep(min(until_tick_seconds, LOOK_SECONDS))

    def _fill(self, at: float) -> Generator[None, None, None]:
        ring = self.feed.ring
        floor = self._floor(at, ring.capacity_events)
        if floor > ring.last.ms // 1000:
            yield from self.feed.restart(_place(floor))
        for record in self._ticks(ring.last.ms // 1000, at):
            self.feed.append(record)

    def _leap(self, at: float) -> Generator[None, None, None]:
        floor = self._floor(at, self.feed.ring.capacity_events)
        records = []
        for record in self._ticks(floor, at):
            records.append(record)
            if self.feed.budget.is_over():
                yield
        yield from self.feed.leap(_place(floor), records)

    def _ticks(self, after: int, at: float) -> Iterator[Record]:
        """Return the ticks after a second, up to a time."""
        first = after + self._interval_seconds
        for second in range(first, self._newest(at) + 1, self._interval_seconds):
            yield Record(_place(second), _tick(second), (TOPIC,))

    def _floor(self, at: float, history_events: int) -> int:
        return self._newest(at) - history_events * self._interval_seconds

    def _newest(self, at: float) -> int:
        """Return the newest second that has come and is a multiple of the interval."""
        return int(at) // self._interval_seconds * self._interval_seconds

    def _count(self, after: Place, upto: Place) -> int:
        interval_ms = self._interval_seconds * 1000
        # If the clock was set back, nothing was missed.
        return max(0, upto.ms // interval_ms - after.ms // interval_ms)


def _place(second: int) -> Place:
    return Place(second * 1000, 0)


def _tick(second: int) -> bytes:
    stamp = datetime.fromtimestamp(second, UTC).isoformat()
    return encode(Event(stamp, id=str(_place(second))))


def _newest(last_event_ids: Sequence[str]) -> Place | None:
    places = []
    for event_id in last_event_ids:
        with contextlib.suppress(ValueError):
            places.append(Place.parse(event_id))
    return max(places, default=None)
