"""The history in a worker's own memory, after far more events than it keeps."""

import asyncio
import os
import time

from barestream.delivery.feed import Feed
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.record import Place
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics
from support.full_size import IS_FULL_SIZE
from support.servers.service import private_kb

EVENTS = 1_000_000 if IS_FULL_SIZE else 200_000
HISTORY_EVENTS = 10_000
ROUND = EVENTS // 10


def test_far_more_events_than_the_history_holds_leave_no_memory_behind() -> None:
    async def main() -> list[int]:
        broker = LocalBroker(HistoryBounds(HISTORY_EVENTS, 3600, 10**9), time.time)
        ring = Ring(HISTORY_EVENTS, Place(0, 0))
        feed = Feed(ring, Metrics(), time.time)
        tail = Tail(broker, feed, HISTORY_EVENTS, 10**9, Slices(time.monotonic))
        following = asyncio.create_task(tail.run())
        used_kb = []
        for number in range(1, EVENTS + 1):
            # Every other update has its publisher's id, so that removed ids are part of the test.
            own_id = f"urn:{number}" if number % 2 else None
            await broker.publish(Update((f"topic/{number % 1000}",), Event(str(number), own_id)))
            if number % 100 == 0:
                await asyncio.sleep(0)
            if number % ROUND == 0:
                used_kb.append(private_kb(os.getpid()))
        assert len(ring) == len((await broker.newest(EVENTS, 10**9)).records) == HISTORY_EVENTS
        following.cancel()
        await asyncio.wait([following])
        return used_kb

    used_kb = asyncio.run(main())
    print(f"memory after each {ROUND} events, KB: {used_kb}")
    # The memory may shrink: objects of earlier tests are freed meanwhile.
    assert used_kb[-1] <= 1.05 * used_kb[-7]
