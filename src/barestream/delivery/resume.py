"""Where a client's stream starts, by the last id that it saw."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from barestream.delivery.cursor import Cursor
from barestream.delivery.subscriber import Missed
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.broker import MOST_FOUND
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.mercure.reserved import EARLIEST

# Texts that some clients send if they have no id yet. A publisher may have given an update such an
# id, so the history is searched for it first.
NO_IDS = {"0", "null", "undefined"}

# How many ids of one request count, because each may be a question to Valkey. A page may send one,
# and its library another.
MOST_IDS = 4

# How often the history is asked for more updates with one id, if the client may read none of those
# that it has named so far. After that the id counts as unknown.
MOST_SEARCHES = 10

# The answer for an unknown id is sent at a multiple of this time. Valkey and the worker take up to
# a few ms for an update that the client may not read, longer for a larger one, and 40 us for an id
# that does not exist. Otherwise a client could distinguish the two by the time of the answer. An id
# that 100 such updates have takes 2 ms with updates of 1 KB, 13 ms with updates of 100 KB; only if
# they are larger still, or the machine is busy, may the answer come a step later.
UNKNOWN_STEP_SECONDS = 0.02

# An earlier primary that was stopped may give places when the later one does so already: for two or
# three seconds, until all workers have left it. The later one gives places after those, unless the
# first worker that writes to it has not known the earlier one. Then the clocks of the two may
# differ by less than a minute.
MOST_OVERLAP_MS = 60_000


class Resumption(NamedTuple):
    """Where a stream starts.

    Attributes:
        place: The place that it continues from; None for the end of the history.
        preceding_id: The id of the event before the first one that is sent, or "earliest" if there
            is none that the client may know; None if the client named no id.
        missed: Which events are gone: the client named an id, and the history does not know which
            events followed it, or it asked for all that is left. None for none.
        is_resumed: Whether the client named an id.
        left_upto: The newest place after the client's own of an update that has left the history.
            The stream is sent a gap when it comes to it. None if none has left.
    """

    place: Place | None
    preceding_id: str | None = None
    missed: Missed | None = None
    is_resumed: bool = True
    left_upto: Place | None = None


LIVE = Resumption(None, is_resumed=False)


async def resumption(
    tail: Tail,
    subscription: Subscription,
    last_event_ids: Sequence[str],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Resumption:
    """Return where a client's stream starts.

    Of several ids the one with the newest place counts. Of several events with one id the earliest
    one counts that the bearer may read. An id that the history does not have, and the id of events
    that the bearer may not read, get the same answer: a gap, and the whole history. The id of an
    event that this worker knows to be lost gets a gap, and what follows the events before it.

    Args:
        tail: The tail of the feed that the stream will follow.
        subscription: What the bearer may read.
        last_event_ids: The ids that the client sent, or "earliest", from each place of its request.
        now: A monotonic clock, in seconds.
        sleep: Waits for so many seconds.

    Raises:
        BrokerAwayError: The history is needed for the answer, and cannot be reached.
    """
    if not last_event_ids:
        return LIVE
    places: dict[Place, str] = {}
    unknown: list[str] = []
    asked_at = now()
    for event_id in last_event_ids[-MOST_IDS:]:
        place = BEGIN if event_id == EARLIEST else await _find(tail, subscription, event_id)
        if place is not None:
            places[place] = event_id
        elif event_id not in NO_IDS:
            unknown.append(event_id)
    if unknown:
        steps = math.floor((now() - asked_at) / UNKNOWN_STEP_SECONDS) + 1
        await sleep(asked_at + steps * UNKNOWN_STEP_SECONDS - now())
    if not places:
        if not unknown:
            return LIVE
        return await _whole(tail, subscription, unknown[-1])
    newest = max(places)
    if newest == BEGIN:
        return await _whole(tail, subscription, None)
    start = await _start(tail, subscription, newest, places[newest])
    return start or await _whole(tail, subscription, places[newest])


async def _start(
    tail: Tail, subscription: Subscription, place: Place, last_event_id: str
) -> Resumption | None:
    """Return where a stream from a place starts; None if the place is beyond the history's end.

    Such a place comes from a history that was lost, or was never given.
    """
    ring = tail.feed.ring
    if place == ring.floor or ring.at(place):
        return Resumption(place, last_event_id)
    # The place comes from a worker that is ahead of this one, or only the broker still has it.
    reader = await tail.slices.work(subscription.finding_reader(tail.slices))
    page = await tail.broker.read(place, 0, reader=reader)
    # What has left the history may still be in the ring.
    if page.floor > place and place < ring.floor:
        # The replay sends the gap.
        return Resumption(place, EARLIEST, left_upto=page.floor)
    if page.is_known:
        return Resumption(place, last_event_id)
    common = tail.feed.lost.goes_on_from(place)
    if common is not None:
        # It has been sent all up to there, and goes on as a stream that was open does.
        return Resumption(common, EARLIEST, Missed(last_event_id, common))
    following = await tail.broker.read(place, 1)
    if not following.records:
        return None
    # What the client has not seen may come before the place that it has. One that comes back from
    # its gap is not sent another one, if it goes on from a place that the history knows.
    goes_on_from = Place(max(0, place.ms - MOST_OVERLAP_MS), 0)
    if goes_on_from >= ring.floor:
        goes_on_from = ring.last_until(goes_on_from)
    else:
        goes_on_from = (await tail.broker.read(goes_on_from, 0)).floor
    return Resumption(goes_on_from, EARLIEST, Missed(last_event_id, goes_on_from))


async def _whole(tail: Tail, subscription: Subscription, last_event_id: str | None) -> Resumption:
    """Return the start of a stream of all that the history has.

    Args:
        tail: The tail.
        subscription: What the bearer may read.
        last_event_id: The id that the client saw last, if it is to be sent a gap.
    """
    reader = await tail.slices.work(subscription.finding_reader(tail.slices))
    page = await tail.broker.read(BEGIN, 1, reader=reader)
    # Mostly the ring has everything. It may also have updates that have left the history.
    place = max(tail.feed.ring.floor, page.floor)
    if page.records and page.records[0].place <= place:
        # A client that comes back from here has not asked for the earliest again, but is sent a
        # gap for what has left since.
        place = min(page.floor, page.records[0].place.just_before)
    return Resumption(place, EARLIEST, Missed(last_event_id, max(place, page.floor)))


async def _find(tail: Tail, subscription: Subscription, event_id: str) -> Place | None:
    try:
        return Cursor.parse(event_id).place
    except ValueError:
        pass
    # What was lost comes before an update that was sent again since: the client may have nothing of
    # what is between.
    lost = tail.feed.lost.find(event_id)
    if lost is not None and await _may_read(tail, subscription, lost):
        return lost.place
    record = tail.feed.ring.find(event_id)
    if record is not None and await _may_read(tail, subscription, record):
        return record.place
    # An update that the client may not read is treated as one that does not exist, because
    # otherwise a client could distinguish the two by the time of the answer.
    after = BEGIN
    for _ in range(MOST_SEARCHES):
        found = await tail.broker.find(event_id, after)
        for known in found:
            if await _may_read(tail, subscription, known):
                return known.place
        if len(found) < MOST_FOUND:
            break
        after = found[-1].place
    return None


async def _may_read(tail: Tail, subscription: Subscription, record: Record | Known) -> bool:
    return await tail.slices.work(subscription.may_read(record, tail.slices))
