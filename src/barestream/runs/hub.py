"""What runs need of a hub; there is an adapter for HTTP, and one for a hub in the same process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from barestream.runs.run import Outcome, Run, Status
from barestream_client.event_reader import Received


class HubAwayError(Exception):
    """The hub does not answer, or cannot answer yet; the same call may succeed a moment later."""


class RefusedError(Exception):
    """The hub refuses a call, and would refuse it again; the message has the hub's own words.

    Attributes:
        next: The number of the update that the hub expects next; None if it does not say.
    """

    def __init__(self, why: str, next_number: int | None = None) -> None:
        super().__init__(why)
        self.next = next_number


class LostUpdatesError(RefusedError):
    """The hub expects an update that it has taken before: it has lost that one and those after it.

    A Valkey that comes back from a copy or a file may be a second behind.
    """


class FencedError(Exception):
    """The hub takes nothing more for a run: it has ended, is unknown, or has another runner."""


class Claim(NamedTuple):
    """What a start asks for.

    Attributes:
        key: The key.
        id: The id of the run if this start wins. A claim that is sent again with it gets the same
            answer.
        runner: Names the process.
        lease_seconds: The hub ends the run as interrupted once its runner was silent for so long.
        expires_seconds: For how long the run can be followed after its end.
    """

    key: str
    id: str
    runner: str
    lease_seconds: int
    expires_seconds: float

    def fields(self) -> dict[str, object]:
        """Return its fields, as the body of a request has them."""
        return {
            "key": self.key,
            "id": self.id,
            "runner": self.runner,
            "lease": self.lease_seconds,
            "expires": self.expires_seconds,
        }


class Claimed(NamedTuple):
    """The answer to a claim.

    Attributes:
        run: The run of the key.
        fence: The number that its publishes need; None if another start has won.
        control: The topic by which its runner is asked to stop it.
    """

    run: Run
    fence: int | None
    control: str


class RunUpdate(NamedTuple):
    """One update of a run, before it is published.

    Attributes:
        data: The data.
        type: The type of the event; None for the usual one.
        id: The id of the event; None for the hub's.
        keep_seconds: For how long it is the run's kept value; None if it is none.
    """

    data: str
    type: str | None = None
    id: str | None = None
    keep_seconds: float | None = None

    def fields(self) -> dict[str, object]:
        """Return its fields, as a line of a publish has them."""
        fields = {"data": self.data, "type": self.type, "id": self.id, "keep": self.keep_seconds}
        return {name: value for name, value in fields.items() if value is not None}


class Batch(NamedTuple):
    """Successive updates of a run.

    Attributes:
        run: The run.
        fence: Its number.
        first: The number of the first update; those of a run count from 0.
        updates: At most MOST_UPDATES, the end counted; none only to renew the lease.
        end: How the run has ended; None if it goes on. It is one more update, after the others.
        expires_seconds: For how long the run's topic then stays ended.
    """

    run: Run
    fence: int
    first: int
    updates: Sequence[RunUpdate]
    end: Outcome | None = None
    expires_seconds: float = 0

    def end_fields(self, end: Outcome) -> dict[str, object]:
        """Return the fields of its last line, which tells the end."""
        return {"end": self.expires_seconds, **end.data()}


class Hub(Protocol):
    """The hub. Each method may raise HubAwayError and RefusedError."""

    async def claim(self, claim: Claim) -> Claimed:
        """Start a run, unless the key has one that is active, or this claim's, which has ended."""

    async def run(self, key: str) -> Run | None:
        """Return the newest run of a key; None if there is none, or its time is over."""

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        """Tell a run's runner to stop it; return the run's status, None for an unknown run."""

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        """Tell the runner of an active run that the run has followers; return the run's status.

        Returns:
            The status; None for an unknown run.
        """

    async def publish(self, batch: Batch) -> None:
        """Publish a batch. After an error the same batch can be published again: none comes twice.

        Raises:
            FencedError: The run has ended, or has another runner.
            LostUpdatesError: Updates before these are missing.
        """

    def follow(
        self,
        topic: str,
        cursor: str | None,
        *,
        from_kept: bool = False,
        client: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[Received] | None]:
        """Follow a topic; the iterator ends when the hub ends the stream.

        Args:
            topic: The topic.
            cursor: The id of the last event that was seen; None for what comes from here on.
            from_kept: Whether to begin with the topic's kept value; only without a cursor.
            client: The address of the client that it is for, which the hub may count by; None if it
                is for none.

        Returns:
            The events; None if the topic has ended, and all of its events were seen.
        """

    async def aclose(self) -> None:
        """Close every connection."""
