"""What the service asks of the history, wherever it is kept."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from barestream.history.record import Known, Place, Record
from barestream.history.update import Update

# How long a wait lasts at most where nothing follows.
WAIT_SECONDS = 5.0

# What one answer holds: it is in memory whole, and takes its time on the way.
MOST_PAGE_BYTES = 1024 * 1024


class BrokerAwayError(Exception):
    """The history cannot be reached, or has not answered in time, or refuses; the message says why.

    Attributes:
        cause: The kind of the reason, one of a few: Valkey's code where it refuses (OOM), else
            unreachable, unanswered, broken, full, closed or error.
        words: The same for clients, as what the history does ("does not answer"); it names no
            address.
        is_refusal: Whether the history is there, and has refused.
        nothing_taken: Whether it is certain that a publish that ends with this error was not
            taken. Otherwise it may or may not have been taken.
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


class IdTakenError(ValueError):
    """The history holds another update under the publisher's id."""


@dataclass(frozen=True, slots=True)
class HistoryBounds:
    """What the history keeps; whatever is beyond one of the bounds goes, oldest first.

    Attributes:
        events: How many updates, at least 1.
        seconds: For how long.
        bytes: How much memory they may take together, by the weights of the history's home. The
            newest stays however large it is.
    """

    events: int
    seconds: float
    bytes: int


class Weights(NamedTuple):
    """How much memory updates take where the history is, measured over sizes from 10 bytes to 10
    KB.

    The history counts sizes, updates and ids, and not memory, so that releases with other weights
    can share it.

    Attributes:
        ratio: Bytes of memory for each byte that size_bytes counts.
        update_bytes: Further bytes for each update.
        id_bytes: Further bytes for each id of a publisher's, which is also kept in an index.
    """

    ratio: float
    update_bytes: int
    id_bytes: int

    def total(self, size_bytes: int, updates: int, ids: int) -> float:
        """Return how many bytes so many updates of that size take together."""
        return self.ratio * size_bytes + self.update_bytes * updates + self.id_bytes * ids


class Page(NamedTuple):
    """Updates that follow each other without a hole, oldest first.

    Attributes:
        floor: The place after which nothing is missing up to the last of the records.
        records: The updates; none where nothing follows.
        is_known: Whether this history gave the place that the page follows: an update stands there,
            or the history begins there or later. If not, the place is of a history that was lost,
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

    Places only go forward: over restarts, and over a clock that was set back, as long as the
    history is kept. One that is lost, or replaced by an older copy, does not know the places that
    it gave: a reader sees that (Page.is_known), and calls move_on.
    Each method raises BrokerAwayError where the history cannot be reached.
    """

    async def publish(self, update: Update) -> str:
        """Take an update, and return the id that clients will see, once it is kept.

        The same update under the same id of its publisher's is taken once: again within the
        history it answers as the first time.

        Raises:
            IdTakenError: The history holds another update under its id.
        """

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates of the history: one bound or the history's begin ends them.

        One update at least, if one is asked for, however large it is.
        """

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place; with the one that reaches a bound they end.

        The floor is the place itself, or the history's own where the place is before it.
        """

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what read does as soon as something follows; maybe nothing, after a while.

        The floor tells whether the history has let go, or has lost, what stood between the place
        and the records.
        """

    async def move_on(self, place: Place) -> None:
        """Give every later update a place after this one, and send a gap to every stream.

        Without it a history that was lost, or replaced by an older copy, could give a place twice,
        and a stream that is behind would read past what is lost.
        """

    async def find(self, event_id: str) -> Known | None:
        """Return what is known of the update that has this id of its publisher's.

        It takes the same time whatever the update's data is: a client may only be guessing ids.
        """

    async def trim(self) -> None:
        """Let go of what is beyond the bounds by now.

        Publishing does it too; this is for the age where nobody publishes.
        """

    async def probe(self) -> None:
        """Ask whether an update would be taken; raise the error that publishing would raise."""

    async def misfits(self) -> list[Misfit]:
        """Return why the place where the history is kept does not fit the bounds of the history."""

    async def close(self) -> None:
        """Let go of every connection."""
