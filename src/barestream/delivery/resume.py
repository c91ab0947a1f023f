"""From where a client goes on, by the id that it saw last."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.record import BEGIN, Known, Place, Record

# The spec's word for the begin of the history.
EARLIEST = "earliest"

# Texts that some clients send when they have no id yet. A publisher may have given an update such
# an id, so the update is looked for first.
NO_IDS = {"0", "null", "undefined"}

# How many ids of one request are looked at, because each may be a question to Valkey. A page names
# one, and its library another.
MOST_IDS = 4

# At a multiple of this a client is told that an id is unknown. Valkey and the worker take up to a
# few ms for an update that the client may not read, the more the larger it is, and 40 us for an id
# that is not there: the time of the answer would tell them apart.
UNKNOWN_STEP_SECONDS = 0.02


class Resumption(NamedTuple):
    """Where a stream starts.

    Attributes:
        place: The place that it goes on from; None for the end of the history.
        preceding_id: The id of the event before the first one that is sent, or "earliest" where
            there is none that the client may know; None where the client named no id.
        missed_after: The id that the client named, where the history cannot say what came
            after it.
        is_resumed: Whether the client named an id.
    """

    place: Place | None
    preceding_id: str | None = None
    missed_after: str | None = None
    is_resumed: bool = True


LIVE = Resumption(None, is_resumed=False)


async def resumption(
    tail: Tail,
    subscription: Subscription,
    last_event_ids: Sequence[str],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Resumption:
    """Return from where a client goes on.

    Of several ids the one with the newest place counts. An id that the history does not hold, and
    one of an event that the bearer may not read, are answered alike: with a gap, and all that the
    history has.

    Args:
        tail: Whose feed will be followed, and whose broker has the history.
        subscription: What the bearer may read.
        last_event_ids: What the client saw last, or "earliest", in each place where it says so.
        now: A monotonic clock, in seconds.
        sleep: Waits for so many seconds.

    Raises:
        BrokerAwayError: It takes the history to tell, and that is out of reach.
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
        return Resumption(await _floor(tail, BEGIN), EARLIEST, unknown[-1])
    newest = max(places)
    if newest == BEGIN:
        return Resumption(await _floor(tail, BEGIN), EARLIEST)
    start = await _start(tail, newest, places[newest])
    return start or Resumption(await _floor(tail, BEGIN), EARLIEST, places[newest])


async def _start(tail: Tail, place: Place, last_event_id: str) -> Resumption | None:
    """Return where a stream starts that goes on from a place; None where nothing would follow it.

    A place beyond the end of the history is of a history that was lost, or was never given.
    """
    ring = tail.feed.ring
    if place == ring.floor or ring.at(place):
        return Resumption(place, last_event_id)
    # Of a worker that is ahead of this one, or of a history that only the broker has.
    page = await tail.broker.read(place, 0)
    if page.floor > place:
        # The gap is told when the stream gets there.
        return Resumption(place, EARLIEST)
    if page.is_known:
        return Resumption(place, last_event_id)
    following = await tail.broker.read(place, 1)
    return Resumption(place, EARLIEST, last_event_id) if following.records else None


async def _floor(tail: Tail, place: Place) -> Place:
    return (await tail.broker.read(place, 0)).floor


async def _find(tail: Tail, subscription: Subscription, event_id: str) -> Place | None:
    try:
        return Place.parse(event_id)
    except ValueError:
        pass
    record = tail.feed.ring.find(event_id)
    if record is not None and await _may_read(tail, subscription, record):
        return record.place
    # An update that the client may not read takes the same way as one that does not exist:
    # otherwise the time of the answer would tell them apart.
    known = await tail.broker.find(event_id)
    return known.place if known and await _may_read(tail, subscription, known) else None


async def _may_read(tail: Tail, subscription: Subscription, record: Record | Known) -> bool:
    return await tail.slices.work(subscription.may_read(record, tail.slices))
