"""A run: something that is made while it is read, such as the answer of a language model. Pure."""

from dataclasses import dataclass
from enum import StrEnum

# Ends the id of a run's end that the library makes itself.
_END_MARK = ":end"


class Status(StrEnum):
    """What became of a run.

    ``interrupted`` means that its process has ended, was stopped, or did not reach the hub in time.
    """

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a key.

    Attributes:
        key: What the app calls it.
        id: Of this start alone, random.
        topic: The topic of its events at the hub.
        status: The status when the hub was asked.
        started_ms: When it began, in milliseconds since 1970-01-01 UTC, by the hub's clock.
        is_new: Whether the call of ``start`` that returned this has started it.
    """

    key: str
    id: str
    topic: str
    status: Status
    started_ms: int
    is_new: bool = False

    @property
    def is_active(self) -> bool:
        """Whether more events may come."""
        return self.status is Status.RUNNING

    @property
    def first_event_id(self) -> str:
        """The id of its first event; without that event its beginning has left the history."""
        return f"{self.id}:0"

    @property
    def end_event_id(self) -> str:
        """The id of its end where the hub no longer has that event."""
        return f"{self.id}{_END_MARK}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run has ended.

    Attributes:
        status: Any but running.
        error: What its followers are told of a failure; None if there is nothing to tell.
    """

    status: Status
    error: str | None = None

    def data(self) -> dict[str, str]:
        """Return the data of its last event, as an object of JSON."""
        if self.error is None:
            return {"status": self.status}
        return {"status": self.status, "error": self.error}


def well_formed(text: str) -> str:
    """Return a text with each lone surrogate, which UTF-8 cannot encode, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_end_id(event_id: str) -> bool:
    """Return whether an id is that of a run's end which the hub no longer has."""
    return event_id.endswith(_END_MARK)


class RunFailedError(Exception):
    """Raised by an app's generator: the run fails, and its followers are told this message.

    They are told of any other exception only that the run has failed.
    """


class ClosedError(Exception):
    """A run cannot be started or followed, because this process stops."""
