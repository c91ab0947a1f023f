"""The history in a Valkey stream, for any number of workers and machines.

Keys, with one hash tag so that a cluster keeps them together:

    {barestream}:log      the stream; an entry's id is the update's place
    {barestream}:ids      hash: a publisher's id -> "ms-seq digest": the place of the earliest
                          update with the id, and the digest of the newest one
    {barestream}:repeats  sorted set: only for ids that several updates have, a member for each of
                          these updates (see lua/repeats.lua)
    {barestream}:state    hash: the floor (ms-seq); the size of the stream's updates in bytes; the
                          newest entry that reports lost updates (lost); the newest fence of a
                          run (fence); a mark that means nothing (confirmed, see copies.py); and
                          the index, a map (lua/state.lua)

The index of topics has a lane for each topic and kind, public (+) or private (-):

    {barestream}:+TOPIC   list: the places of the topic's public updates, oldest first;
    {barestream}:-TOPIC   those of its private updates
    {barestream}:every    list: the places of the entries without topics
    {barestream}:floors   hash: each lane (+TOPIC or -TOPIC) -> its floor
    {barestream}:emptied  sorted set: the lanes without places, in the order of their floors
    {barestream}:crowded  sorted set: the lanes with too many places, by when they may lose some

What it knows of producers and runs (lua/producers.lua, lua/runs.lua):

    {barestream}:producers
                          hash: a digest of each producer and its topic -> its position and lease
    {barestream}:producers_used, {barestream}:leases_used
                          sorted sets: those without a lease, and those with one, by their last use
    {barestream}:leases   sorted set: those with a lease, by the time when it is over
    {barestream}:runs     hash: the key of each run -> the run
    {barestream}:runs_ended
                          sorted set: the keys of runs that have ended, by when they are forgotten

And the state of topics:

    {barestream}:ends     hash: each topic that has ended -> its end (lua/ends.lua)
    {barestream}:kept     hash: each topic that has a kept value -> its entry (lua/kept.lua)
    {barestream}:ends_due, {barestream}:kept_due
                          sorted sets: these topics, by the time when that is over
    {barestream}:kept_changes
                          sorted set: the topics whose kept value changed last, by that time

The floor of a lane is the newest place that has left it. The map has the floors of more: of lanes
that are not in the index, by kind (shared+, shared-); of all updates of a kind (gone+, gone-); of
private updates with several topics (gone_several); and of updates whose topics nobody knows
(blind).

Who is there (lua/registry.lua):

    {barestream}:subs, {barestream}:sub_states
                          hashes: a digest of each subscription's id -> its texts, and its state
    {barestream}:sub_names
                          hash: digests of the ids that others go by -> these
    {barestream}:sub_topics, {barestream}:sub_people
                          sorted sets: the subscriptions by selector and member, and by identity
    {barestream}:sub_members
                          hash: a digest of each selector -> how many members it has
    {barestream}:sub_due, {barestream}:sub_away
                          sorted sets: those that are away, by when they end, and since when
    {barestream}:sub_bytes
                          the bytes of all their texts together
    {barestream}:workers  hash: each worker -> its owner's name, and the number of its last change
    {barestream}:worker_leases
                          sorted set: the owners, by the time of their last change

Valkey's clock gives the places. While the stream is kept, they go forward even if the clock is set
back. A history that was lost, or replaced by an older copy, may give the same places again. A
worker notices that its own last place is not in the history, and then adds an entry after that
place that sends a gap to every stream. A release that does not know the state's ``lost`` leaves it
unchanged. Where sentinels name another primary, each worker tells it at once which places were
given before (lua/raise.lua). Releases that refused an id that was used again do not know
``repeats``. They find in ``ids`` what they expect: the earliest update, and the digest of a retry.
They remove the id with the first of its updates; the next publish puts it back from the others.

Releases that do not know the index leave it behind the stream. Each script that needs it, or
changes it, notices that by the stream's length and floor, and adds some of the entries that it
lacks. Until it has all, questions about topics are asked again (lua/catch_up.lua).

Valkey must not evict keys (``maxmemory-policy noeviction``, its default). Accepted updates are only
as durable as its ``appendfsync`` makes them.
"""

import time
from collections.abc import Sequence

from valkey.exceptions import ValkeyError

