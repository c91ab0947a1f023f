"""The posted events, by number, and their outcome."""

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Post:
    """An event as its publisher knows it.

    Attributes:
        topics: What it is about, as indexes of TOPICS.
        data: Its topics, number and moment (time.monotonic), and a filler.
        publisher: Who posts one event after the other.
        phase: In which it was made.
        own_id: The id that its publisher gave it.
        made_at: When it was made, of time.monotonic.
        accepted_at: When it was answered with 200, of time.monotonic; None where it was not.
    """

    number: int
    topics: tuple[int, ...]
    data: str
    publisher: int
    phase: int
    own_id: str | None
    made_at: float
    accepted_at: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether it was answered with 200."""
        return self.accepted_at is not None


def _zeros() -> defaultdict[int, float]:
    return defaultdict(float)


@dataclass
class Ledger:
    """Every event of a run, by number, and how the posting of them went.

    Attributes:
        phase: The one that is under way.
        accepted: The events taken, by the phase in which they were.
        retried: The events that were not taken at once, by phase; without those whose publisher
            did not wait for the answer.
        unsettled: Why the fate of an event was not known, each time, with the phase.
        refused: The answers by which an event was refused for good.
        answer_seconds: The longest time that a publisher waited for an answer, by phase.
        acceptance_seconds: The longest time from an event's first request until it, or the one
            sent in its place, was accepted, by phase.
    """

    posts: list[Post] = field(default_factory=list)
    phase: int = 0
    accepted: Counter[int] = field(default_factory=Counter)
    retried: Counter[int] = field(default_factory=Counter)
    unsettled: list[tuple[int, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answer_seconds: defaultdict[int, float] = field(default_factory=_zeros)
    acceptance_seconds: defaultdict[int, float] = field(default_factory=_zeros)

    def note_longest(self, seconds: defaultdict[int, float], since: float) -> None:
        """Note in one of the two how long it has been since a moment of time.monotonic."""
        seconds[self.phase] = max(seconds[self.phase], time.monotonic() - since)

    def new(
        self, topics: tuple[int, ...], publisher: int, *, own_id: bool, filler_bytes: int = 0
    ) -> Post:
        """Enter an event."""
        number = len(self.posts)
        about = ",".join(map(str, topics))
        made_at = time.monotonic()
        data = f"{about} {number} {made_at:.6f} {'.' * filler_bytes}"
        name = f"urn:drill:{publisher}/{number}" if own_id else None
        post = Post(number, topics, data, publisher, self.phase, name, made_at)
        self.posts.append(post)
        return post


async def due_slots(
    nth: int, publishers: int, events_per_second: float, began_at: float
) -> AsyncIterator[int]:
    """Return a publisher's slots, each when it is due: of all slots, each so manieth is its own."""
    for slot in itertools.count(nth, publishers):
        due_at = began_at + slot / events_per_second
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        yield slot
