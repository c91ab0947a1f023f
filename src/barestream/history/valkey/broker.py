"""The history in a Valkey stream, for any number of workers and machines.

Keys, with one hash tag so that a cluster keeps them together:

    {barestream}:log      the stream; an entry's id is the update's place
    {barestream}:ids      hash: a publisher's id -> "ms-seq digest": the place of the earliest
                          update with the id, and the digest of the newest one
    {barestream}:repeats  sorted set: only for ids that several updates have, a member for each of
                          these updates (see lua/repeats.lua)
    {barestream}:state    hash: the floor (ms-seq); the size of the stream's updates in bytes; the
                          newest entry that reports lost updates (lost)

Valkey's clock gives the places. While the stream is kept, they go forward even if the clock is set
back. A history that was lost, or replaced by an older copy, may give the same places again. A
worker notices that its own last place is not in the history, and then adds an entry after that
place that sends a gap to every stream. A release that does not know the state's ``lost`` leaves it
unchanged. Releases that refused an id that was used again do not know ``repeats``. They find in
``ids`` what they expect: the earliest update, and the digest of a retry. They remove the id with
the first of its updates; the next publish under it puts it back from the other members.

Valkey must not evict keys (``maxmemory-policy noeviction``, its default). Accepted updates are only
as durable as its ``appendfsync`` makes them.
"""

from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import (
    MOST_FOUND,
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    BrokerAwayError,
    HistoryBounds,
    Misfit,
    Page,
)
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.update import Update
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.connections import Connections, Server, connection_options
from barestream.history.valkey.errors import answered
from barestream.history.valkey.memory_limit import misfits
from barestream.history.valkey.publishing import Publishing

# A question to Valkey is answered within this time, or ends with BrokerAwayError.
ANSWER_SECONDS = 5.0

# Connections for reads of one worker.
MOST_CONNECTIONS = 4

# Each page is in memory as a whole, so the newest updates are read in small pages.
NEWEST_PAGE_EVENTS = 100


