"""A hub in the same process, so that a bareASGI app on this server has runs without HTTP."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from barestream.delivery.rewinding import Rewinding
from barestream.delivery.stream import Stream
from barestream.delivery.streams import Streams
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history import producers
from barestream.history.broker import Broker, BrokerAwayError, TooMuchKeptError, TopicEndedError
from barestream.history.intake import Intake
from barestream.history.topic_state import Rewind
from barestream.history.update import Update
from barestream.mercure.reserved import FOLLOWED_TYPE, STOP_TYPE
from barestream.mercure.run_topics import control_topic
from barestream.mercure.selectors import Selectors
from barestream.runs.hub import (
    Batch,
    Claim,
    Claimed,
    FencedError,
    HubAwayError,
    LostUpdatesError,
    RefusedError,
)
from barestream.runs.run import Outcome, Run, Status
from barestream.web.beginnings import Beginnings
from barestream.web.buffered_writer import BufferedWriter
from barestream.web.follow import Following
from barestream.web.refusals import Refused
from barestream.web.rewind_request import RewindRequest
from barestream.web.run_lines import read_end
from barestream.web.run_request import checked_key, claim_of
from barestream.web.stream_request import StreamRequest
from barestream.web.update_reader import Address, UpdateReader
from barestream_client.event_reader import EventReader, Received

# The key of the hub in the info of its application.
LOCAL_HUB = "barestream.local_hub"

# How these streams are named in the log.
_LABELS = {"route": "runs in the same process", "request_id": "", "client": ""}

_FENCES = (
    producers.UnknownRunError,
    producers.StaleEpochError,
    producers.NewEpochError,
    TopicEndedError,
)


@dataclass(frozen=True, slots=True)
class LocalHub:
    """The adapter.

    Attributes:
        broker: Knows the runs.
        intake: Gives their updates to the history.
        tail: Fills the feed that the followers follow.
        streams: The streams of this worker.
        beginnings: Finds out how a follower's stream begins.
        reader: Reads updates by the rules of the requests over HTTP.
        ended_seconds: For how long a run may be known after its end.
    """

    broker: Broker
    intake: Intake
    tail: Tail
    streams: Streams
    beginnings: Beginnings
    reader: UpdateReader
    ended_seconds: float

    async def claim(self, claim: Claim) -> Claimed:
        """Start a run, unless the key has one that is active (see Hub)."""
        with _away():
            asked = claim_of(claim.fields(), self.ended_seconds)
            run, _ = await self.broker.claim(asked)
        # It may have been started by a claim whose answer was lost, and have ended since.
        is_own = run.id == claim.id and run.status == "running"
        fence = run.fence if is_own else None
        return Claimed(_run(run), fence, control_topic(run.runner))

    async def run(self, key: str) -> Run | None:
        """Return the newest run of a key (see Hub)."""
        with _away():
            found = await self.broker.run(checked_key(key, "key"))
        return None if found is None else _run(found)

    async def ask_to_stop(self, key: str, run_id: str) -> Status | None:
        """Tell a run's runner to stop it (see Hub)."""
        return await self._tell_runner(STOP_TYPE, key, run_id)

    async def tell_followed(self, key: str, run_id: str) -> Status | None:
        """Tell a run's runner that the run has followers (see Hub)."""
        return await self._tell_runner(FOLLOWED_TYPE, key, run_id)

    async def publish(self, batch: Batch) -> None:
        """Publish a batch (see Hub)."""
        address = Address((batch.run.topic,), private=True)
        updates: list[Update] = []
        try:
            for each in batch.updates:
                updates += [self.reader.of_addressed(each.fields(), address)]
            if batch.end is not None:
                fields = batch.end_fields(batch.end)
                updates.append(read_end(self.reader, address, "the end", fields).update)
        except Refused as refused:
            await self._give(batch, updates, None)
            raise RefusedError(str(refused), batch.first + len(updates)) from None
        await self._give(batch, updates, batch.end)

    @asynccontextmanager
    async def follow(
        self,
        topic: str,
        cursor: str | None,
        *,
        from_kept: bool = False,
        client: str | None = None,  # noqa: ARG002 (Hub's)
    ) -> AsyncIterator[AsyncIterator[Received] | None]:
        """Follow a topic (see Hub)."""
        topics = Selectors([topic])
        subscription = Subscription(topics, topics)
        rewind = Rewind(kept=True) if from_kept else None
        asked = StreamRequest(
            [topic],
            [],
            [] if cursor is None else [cursor],
            heartbeat_events=False,
            state=RewindRequest(rewind, frozenset(), frozenset()),
        )
        feed = self.tail.feed
        if not self.tail.filled:
            raise HubAwayError("the history was not read yet")
        with _away():
            start, plan = await self.beginnings.beginning(asked, subscription, is_moved_on=False)
        place = feed.ring.last if start.place is None else start.place
        if plan is None and feed.ends.are_over(subscription, place):
            yield None
            return
        rewinding = None if plan is None else partial(Rewinding, self.tail, plan)
        following = Following(
            feed,
            start,
            heartbeat_events=False,
            subscription=subscription,
            rewinding=rewinding,
            tells_ready=from_kept,
        )
        writer = BufferedWriter()
        stream = Stream(writer, self.streams.now, _LABELS)
        self.streams.open(stream)
        try:
            async with following(stream):
                yield _events(writer)
        finally:
            self.streams.close(stream)

    async def aclose(self) -> None:
        """Do nothing: the application closes its broker."""

    async def _tell_runner(self, kind: str, key: str, run_id: str) -> Status | None:
        with _away():
            found = await self.broker.run(checked_key(key, "key"))
            if found is None or found.id != run_id:
                return None
            if found.status == "running":
                await self.intake.publish(producers.to_runner(found, kind))
        return Status(found.status)

    async def _give(self, batch: Batch, updates: list[Update], end: Outcome | None) -> None:
        given = producers.Batch(
            batch.run.topic,
            producers.Producer(batch.run.id, batch.fence),
            batch.first,
            updates,
            is_run=True,
            status=None if end is None else end.status.value,
        )
        with _away():
            try:
                await self.intake.publish_batch(given)
            except producers.SequenceGapError as error:
                raise LostUpdatesError(str(error), error.expected) from None
            except _FENCES as error:
                raise FencedError(str(error)) from None
            except TooMuchKeptError as error:
                raise RefusedError(str(error), batch.first) from None


async def _events(writer: BufferedWriter) -> AsyncIterator[Received]:
    reader = EventReader()
    async for chunk in writer.chunks():
        for event in reader.feed(chunk):
            yield event


@contextmanager
def _away() -> Iterator[None]:
    """Raise what the adapter for HTTP raises for the answer to the same error."""
    try:
        yield
    except BrokerAwayError as error:
        raise HubAwayError(str(error)) from None
    # An ended run, or another producer's lease, may make room a moment later.
    except producers.TooManyRunsError as error:
        raise HubAwayError(f"{error} (BARESTREAM_RUNS)") from None
    except producers.TooManyProducersError as error:
        raise HubAwayError(f"{error} (BARESTREAM_PRODUCERS)") from None
    except Refused as refused:
        raise RefusedError(str(refused)) from None


def _run(found: producers.Run) -> Run:
    status = Status(found.status)
    return Run(found.key, found.id, found.topic, status, found.started_ms)
