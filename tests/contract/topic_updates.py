"""Updates for tests of topics, and readers of them."""

import math
import time
from asyncio import sleep

from barestream.history.broker import Broker
from barestream.history.record import BEGIN, Place, Record
from barestream.history.topic_state import Reader
from barestream.history.update import Update
from barestream.mercure.sse import Event
from support.judges.published import data_of

ALL_EVENTS = 100_000
FOREVER = math.inf


def update(
    data: str,
    *topics: str,
    own_id: str | None = None,
    private: bool = False,
    keep: float | None = None,
    end: float | None = None,
) -> Update:
    """Return an update; without topics its topic is the first letter of its data."""
    return Update(topics or (data[0],), Event(data, own_id), private, keep, end)


def public(*topics: str) -> Reader:
    """Return a reader of topics without any rights."""
    return Reader(topics)


def covering(*topics: str) -> Reader:
    """Return a reader of topics that may read all their private updates."""
    return Reader(topics, frozenset(topics), has_rights=True)


def holding(*topics: str) -> Reader:
    """Return a reader of topics that may read private updates of other topics."""
    return Reader(topics, has_rights=True)


def texts(records: list[Record]) -> list[str]:
    """Return the data of records."""
    return [data_of(record) for record in records]


async def publish(broker: Broker, *updates: Update) -> list[Place]:
    """Publish updates without ids one after the other, each in a later millisecond.

    So each is older than the next one by the history's clock. Return their places.
    """
    places = []
    for each in updates:
        places.append(Place.parse(await broker.publish(each)))
        await wait_past(places[-1])
    return places


async def wait_past(place: Place) -> None:
    """Wait until the millisecond of a place is over."""
    while time.time() * 1000 < place.ms + 1:
        await sleep(0)


async def log_of(broker: Broker) -> list[str]:
    """Return the data of all updates of the history."""
    return texts((await broker.read(BEGIN, ALL_EVENTS)).records)


async def lane_of(broker: Broker, reader: Reader) -> list[str]:
    """Return the data of all updates that a reader gets."""
    return texts((await broker.read(BEGIN, ALL_EVENTS, reader=reader)).records)


async def floor_of(broker: Broker, reader: Reader | None = None) -> Place:
    """Return the newest place that has left, as far as a reader may know of it."""
    return (await broker.read(BEGIN, 0, reader=reader)).floor