from barestream.history.broker import (
    MOST_FOUND,
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    BrokerAwayError,
    HistoryBounds,
    Page,
)
from barestream.history.extent import Extent
from barestream.history.misfit import Misfit
from barestream.history.producers import (
    Accepted,
    Batch,
    Claim,
    Position,
    ProducerBounds,
    Run,
    Swept,
)
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.subscriptions import RegistryBounds
from barestream.history.topic_state import End, Reader, Rewind, Rewound
from barestream.history.update import Update
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.broker_url import Replicated, read_url
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.connections import Connections
from barestream.history.valkey.copies import Copies
from barestream.history.valkey.credentials import Password, add_password
from barestream.history.valkey.errors import answered
from barestream.history.valkey.guide import Guide
from barestream.history.valkey.memory_limit import memory, misfits
from barestream.history.valkey.pages import Pages
from barestream.history.valkey.preface import Preface
from barestream.history.valkey.producers import Producers
from barestream.history.valkey.publishing import Publishing
from barestream.history.valkey.questions import Questions
from barestream.history.valkey.registry import ValkeyRegistry
from barestream.history.valkey.replication import replication_misfits
from barestream.history.valkey.rest import Rest
from barestream.history.valkey.revocations import ValkeyRevocations
from barestream.history.valkey.sentinels import SENTINEL_SECONDS, Sentinels
from barestream.history.valkey.server import Server
from barestream.history.valkey.topic_states import TopicStates
from barestream.history.valkey.waiting import Waiting

# A question to Valkey is answered within this time, or ends with BrokerAwayError.
ANSWER_SECONDS = 5.0

# Connections for reads of one worker.
MOST_CONNECTIONS = 4

# Connections for writes that are no publishes, such as revocations. Each waits for the disk, and
# where replicas have to confirm a write, for them.
MOST_CHANGING = 4


