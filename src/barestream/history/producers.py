"""Producers, which number the updates that they publish to a topic; their leases; and runs. Pure.

The rules are those of Durable Streams for idempotent producers: an update that comes twice is kept
once, one that is missing is noticed, and a later epoch shuts out an earlier one.
Source: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md, 5.2.1
"""

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from barestream.history.update import Update
from barestream.mercure.reserved import END_TYPE
from barestream.mercure.run_topics import control_topic
from barestream.mercure.sse import Event

# The data of the last update of a topic that the hub ends itself.
INTERRUPTED_DATA = '{"status": "interrupted"}'

Status = Literal["running", "done", "failed", "stopped", "interrupted"]


class Producer(NamedTuple):
    """Who publishes a numbered sequence of updates to one topic.

    Attributes:
        id: Its name, 1 to 255 printable ASCII characters.
        epoch: Counts its starts, from 0 to 2**53 - 1: an earlier one may no longer publish.
    """

    id: str
    epoch: int


class Lease(NamedTuple):
    """Asks that the topic be ended as interrupted if the producer does not come back in time.

    Attributes:
        seconds: How long after its last batch the producer has to come back.
        private: Whether the update that then ends the topic is private.
        ended_seconds: For how long the topic then stays ended.
    """

    seconds: float
    private: bool
    ended_seconds: float


def interruption(topic: str, lease: Lease) -> Update:
    """Return the update that ends a topic whose producer did not come back in time."""
    event = Event(INTERRUPTED_DATA, type=END_TYPE)
    return Update((topic,), event, lease.private, end_seconds=lease.ended_seconds)


class Batch(NamedTuple):
    """Successive updates of a producer, of which all or none are accepted.

    Attributes:
        topic: The topic.
        producer: The producer.
        first: The number of the first update; a producer counts from 0 in each epoch.
        updates: At most 100; each has the topic alone. Without any, the batch takes the epoch and
            renews the lease.
        lease: The lease from this batch on; None takes one away, but for a run, whose lease is
            then renewed. A batch that adds nothing takes none if the topic has ended, or if the
            producer has ended it and added nothing since.
        is_run: Whether the topic is a run's. Then the producer must be the one that ``claim``
            made, with the run's fence as its epoch.
        status: What the run's record says from then on, if one of the updates ends the topic;
            None for done.
    """

    topic: str
    producer: Producer
    first: int
    updates: Sequence[Update]
    lease: Lease | None = None
    is_run: bool = False
    status: Status | None = None


class Position(NamedTuple):
    """How far a producer has come with a topic.

    Attributes:
        epoch: Its epoch.
        next: The number of the update that is expected.
        last_id: The id that clients see of the newest update that was accepted from it; None if
            there is none.
    """

    epoch: int
    next: int
    last_id: str | None


class Accepted(NamedTuple):
    """What became of a batch.

    Attributes:
        position: How far its producer has come then.
        new: How many of its updates were not published before, by their numbers.
    """

    position: Position
    new: int


class Run(NamedTuple):
    """A run: work that one process does for a key, and publishes to a topic of its own.

    Attributes:
        key: Names the work; at most one run of a key is running.
        id: Names this start; also the id of its producer.
        topic: Its topic.
        fence: The epoch of its producer; a later start has a larger one.
        runner: Names the process that runs it.
        started_ms: When it started, in milliseconds of the history's clock.
        status: How it is.
    """

    key: str
    id: str
    topic: str
    fence: int
    runner: str
    started_ms: int
    status: Status


def to_runner(run: Run, kind: str) -> Update:
    """Return the update that tells a run's process something about the run.

    Args:
        run: The run.
        kind: The type of the event (mercure/reserved.py).
    """
    event = Event(json.dumps({"key": run.key, "id": run.id}), type=kind)
    return Update((control_topic(run.runner),), event, private=True)


class Claim(NamedTuple):
    """Asks for a run to be started.

    Attributes:
        key: See Run.
        id: See Run; no other run has had it.
        topic: See Run; no other run has had it.
        runner: See Run.
        lease: The lease of its producer.
        expires_seconds: For how long the run is known after its end.
    """

    key: str
    id: str
    topic: str
    runner: str
    lease: Lease
    expires_seconds: float


class Swept(NamedTuple):
    """What a search for overdue leases has done.

    Attributes:
        now_ms: The time of the history's clock, in milliseconds since 1970-01-01 UTC.
        leases: How many leases there are.
        topics: The topics that it has ended.
    """

    now_ms: int
    leases: int
    topics: list[str]


class ProducerBounds(NamedTuple):
    """The bounds of what the history knows of producers and runs.

    Attributes:
        positions: How many positions there may be. For another one, the position without a lease
            that was used least recently is forgotten.
        position_seconds: For how long a position without a lease is known after its last use.
        runs: How many runs there may be. For another one, the run that ended and is forgotten
            first is forgotten early.
    """

    positions: int = 10_000
    position_seconds: float = 86_400
    runs: int = 10_000


class StaleEpochError(Exception):
    """A batch is of an earlier epoch than its producer's newest; nothing was accepted.

    Args:
        epoch: The newest epoch.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the producer has started again: its epoch is {epoch}")
        self.epoch = epoch


class NewEpochError(Exception):
    """The first batch of an epoch does not begin with number 0; nothing was accepted."""

    def __init__(self) -> None:
        super().__init__("a new epoch begins with number 0")


class SequenceGapError(Exception):
    """Updates before a batch are missing; nothing was accepted.

    Args:
        expected: The number of the first of them.
        received: The number of the batch's first update.
    """

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"number {expected} was expected, and {received} came")
        self.expected = expected
        self.received = received


class UnknownRunError(Exception):
    """A batch is of no run that is known, or another run has its key; nothing was accepted."""

    def __init__(self) -> None:
        super().__init__("the run is not known, or its key has another one")


class TooManyProducersError(Exception):
    """All positions that there may be have leases; nothing was accepted."""

    def __init__(self) -> None:
        super().__init__("there is no room for another producer: all of them have leases")


class TooManyRunsError(Exception):
    """All runs that there may be are running; nothing was started."""

    def __init__(self) -> None:
        super().__init__("there is no room for another run: all of them are running")
