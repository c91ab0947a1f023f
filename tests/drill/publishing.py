"""Publishers over faults: they retry a safe publish, and post a new event for an unsafe one."""

import asyncio
import random
import time
from enum import Enum, auto

import httpx

from support.clients.publisher import Publisher
from support.judges.ledger import Ledger, Post, due_slots

TOPICS = [f"https://drill.example/rooms/{nth}" for nth in range(10)]

# A client of these two alone lives on heartbeats between their events.
QUIET = (8, 9)
BUSY = range(8)
QUIET_SECONDS = 2

# One that waits for an answer must not hold up the others' events.
PUBLISHER_SECONDS = 1

# The app's own deadline for Valkey is 5 s.
ANSWER_SECONDS = 10
PAUSE_SECONDS = 0.5

# Some do not wait for the answer: most of their events are taken all the same.
HASTY_SHARE = 0.05
HASTY_SECONDS = 0.1

# What a reload, a proxy without its app and a Valkey that is away answer: it may be accepted.
AMBIGUOUS = {502, 503, 504}

# The text of a 503 where Valkey refused the update: it can be sent again.
NOT_ACCEPTED = "was not accepted"

# Some events are large, so that a kill meets streams in the middle of one.
FILLER_BYTES = (20, 20, 20, 20, 20, 200, 200, 4000)


class Fate(Enum):
    """The publisher's knowledge of an event after its answer, or without one."""

    SETTLED = auto()
    NOT_ACCEPTED = auto()
    UNKNOWN = auto()


class Publishing:
    """Posts events at an even rate, each publisher one after the other.

    Args:
        publisher: The way to the hub.
        ledger: Where they are entered.
        events_per_second: How many are due, one a second from each publisher; those that an
            outage has held up follow at once.
        seed: Of the random choices.
    """

    def __init__(
        self, publisher: Publisher, ledger: Ledger, events_per_second: float, seed: int
    ) -> None:
        self._publisher = publisher
        self._ledger = ledger
        self._events_per_second = events_per_second
        self._publishers = max(1, round(PUBLISHER_SECONDS * events_per_second))
        self._cycle_events = round(QUIET_SECONDS * events_per_second)
        self._seed = seed
        self._stopping = False

    async def run(self) -> None:
        """Publish until stopped, and until each event under way has its answer."""
        began_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for nth in range(self._publishers):
                group.create_task(self._publish(nth, began_at))

    def stop(self) -> None:
        """Let each publisher end after its event."""
        self._stopping = True

    async def post_to_all(self) -> Post:
        """Post an event of every topic that must be taken, and return it."""
        post = self._ledger.new(tuple(range(len(TOPICS))), self._publishers, own_id=True)
        await self._settle(post, await self._send(post))
        return post

    async def _publish(self, nth: int, first_due_at: float) -> None:
        rng = random.Random(f"{self._seed}/publisher/{nth}")
        async for slot in due_slots(nth, self._publishers, self._events_per_second, first_due_at):
            if self._stopping:
                break
            topics = self._topics(slot, rng)
            own_id = rng.random() < 0.5
            filler_bytes = rng.choice(FILLER_BYTES)
            post = self._ledger.new(topics, nth, own_id=own_id, filler_bytes=filler_bytes)
            is_hasty = rng.random() < HASTY_SHARE
            patience_seconds = rng.uniform(0, HASTY_SECONDS) if is_hasty else ANSWER_SECONDS
            began_at = time.monotonic()
            fate = await self._send(post, patience_seconds)
            if fate is not Fate.SETTLED:
                self._ledger.retried[self._ledger.phase] += not is_hasty
                await self._settle(post, fate, filler_bytes)
            self._ledger.note_longest(self._ledger.acceptance_seconds, began_at)

    async def _settle(self, post: Post, fate: Fate, filler_bytes: int = 0) -> None:
        """Send an event until its fate is settled."""
        while fate is not Fate.SETTLED:
            await asyncio.sleep(PAUSE_SECONDS)
            # One that may have been accepted can be sent again only under an id of its own.
            if post.own_id is None and fate is Fate.UNKNOWN:
                post = self._ledger.new(
                    post.topics, post.publisher, own_id=False, filler_bytes=filler_bytes
                )
            fate = await self._send(post)

    def _topics(self, slot: int, rng: random.Random) -> tuple[int, ...]:
        in_cycle = slot % self._cycle_events
        if in_cycle == 0:
            return (QUIET[0],)
        if in_cycle == self._cycle_events // 2:
            return (QUIET[1],)
        # Who follows both of an event's topics still gets it once.
        return tuple(rng.sample(BUSY, 2 if rng.random() < 0.1 else 1))

    async def _send(self, post: Post, patience_seconds: float = ANSWER_SECONDS) -> Fate:
        """Post the event once, and return what is known of it then."""
        topics = [TOPICS[nth] for nth in post.topics]
        own_id = {"id": post.own_id} if post.own_id else {}
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(patience_seconds):
                answer = await self._publisher.post(*topics, data=post.data, **own_id)
        except (httpx.TransportError, TimeoutError) as error:
            return self._unsettled(Fate.UNKNOWN, type(error).__name__)
        finally:
            self._ledger.note_longest(self._ledger.answer_seconds, began_at)
        if answer.status_code == 503 and NOT_ACCEPTED in answer.text:
            return self._unsettled(Fate.NOT_ACCEPTED, "503, not accepted")
        if answer.status_code in AMBIGUOUS:
            return self._unsettled(Fate.UNKNOWN, str(answer.status_code))
        if answer.status_code == 200:
            post.accepted_at = time.monotonic()
            self._ledger.accepted[self._ledger.phase] += 1
        else:
            self._ledger.refused.append(f"{answer.status_code} {answer.text}")
        return Fate.SETTLED

    def _unsettled(self, fate: Fate, why: str) -> Fate:
        self._ledger.unsettled.append((self._ledger.phase, why))
        return fate
