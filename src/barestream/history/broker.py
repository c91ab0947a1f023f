"""The interface of a broker, which keeps the history."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from barestream.history.record import BEGIN, Known, Place, Record
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


@dataclass(frozen=True, slots=True)
class HistoryBounds:
    """The bounds of the history; updates beyond one of them are removed, oldest first.

    Attributes:
        events: How many updates, at least 1.
        seconds: How old an update may be.
        bytes: How much memory they may take together, by the weights of the broker. The newest
            update stays, even if it is larger.
    """

    events: int
    seconds: float
    bytes: int


class Weights(NamedTuple):
    """How much memory updates take in a broker, measured for sizes from 10 bytes to 10 KB.

    The history counts sizes, updates and ids, and not memory, so that releases with different
    weights can share it.

    Attributes:
        ratio: Bytes of memory for each byte that size_bytes counts.
        update_bytes: Additional bytes for each update.
        id_bytes: Additional bytes for each entry in the index of the publishers' ids.
    """

    ratio: float
    update_bytes: int
    id_bytes: int

    def total(self, size_bytes: int, updates: int, ids: int) -> float:
        """Return how many bytes so many updates of that size take together."""
        return self.ratio * size_bytes + self.update_bytes * updates + self.id_bytes * ids


class Page(NamedTuple):
    """Successive updates, without a gap between them, oldest first.

    Attributes:
        floor: The place after which nothing is missing up to the last of the records.
        records: The updates; none if nothing follows.
        is_known: Whether this history gave the place that the page follows: an update is there, or
            the history begins there or later. If not, the place comes from a history that was lost,
            or that an older copy has replaced.
    """

    floor: Place
    records: list[Record]
    is_known: bool = True


class Misfit(NamedTuple):
    """Why the history may lose updates that its bounds should keep.

    Attributes:
        what: The problem, in one sentence.
        figures: Its numbers and settings, by name.
        remedy: How to solve it.
    """

    what: str
    figures: dict[str, int | str]
    remedy: str


class Broker(Protocol):
    """A history that every worker reads in one order.

    Places only go forward, also after a restart and after the clock was set back, as long as the
    history is kept. A history that was lost, or replaced by an older copy, does not know the
    places that it gave before: a reader notices that (Page.is_known), and calls move_on.
    Each method raises BrokerAwayError if the history cannot be reached.
    """

    async def publish(self, update: Update) -> str:
        """Keep an update, and then return the id that clients will see.

        An update that equals the newest one with the same id of its publisher, while the history
        has that, is a retry: it gets the same answer, and is not kept again. With other content it
        is a new update.
        """

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates of the history, up to one of the bounds.

        At least one update is returned, if one is asked for, even if it is larger.
        """

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place, up to the one that reaches a bound.

        The floor is the place itself, or the history's floor if the place is before it.
        """

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the same as read, once an update follows the place, or after WAIT_SECONDS.

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

    async def close(self) -> None:
        """Close every connection."""
