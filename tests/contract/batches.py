"""Producers' batches, leases and claims for tests."""

import asyncio

from barestream.history.broker import Broker
from barestream.history.producers import Batch, Claim, Lease, Position, Producer, Run
from barestream.history.update import Update
from topic_updates import update

TOPIC = "t"
HOUR_SECONDS = 3600
# Later than each lease that a test has, and longer.
FAR_MS = 2**50


def batch(
    first: int,
    *texts: str | Update,
    epoch: int = 0,
    producer: str = "p",
    topic: str = TOPIC,
    lease: Lease | None = None,
) -> Batch:
    """Return a batch of updates with these data."""
    updates = [update(text, topic) if isinstance(text, str) else text for text in texts]
    return Batch(topic, Producer(producer, epoch), first, updates, lease)


def numbered(first: int, upto: int, **others: str) -> Batch:
    """Return a batch whose updates have their numbers as data."""
    return batch(first, *map(str, range(first, upto)), **others)  # type: ignore[arg-type]


def leased(seconds: float = 6, *, private: bool = False, ended: float = HOUR_SECONDS) -> Lease:
    """Return a lease."""
    return Lease(seconds, private, ended)


def claim(key: str, run_id: str, *, lease: Lease | None = None, expires: float = 60) -> Claim:
    """Return a claim for a run."""
    return Claim(key, run_id, f"runs/{key}/{run_id}", "host", lease or leased(), expires)


def of_run(run: Run, first: int, *texts: str | Update) -> Batch:
    """Return a batch of a run; a text "end" ends the topic."""
    last = update("end", run.topic, end=HOUR_SECONDS)
    updates = [last if text == "end" else text for text in texts]
    given = batch(first, *updates, epoch=run.fence, producer=run.id, topic=run.topic)
    return given._replace(is_run=True)


async def position_behind(broker: Broker, given: Batch) -> Position:
    """Publish a batch, and return how far its producer has come then."""
    return (await broker.publish_batch(given)).position


async def sweep(broker: Broker) -> list[str]:
    """End the topics whose leases are over by the history's clock; return these topics."""
    return (await broker.end_overdue(FAR_MS, FAR_MS)).topics


async def swept(broker: Broker) -> list[str]:
    """Return the topics that are ended as soon as a lease is over."""
    async with asyncio.timeout(10):
        while not (topics := await sweep(broker)):
            await asyncio.sleep(0.005)
    return topics