class ValkeyBroker:
    """A history that the workers of any number of machines share.

    The constructor does not connect. Each question uses a connection of a bounded pool, and a
    dead connection is replaced at the next question; no question is sent twice.

    Args:
        where: Valkey's URL: redis://, rediss://, valkey://, valkeys:// or unix://; or that of
            sentinels (see broker_url.py). With what replicas need, if there are some.
        bounds: The bounds of the history.
        password: That of the URL's user, if the URL does not contain it.
        of_producers: The bounds of what it knows of producers and runs.
        of_registry: The bounds of the subscriptions.
        coding: How updates are written, and read by the one who waits for them.

    Attributes:
        registry: The subscriptions.

    Raises:
        ValueError: The URL is malformed; the message does not quote it.
    """

    def __init__(  # noqa: PLR0913 (the parts that it connects)
        self,
        where: str | Replicated,
        bounds: HistoryBounds,
        password: Password = None,
        of_producers: ProducerBounds | None = None,
        of_registry: RegistryBounds | None = None,
        *,
        coding: Coding = PLAIN,
    ) -> None:
        replicated = Replicated(where) if isinstance(where, str) else where
        url = read_url(replicated.url)
        add_password(url.options, password)
        self._history_bytes = bounds.bytes
        arguments = scripts.bounds(bounds)
        producer_arguments = scripts.producer_bounds(of_producers or ProducerBounds())
        self._guide: Guide | None = None
        if url.sentinels:
            asked = [
                Connections(Server(options), 1, SENTINEL_SECONDS)
                for options in url.sentinel_options(replicated.sentinel_password)
            ]
            self._guide = Sentinels(url.service, asked, replicated.notify)
        self._server = Server(url.options, self._guide)
        self._copies = Copies(replicated.replicas)
        preface = Preface(self._server.reign, self._copies)
        self._writing = Connections(self._server, 1, ANSWER_SECONDS, preface)
        self._publishing = Publishing(
            self._writing,
            (arguments, producer_arguments),
            ANSWER_SECONDS,
            self._error,
            self._copies,
            coding,
        )
        self._probing = Questions(self._writing, arguments, self._error, self._copies)
        self._changing = Connections(self._server, MOST_CHANGING, ANSWER_SECONDS, preface)
        self._changes = Questions(self._changing, arguments, self._error, self._copies)
        self._reading = Connections(self._server, MOST_CONNECTIONS, ANSWER_SECONDS)
        # The answer to a wait comes after up to WAIT_SECONDS.
        self._following = Connections(self._server, 1, WAIT_SECONDS + ANSWER_SECONDS / 2)
        asked_there = Questions(self._following, arguments, self._error)
        rest = Rest(time.monotonic)
        self._waiting = Waiting(self._following, asked_there, rest, self._server.reign, coding)
        self._questions = Questions(self._reading, arguments, self._error)
        self._pages = Pages(self._questions)
        self._states = TopicStates(self._questions)
        # Another primary may lack changes that the copy has.
        self._server.follow(self._states.kept.forget)
        self._producers = Producers(self._questions, self._changes, producer_arguments)
        self.revocations = ValkeyRevocations(self._questions, self._changes, bounds.revocations)
        self.registry = ValkeyRegistry(
            self._questions, self._changes, of_registry or RegistryBounds()
        )

    async def publish(self, update: Update) -> str:
        """Keep an update (see Broker); this takes at most ANSWER_SECONDS."""
        place = codec.place(await self._publishing.publish(update))
        self._server.reign.note_given((place,))
        return update.event.id or str(place)

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Keep some updates or none (see Broker); this takes at most ANSWER_SECONDS."""
        given = await self._publishing.publish_all(updates) if updates else []
        places = list(map(codec.place, given))
        self._server.reign.note_given(places)
        return [
            update.event.id or str(place) for update, place in zip(updates, places, strict=True)
        ]

    async def publish_batch(self, batch: Batch) -> Accepted:
        """Keep a producer's updates or none (see Broker); this takes at most ANSWER_SECONDS."""
        accepted, place = await self._publishing.publish_batch(batch)
        self._server.reign.note_given((place,))
        return accepted

    async def position(self, topic: str, producer_id: str) -> Position | None:
        """Return how far a producer has come with a topic (see Broker)."""
        return await self._producers.position(topic, producer_id)

    async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
        """End the topics whose producers did not come back in time (see Broker)."""
        return await self._producers.end_overdue(upto_ms, steady_ms)

    async def claim(self, claim: Claim) -> tuple[Run, bool]:
        """Start a run, if its key has none that is running (see Broker)."""
        return await self._producers.claim(claim)

    async def run(self, run_key: str) -> Run | None:
        """Return the newest run of a key (see Broker)."""
        return await self._producers.run(run_key)

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        return await self._pages.newest(most_events, most_bytes)

    async def read(
        self,
        after: Place,
        most_events: int,
        most_bytes: int = MOST_PAGE_BYTES,
        reader: Reader | None = None,
    ) -> Page:
        """Return the updates that follow a place (see Broker)."""
        return await self._pages.read(after, most_events, most_bytes, reader)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        return await self._waiting.wait(after, most_events, most_bytes)

    async def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places (see Broker)."""
        return await self._pages.at(places)

    async def ends(self) -> dict[str, End]:
        """Return the topics that have ended (see Broker)."""
        return await self._states.ends()

    async def rewound(
        self, topics: Sequence[str], rewind: Rewind, most_events: int, *, all_kept: bool
    ) -> Rewound:
        """Return the newest updates of topics, and kept values (see Broker)."""
        return await self._states.rewound(topics, rewind, most_events, all_kept=all_kept)

    async def move_on(self, place: Place) -> None:
        """Add an entry that reports lost updates (see Broker)."""
        # The values that this worker has may be those of the history that was lost.
        self._states.kept.forget()
        await self._changes.run(scripts.MOVE_ON, codec.stream_id(place))

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        arguments = (event_id.encode(errors="replace"), codec.stream_id(after), b"%d" % MOST_FOUND)
        return list(map(codec.known, await self._questions.run(scripts.FIND, *arguments)))

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds (see Broker)."""
        while await self._questions.run_bounded(scripts.TRIM):
            pass

    async def probe(self) -> None:
        """Check that an update would be accepted (see Broker), by the connection for publishing.

        Where replicas confirm updates, they are asked to confirm a write, too.
        """
        await self._probing.run_confirmed(scripts.PROBE)

    async def misfits(self) -> list[Misfit]:
        """Return why Valkey does not fit the bounds (see Broker)."""
        of_memory, replication = await self._reading.ask(
            (b"INFO", b"memory"), (b"INFO", b"replication")
        )
        found = []
        # A hosted Valkey may refuse INFO.
        if not isinstance(of_memory, ValkeyError):
            found += misfits(of_memory, self._history_bytes)
        has_replicas = self._guide is not None or self._copies.replicas
        if has_replicas and not isinstance(replication, ValkeyError):
            found += replication_misfits(replication, self._copies.replicas)
        return found

    async def extent(self) -> Extent:
        """Return how much the history has (see Broker)."""
        updates, held_bytes, age_ms = await self._questions.run_bounded(scripts.EXTENT)
        [info] = await self._reading.ask((b"INFO", b"memory"))
        refuses = isinstance(info, ValkeyError)
        used_bytes, most_used_bytes = (0, 0) if refuses else memory(info)
        return Extent(updates, held_bytes, age_ms / 1000, used_bytes, most_used_bytes)

    async def close(self) -> None:
        """Close every connection; open questions end with an error."""
        await self._publishing.close()
        if self._guide is not None:
            await self._guide.close()
        for connections in (self._writing, self._changing, self._reading, self._following):
            await connections.close()

    def _error(self, answer: Exception) -> BrokerAwayError:
        """Return the error for an error answer; after a refusal, reconnect for later questions."""
        error = answered(answer)
        if error.is_refusal:
            self._server.leave()
        return error
