"""A hub in memory, for the library of runs: with fences, leases, ends, outages and drains."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from barestream.mercure.reserved import EARLIEST, END_TYPE, FOLLOWED_TYPE, STOP_TYPE
from barestream.runs.hub import (
    Batch,
    Claim,
    Claimed,
    FencedError,
    HubAwayError,
    LostUpdatesError,
    RefusedError,
)
from barestream.runs.run import Run, Status
from barestream_client.event_reader import Received

# The reconnection delay that each stream begins with.
RETRY_MS = 1234


@dataclass
class Topic:
    events: list[Received] = field(default_factory=list)
    kept: int | None = None
    floor: int = 0
    is_ended: bool = False


class FakeHub:
    """The hub.

    Attributes:
        is_away: Whether each call fails, before it does anything.
        loses_answers: Whether a publish is taken, but its answer is lost.
        batches: The batches that were taken.
        published_at: When each of them was, in the loop's seconds.
        clients: The clients of the streams that were opened.
        refuses: A text that the hub refuses as data.
    """

    def __init__(self) -> None:
        self.runs: dict[str, tuple[Run, str, int, float]] = {}
        self.topics: dict[str, Topic] = {}
        self.is_away = False
        self.loses_answers = False
        self.refuses: str | None = None
        self.batches: list[Batch] = []
        self.published_at: list[float] = []
        self.calls = 0
        self.is_closed = False
        self.clients: list[str | None] = []
        self._fence = 0
        self._next: dict[str, int] = {}
        self._heard_at: dict[str, float] = {}
        self._stirred = asyncio.Condition()
        self._generation = 0

    async def claim(self, claim: Claim) -> Claimed:
        self._answer()
        control = f"runners/{claim.runner}"
        if claim.key in self.runs:
            run, _, fence, _ = self.runs[claim.key]
            is_own = run.id == claim.id
            if run.is_active or is_own:
                return Claimed(run, fence if run.is_active and is_own else None, control)
        self._fence += 1
        now = asyncio.get_running_loop().time()
        run = Run(claim.key, claim.id, f"runs/{claim.id}", Status.RUNNING, round(now * 1000))
        self.runs[claim.key] = run, claim.runner, self._fence, claim.lease_seconds
        self.topics[run.topic] = Topic()
        self._next[run.id], self._heard_at[run.id] = 0, now
        return Claimed(run, self._fence, control)

    async def run(self, key: str) -> Run | None:
        self._answer()
        return self.runs[key][0] if key in self.runs else None

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        self._answer()
        if key not in self.runs:
            return None
        return await self._tell_runner(key, run_id, STOP_TYPE)

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        self._answer()
        return await self._tell_runner(key, run_id, FOLLOWED_TYPE)

    async def _tell_runner(self, key: str, run_id: str, kind: str) -> Status:
        run = self.runs[key][0]
        if run.is_active:
            await self.tell(key, json.dumps({"key": key, "id": run_id}), kind)
        return run.status

    async def tell(self, key: str, data: str, kind: str = STOP_TYPE) -> None:
        """Publish an event on the control topic of a key's runner."""
        topic = self.topics.setdefault(f"runners/{self.runs[key][1]}", Topic())
        self._add(topic, Received(data, kind))
        await self.stir()

    async def publish(self, batch: Batch) -> None:
        self._answer()
        run, runner, fence, lease = self.runs.get(batch.run.key, (None, "", 0, 0))
        if run is None or run.id != batch.run.id or fence != batch.fence:
            raise FencedError("another run has the key")
        topic = self.topics[run.topic]
        total = len(batch.updates) + (batch.end is not None)
        skipped = self._next[run.id] - batch.first
        if skipped < 0:
            raise LostUpdatesError("updates are missing", self._next[run.id])
        if (skipped < total or skipped == total == 0) and topic.is_ended:
            raise FencedError("the topic has ended")
        self._heard_at[run.id] = asyncio.get_running_loop().time()
        for update in batch.updates[skipped:]:
            if update.data == self.refuses:
                raise RefusedError("data: too large", self._next[run.id])
            self._add(topic, Received(update.data, update.type or "message", update.id))
            if update.keep_seconds is not None:
                topic.kept = len(topic.events) - 1
            self._next[run.id] += 1
        if batch.end is not None and skipped < total:
            self._next[run.id] += 1
            self._add(topic, Received(json.dumps(batch.end.data()), END_TYPE))
            topic.is_ended = True
            self.runs[run.key] = replace(run, status=batch.end.status), runner, fence, lease
        self.batches.append(batch)
        self.published_at.append(asyncio.get_running_loop().time())
        await self.stir()
        if self.loses_answers:
            self.loses_answers = False
            raise HubAwayError("the answer was lost")

    @asynccontextmanager
    async def follow(
        self,
        topic: str,
        cursor: str | None,
        *,
        from_kept: bool = False,
        client: str | None = None,
    ) -> AsyncIterator[AsyncIterator[Received] | None]:
        self._answer()
        self.clients.append(client)
        found = self.topics.setdefault(topic, Topic())
        is_at_end = cursor is not None and self._place(found, cursor) == len(found.events)
        if is_at_end and found.is_ended:
            yield None
            return
        yield self._events(found, cursor, from_kept=from_kept)

    async def aclose(self) -> None:
        self.is_closed = True

    async def stir(self) -> None:
        async with self._stirred:
            self._stirred.notify_all()

    async def drain(self) -> None:
        """End every stream, as a worker does that stops."""
        self._generation += 1
        await self.stir()

    def lose(self, run: Run, count: int) -> None:
        """Lose the newest updates of a run."""
        self._next[run.id] -= count
        del self.topics[run.topic].events[-count:]

    async def end_overdue(self) -> None:
        """End the runs whose lease is over, as interrupted."""
        now = asyncio.get_running_loop().time()
        for key, (run, runner, fence, lease) in self.runs.items():
            if run.is_active and now - self._heard_at[run.id] >= lease:
                topic = self.topics[run.topic]
                self._add(topic, Received('{"status": "interrupted"}', END_TYPE))
                topic.is_ended = True
                self.runs[key] = replace(run, status=Status.INTERRUPTED), runner, fence, lease
        await self.stir()

    def data(self, run: Run) -> list[str]:
        """Return the data of a run's events."""
        return [event.data or "" for event in self.topics[run.topic].events]

    def _answer(self) -> None:
        self.calls += 1
        if self.is_away:
            raise HubAwayError("away")

    def _add(self, topic: Topic, event: Received) -> None:
        number = len(topic.events)
        topic.events.append(event._replace(id=event.id or f"#{number}"))

    def _place(self, topic: Topic, cursor: str) -> int:
        if cursor == EARLIEST:
            return topic.floor
        ids = [event.id for event in topic.events]
        return ids.index(cursor) + 1

    async def _events(
        self, topic: Topic, cursor: str | None, *, from_kept: bool
    ) -> AsyncIterator[Received]:
        generation = self._generation
        yield Received(None, retry_ms=RETRY_MS)
        place = len(topic.events) if cursor is None else self._place(topic, cursor)
        if from_kept:
            if topic.kept is not None:
                place = topic.kept
                for event in topic.events[place:]:
                    yield event._replace(id="#0-0~")
                place = len(topic.events)
            yield Received("{}", "barestream.ready", topic.events[-1].id if place else None)
        while generation == self._generation:
            if place < len(topic.events):
                place += 1
                yield topic.events[place - 1]
            elif topic.is_ended:
                return
            else:
                async with self._stirred:
                    await self._stirred.wait()