class ValkeyBroker:
    """A history that the workers of any number of machines share.

    The constructor does not connect. Each question uses a connection of a bounded pool, and a
    dead connection is replaced at the next question; no question is sent twice.

    Args:
        url: Valkey's URL: redis://, rediss://, valkey://, valkeys:// or unix://.
        bounds: The bounds of the history.
        password: Valkey's password, if the URL does not contain it.

    Raises:
        ValueError: The URL is malformed; the message does not quote it.
    """

    def __init__(self, url: str, bounds: HistoryBounds, password: str | None = None) -> None:
        options = connection_options(url)
        if password is not None:
            options.setdefault("password", password)
        self._history_bytes = bounds.bytes
        self._bounds = (
            b"%d" % bounds.events,
            b"%d" % bounds.bytes,
            b"%d" % (bounds.seconds * 1000),
        )
        self._server = Server(options)
        self._writing = Connections(self._server, 1, ANSWER_SECONDS)
        self._publishing = Publishing(self._writing, ANSWER_SECONDS, self._error)
        self._reading = Connections(self._server, MOST_CONNECTIONS, ANSWER_SECONDS)
        # The answer to a wait comes after up to WAIT_SECONDS.
        self._waiting = Connections(self._server, 1, WAIT_SECONDS + ANSWER_SECONDS / 2)

    async def publish(self, update: Update) -> str:
        """Keep an update (see Broker); this takes at most ANSWER_SECONDS."""
        own_id = update.event.id
        # Without an id the script has nothing to compare.
        identity = (own_id.encode(), update.digest) if own_id else (b"", b"")
        given = await self._publishing.publish([*self._bounds, *identity, *codec.fields(update)])
        return own_id or str(codec.place(given))

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        # Pages are read from the newest to the oldest, at different moments. Updates that are
        # published meanwhile come after all of them. Updates that are trimmed meanwhile are the
        # oldest, perhaps some that were read already. Those at or before the floor of the last
        # page are left out, so that nothing is missing after that floor.
        found: list[Record] = []
        total_bytes = 0
        upto = b"+"
        while True:
            # One more than fits is read: the place of the first that does not fit is the floor.
            asked = min(NEWEST_PAGE_EVENTS, most_events - len(found) + 1)
            floor, rows, is_all, _ = await self._read(
                b"XREVRANGE", upto, b"-", asked, MOST_PAGE_BYTES
            )
            fitting = 0
            for row in rows:
                total_bytes += codec.size_bytes(row)
                count = len(found) + fitting
                if count == most_events or (count and total_bytes > most_bytes):
                    break
                fitting += 1
            found += codec.records(rows[:fitting][::-1])[::-1]
            if fitting < len(rows):
                return Page(codec.place(rows[fitting][0]), found[::-1])
            if is_all:
                return Page(floor, [record for record in reversed(found) if record.place > floor])
            upto = b"(" + rows[-1][0]

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place (see Broker)."""
        start = b"(" + codec.stream_id(after)
        floor, rows, _, is_known = await self._read(b"XRANGE", start, b"+", most_events, most_bytes)
        return Page(max(after, floor), codec.records(rows), is_known)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        # A script cannot block. So the first command waits, and Valkey runs the second once it has
        # answered the first.
        stream_id = codec.stream_id(after)
        block_ms = b"%d" % (WAIT_SECONDS * 1000)
        _, (floor, rows, _, known) = self._checked(
            await self._waiting.ask(
                (b"XREAD", b"COUNT", b"1", b"BLOCK", block_ms, b"STREAMS", scripts.LOG, stream_id),
                _read_command(b"XRANGE", b"(" + stream_id, b"+", most_events, most_bytes),
            )
        )
        return Page(max(after, codec.place(floor)), codec.records(rows), known == 1)

    async def move_on(self, place: Place) -> None:
        """Add an entry that reports lost updates (see Broker)."""
        self._checked(await self._reading.ask(scripts.call(scripts.MOVE_ON, b"%d" % place.ms)))

    async def find(self, event_id: str, after: Place = BEGIN) -> list[Known]:
        """Return what is known of the updates with this id (see Broker)."""
        arguments = (event_id.encode(errors="replace"), codec.stream_id(after), b"%d" % MOST_FOUND)
        (rows,) = self._checked(await self._reading.ask(scripts.call(scripts.FIND, *arguments)))
        return list(map(codec.known, rows))

    async def trim(self) -> None:
        """Remove the updates that are beyond the bounds (see Broker)."""
        gone = 1
        while gone:
            command = scripts.call(scripts.TRIM, *self._bounds)
            (gone,) = self._checked(await self._reading.ask(command))

    async def probe(self) -> None:
        """Check that an update would be accepted (see Broker), by the connection for publishing."""
        self._checked(await self._writing.ask(scripts.call(scripts.PROBE)))

    async def misfits(self) -> list[Misfit]:
        """Return why Valkey does not fit the bounds (see Broker)."""
        (answer,) = await self._reading.ask((b"INFO", b"memory"))
        # A hosted Valkey may refuse INFO.
        return [] if isinstance(answer, ValkeyError) else misfits(answer, self._history_bytes)

    async def close(self) -> None:
        """Close every connection; open questions end with an error."""
        await self._publishing.close()
        for connections in (self._writing, self._reading, self._waiting):
            await connections.close()

    async def _read(
        self, command: bytes, start: bytes, end: bytes, most_events: int, most_bytes: int
    ) -> tuple[Place, list[Any], bool, bool]:
        """Return the floor, the entries, whether these are all, and whether the place is known."""
        ((floor, rows, is_all, known),) = self._checked(
            await self._reading.ask(_read_command(command, start, end, most_events, most_bytes))
        )
        return codec.place(floor), rows, is_all == 1, known == 1

    def _checked(self, answers: list[Any]) -> list[Any]:
        """Return the answers.

        Raises:
            BrokerAwayError: One of them is an error.
        """
        for answer in answers:
            if isinstance(answer, ValkeyError):
                raise self._error(answer)
        return answers

    def _error(self, answer: Exception) -> BrokerAwayError:
        """Return the error for an error answer; after a refusal, reconnect for later questions."""
        error = answered(answer)
        if error.is_refusal:
            self._server.leave()
        return error


def _read_command(
    command: bytes, start: bytes, end: bytes, most_events: int, most_bytes: int
) -> tuple[bytes, ...]:
    bounds = (b"%d" % most_events, b"%d" % most_bytes)
    return scripts.call(scripts.READ, command, start, end, *bounds)
