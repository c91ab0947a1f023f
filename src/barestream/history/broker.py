"""The interface of a broker, which keeps the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from barestream.history.extent import Extent
from barestream.history.misfit import Misfit
from barestream.history.producers import Accepted, Batch, Claim, Position, Run, Swept
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.revocations import RevocationStore
from barestream.history.subscriptions import Registry
from barestream.history.topic_state import End, Reader, Rewind, Rewound
from barestream.history.update import Update

# How long a wait lasts at most if nothing follows.
WAIT_SECONDS = 5.0

# The size of one answer: it is in memory as a whole, and takes time to transfer.
MOST_PAGE_BYTES = 1024 * 1024

# How many updates one search for an id finds at most. Valkey reads each of them whole.
MOST_FOUND = 10


class BrokerAwayError(Exception):
    """The history cannot be reached, did not answer in time, or refused; the message says why.

    Attributes:
        cause: The kind of the reason: Valkey's error code if it refused (such as OOM), else
            unreachable, unanswered, broken, full, closed or error.
        words: The reason for clients, as a predicate of "The history" ("does not answer"); it
            names no address.
        is_refusal: Whether the history answered, and refused.
        nothing_taken: Whether it is certain that a publish that ends with this error was not
            accepted. Otherwise it may or may not have been accepted.
    """

    def __init__(
        self,
        why: str,
        *,
        cause: str = "unanswered",
        words: str = "does not answer",
        is_refusal: bool = False,
        nothing_taken: bool = False,
    ) -> None:
        super().__init__(why)
        self.cause = cause
        self.words = words
        self.is_refusal = is_refusal
        self.nothing_taken = nothing_taken


class TopicEndedError(Exception):
    """An update was published to a topic that has ended; nothing was accepted.

    Args:
        topic: The topic.
        at: The number of the update, from 0, among those that were published together.
    """

    def __init__(self, topic: str, at: int = 0) -> None:
        super().__init__(f"the topic has ended: {topic!r}")
        self.topic = topic
        self.at = at


class TooMuchKeptError(Exception):
    """There is no room for another kept value; nothing was accepted.

    Args:
        why: The reason.
        at: The number of the update, from 0, among those that were published together.
    """

    def __init__(self, why: str = "there is no room for another kept value", at: int = 0) -> None:
        super().__init__(why)
        self.at = at


@dataclass(frozen=True, slots=True)
class HistoryBounds:
    """The bounds of the history; updates beyond one of them are removed, oldest first.

    Attributes:
        events: How many updates, at least 1.
        seconds: How old an update may be.
        bytes: How much memory they and the index of topics may take together, by the weights of
            the broker. The newest update stays, even if it is larger. Topics without updates leave
            the index first if they take more than a quarter of it.
        topic_events: How many updates of one topic there may be. The oldest one leaves the history
            if this is its first topic, else the topic alone.
        topic_seconds: Updates that are not older than this do not leave for topic_events, so that
            a busy topic's readers can come back after a deploy.
        topics: How many topics the index may have; public and private updates of a topic count
            apart. Also how many topics may be ended at a time: beyond it, the one whose time is
            over first is forgotten early.
        kept_values: How many kept values there may be; a publish of one more is refused.
        kept_bytes: How large they may be together (Update.size_bytes).
        revocations: How many revocations of tokens there may be beside the history; one more is
            refused.
    """

    events: int
    seconds: float
    bytes: int
    topic_events: int = 10_000
    topic_seconds: float = 60
    topics: int = 100_000
    kept_values: int = 10_000
    kept_bytes: int = 16 * 1024 * 1024
    revocations: int = 10_000


class Weights(NamedTuple):
    """How much memory updates take in a broker, measured for sizes from 10 bytes to 10 KB.

    The history counts sizes, updates and ids, and not memory, so that releases with different
    weights can share it.

    Attributes:
        ratio: Bytes of memory for each byte that size_bytes counts.
        update_bytes: Additional bytes for each update.
        id_bytes: Additional bytes for each entry in the index of the publishers' ids.
        lane_bytes: Additional bytes for each lane (the public or the private updates of a topic)
            in the index of topics.
        place_bytes: Additional bytes for each place in a lane.
    """

    ratio: float
    update_bytes: int
    id_bytes: int
    lane_bytes: int = 0
    place_bytes: int = 0

    def total(
        self, size_bytes: int, updates: int, ids: int, lanes: int = 0, places: int = 0
    ) -> float:
        """Return how many bytes so many updates of that size, with so many lanes, take together."""
        of_updates = self.ratio * size_bytes + self.update_bytes * updates + self.id_bytes * ids
        return of_updates + self.lane_bytes * lanes + self.place_bytes * places


class Page(NamedTuple):
    """Successive updates, oldest first.

    Attributes:
        floor: The place after which nothing is missing up to the last of the records.
        records: The updates; none if nothing follows. Some may be before the floor: others there
            have left the history.
        is_known: Whether this history gave the place that the page follows: an update is there, or
            one at this place or later has left the history. If not, the place comes from a history
            that was lost, or that an older copy has replaced.
        upto: The place up to which the page has all that the history has.
    """

    floor: Place
    records: list[Record]
    is_known: bool = True
    upto: Place = BEGIN


class Broker(Protocol):
    """A history that every worker reads in one order.

    Places only go forward, also after a restart and after the clock was set back, as long as the
    history is kept. A history that was lost, or replaced by an older copy, does not know the
    places that it gave before: a reader notices that (Page.is_known), and calls move_on.
    Each method raises BrokerAwayError if the history cannot be reached.

    Attributes:
        revocations: Keeps the revocations of tokens beside the history.
    """

    @property
    def revocations(self) -> RevocationStore: ...

    @property
    def registry(self) -> Registry:
        """The subscriptions of all workers, whose updates are in this history."""

    async def publish(self, update: Update) -> str:
        """Keep an update, and then return the id that clients will see.

        An update that equals the newest one with the same id of its publisher, while the history
        has that, is a retry: it gets the same answer, and is not kept again. With other content it
        is a new update.

        Raises:
            TopicEndedError: One of its topics has ended.
            TooMuchKeptError: It is to be kept, and there is no room.
        """

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Keep some updates, in their order and without others between them, or none of them.

        Each is treated as publish treats it. An update may follow the end of its topic only if it
        is a retry.
        """

    async def publish_batch(self, batch: Batch) -> Accepted:
        """Keep a producer's updates, or none of them; return what became of them.

        Those that it has published before are left out, also if the topic has ended meanwhile. The
        others are treated as publish_all treats them. The position and the lease change in the
        same step.

        Raises:
            StaleEpochError: The producer has a later epoch.
            NewEpochError: The epoch is new, and the first number is not 0.
            SequenceGapError: Updates before these are missing.
            UnknownRunError: The batch is a run's, and there is no such run, or its key has another.
            TooManyProducersError: There is no room for another position.
            TopicEndedError: See publish; ``at`` counts all updates of the batch.
            TooMuchKeptError: See publish; ``at`` counts all updates of the batch.
        """

    async def position(self, topic: str, producer_id: str) -> Position | None:
        """Return how far a producer has come with a topic; None if that is not known."""

    async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
        """End the topics whose producers did not come back in time, and forget old positions.

        Each gets its last update, and its run the status "interrupted", in one step. A lease that
        began in the future, because the clock was set back, begins again.

        Args:
            upto_ms: Leases that end after this time stay, in milliseconds of the history's clock.
                The caller knows that so much time has passed; the clock may have jumped.
            steady_ms: Longer leases stay: for how long producers have been able to reach the
                history without a break, as far as the caller knows.
        """

    async def claim(self, claim: Claim) -> tuple[Run, bool]:
        """Start a run, unless its key has one that is running, or that has the id of the claim.

        So a claim that is sent again starts nothing, also if its run has ended meanwhile. The
        producer of the run has its id, its fence as the epoch, and the lease.

        Returns:
            The run that the key then has, and whether this call has started it.

        Raises:
            TooManyRunsError: There is no room for another run.
            TooManyProducersError: There is no room for the position of its producer.
        """

    async def run(self, run_key: str) -> Run | None:
        """Return the newest run of a key; None if there is none, or its time is over."""

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates of the history, up to one of the bounds.

        At least one update is returned, if one is asked for, even if it is larger.
        """

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        """Return the updates that follow a place, up to the one that reaches a bound.

        The floor is the place itself, or the history's floor if the place is before it.

        Args:
            after: The place.
            most_events: The bound of their number; with 0 the answer has the floor alone.
            most_bytes: The bound of their size.
            reader: Who will read them. If it names its topics, the page has the updates of these
                alone, also private ones that it may not read. The floor is the newest place of an
                update that has left the history, as far as the reader may know of it.
        """

    async def ends(self) -> dict[str, End]:
        """Return the topics that have ended, and are not forgotten yet."""

    async def rewound(
        self, topics: Sequence[str], rewind: Rewind, most_events: int, *, all_kept: bool
    ) -> Rewound:
        """Return the newest updates of topics, and kept values.

        Args:
            topics: The topics.
            rewind: How much of each.
            most_events: How many updates of one topic, and of one kind (public or private), there
                are at most.
            all_kept: Whether to return the kept values of all topics.
        """

    async def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places that the history still has, in the order of places.

        The caller asks for few, because the answer is in memory as a whole.
        """

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the same as read, once an update follows the place, or after WAIT_SECONDS.

        While updates come densely, it may take some ms longer, so that an answer has several.
        A floor after the place means that the history has removed, or lost, the updates between
        the place and the records.
        """

    async def move_on(self, place: Place) -> None:
        """Give every later update a place after this one, and send a gap to every stream.

        Otherwise a history that was lost, or replaced by an older copy, could give a place twice,
        and a stream that is behind would not be sent a gap for the lost updates.
        """

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id of their publisher.

        The answer has the earliest MOST_FOUND of those that follow a place, oldest first. Its size
        does not depend on the updates' data, because a client may be guessing ids.
        """

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds.

        Publishing does it too; this removes old updates while there are no publishes.
        """

    async def probe(self) -> None:
        """Check that an update would be accepted; raise the error that publishing would raise."""

    async def misfits(self) -> list[Misfit]:
        """Return why the broker's memory or settings do not fit the bounds of the history."""

    async def extent(self) -> Extent:
        """Return how much the history has."""

    async def close(self) -> None:
        """Close every connection."""
