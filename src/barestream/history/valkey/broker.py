"""The log of updates in a Valkey stream, for any number of workers and machines.

Keys, with one hash tag so that a cluster keeps them together:

    {barestream}:log    the stream; an entry's id is the update's place
    {barestream}:ids    hash: a publisher's id -> "ms-seq digest" of the update that has it
    {barestream}:state  hash: the floor (ms-seq); the bytes that the stream's updates count for; the
                        newest entry that tells of lost updates (lost)

Valkey's clock gives the places. While the stream is kept they go forward also over a clock that
was set back. A log that is lost, or an older copy that is put in its place, may give places anew:
a worker whose own last place is not there sees that, and has the log tell everybody of lost
updates, after that place. A release that does not know the state's ``lost`` leaves it as it is.

The engine must not evict keys (``maxmemory-policy noeviction``, its default), and what it has
answered is only as safe as its ``appendfsync`` says.
"""

import asyncio
import hashlib
import json
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import (
    MOST_PAGE_BYTES,
    WAIT_SECONDS,
    BrokerAwayError,
    HistoryBounds,
    IdTakenError,
    Misfit,
    Page,
    Weights,
    size_bytes,
    topics_json,
)
from barestream.history.record import Known, Place
from barestream.history.update import Entry, Update, lost
from barestream.history.valkey.connections import Commands, Connections, Server, connection_options
from barestream.history.valkey.errors import answered, unanswered
from barestream.history.valkey.memory import misfits
from barestream.mercure.sse import Event, encode

logger = logging.getLogger(__name__)

# Whoever asks is answered within this, or told that the engine is away.
ANSWER_SECONDS = 5.0

# A transaction lets nobody else in while it is worked off: so many publishes take the engine 10
# to 20 ms, and one fsync for all.
BATCH_MOST_UPDATES = 256
BATCH_MOST_BYTES = 1024 * 1024

# What may wait to be sent while the engine does not answer.
PENDING_MOST_BYTES = 32 * 1024 * 1024

# Connections for reads of one worker.
MOST_CONNECTIONS = 4

# Each page of the newest updates is in memory whole, so it is asked for in small ones.
NEWEST_PAGE_EVENTS = 100

_LOG = b"{barestream}:log"
_KEYS = (b"3", _LOG, b"{barestream}:ids", b"{barestream}:state")

# Of Valkey 8 and Redis 7.0: a node of the stream grows ahead of what it holds, and an id is a key
# of 36 bytes and a value of 50 in a hash.
WEIGHTS = Weights(1.25, 32, 160)

_VERSION = b"1"
_MOST_SEQ = 2**64 - 1

# A log whose keys are not there begins anew at a floor after every place of its former life, which
# may have begun and ended in this millisecond: the floor's sequence number counts nanoseconds of
# it, and no update takes Valkey so little. The stream has the floor as its last id from then on, so
# the first update comes after it.
_BEGIN = """
local log, ids, state = unpack(KEYS)

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function begin()
  local floor = redis.call('HGET', state, 'floor')
  if floor and redis.call('EXISTS', log) == 1 then return floor end
  redis.call('DEL', log, ids, state)
  local time = redis.call('TIME')
  local ms = time[1] * 1000 + math.floor(time[2] / 1000)
  floor = string.format('%.0f-%d', ms, time[2] % 1000 * 1000)
  redis.call('XADD', log, floor, 'begin', '')
  redis.call('XDEL', log, floor)
  redis.call('HSET', state, 'floor', floor, 'bytes', 0)
  return floor
end
"""

# The size is that of size_bytes; an entry that was added by hand was never counted.
_SIZE = (
    _BEGIN
    + """
local function size(fields)
  local counted = {topics = true, data = true, id = true, type = true}
  local bytes, id = 0, nil
  for i = 1, #fields, 2 do
    if counted[fields[i]] then bytes = bytes + #fields[i + 1] end
    if fields[i] == 'id' then id = fields[i + 1] end
  end
  return bytes, id
end
"""
)

# One call removes 100 entries at most, so that none holds the engine for long. The history
# still shrinks to smaller bounds: each publish adds one entry and removes up to 100.
_TRIM = (
    _SIZE
    + """
local function trim(most_events, most_bytes, most_ms)
  local ratio, update_bytes, id_bytes = WEIGHTS
  local oldest_ms = now_ms() - most_ms
  local kept = redis.call('XLEN', log)
  local bytes = tonumber(redis.call('HGET', state, 'bytes'))
  local named = redis.call('HLEN', ids)
  local gone, gone_ids, last = 0, {}, nil
  while gone < 100 do
    local entry = redis.call('XRANGE', log, last and '(' .. last or '-', '+', 'COUNT', 1)[1]
    if not entry then break end
    local ms = tonumber(string.match(entry[1], '^%d+'))
    local held = ratio * bytes + update_bytes * kept + id_bytes * named
    local too_large = kept > 1 and held > most_bytes
    if not (kept > most_events or too_large or ms < oldest_ms) then break end
    local entry_bytes, id = size(entry[2])
    kept, bytes, gone, last = kept - 1, math.max(0, bytes - entry_bytes), gone + 1, entry[1]
    if id then gone_ids[#gone_ids + 1], named = id, named - 1 end
  end
  if last then
    redis.call('XTRIM', log, 'MAXLEN', kept)
    if #gone_ids > 0 then redis.call('HDEL', ids, unpack(gone_ids)) end
    redis.call('HSET', state, 'floor', last, 'bytes', bytes)
  end
  return gone
end
""".replace("WEIGHTS", ", ".join(map(str, WEIGHTS)))
)

_TRIM_SCRIPT = (
    _TRIM
    + """
begin()
return trim(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
"""
).encode()

# Answers the place, or nothing where the id is another update's.
_PUBLISH_SCRIPT = (
    _TRIM
    + """
local id, digest = ARGV[4], ARGV[5]
begin()
if id ~= '' then
  local known = redis.call('HGET', ids, id)
  if known then
    local place, known_digest = string.match(known, '^(%S+) (%S+)$')
    return known_digest == digest and place
  end
end
local place = redis.call('XADD', log, '*', unpack(ARGV, 6))
redis.call('HINCRBY', state, 'bytes', (size({unpack(ARGV, 6)})))
if id ~= '' then redis.call('HSET', ids, id, place .. ' ' .. digest) end
trim(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return place
"""
).encode()
_PUBLISH_SHA = hashlib.sha1(_PUBLISH_SCRIPT, usedforsecurity=False).hexdigest().encode()

# Floor and entries of one moment, and whether they end where the log does. A few at a time,
# since they may be large. In a script and not a transaction: an engine whose memory is full
# refuses transactions, and what is there can be read all the same.
_READ_SCRIPT = (
    _SIZE
    + """
local command, from, to = ARGV[1], ARGV[2], ARGV[3]
local most_events, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local floor, rows, bytes, known = begin(), {}, 0, 1
local after = string.match(from, '^%((.+)$')
if after and #redis.call('XRANGE', log, after, after) == 0 then
  -- A place before the history's begin need not have an entry: it may have been trimmed.
  local ms, seq = string.match(after, '^(%d+)-(%d+)$')
  local floor_ms, floor_seq = string.match(floor, '^(%d+)-(%d+)$')
  ms, floor_ms = tonumber(ms), tonumber(floor_ms)
  -- Sequence numbers may have more digits than a number of Lua's holds.
  local is_before = #seq < #floor_seq or (#seq == #floor_seq and seq <= floor_seq)
  known = (ms < floor_ms or (ms == floor_ms and is_before)) and 1 or 0
end
while #rows < most_events and bytes < most_bytes do
  local asked = math.min(16, most_events - #rows)
  local some = redis.call(command, log, from, to, 'COUNT', asked)
  for _, row in ipairs(some) do
    if bytes >= most_bytes then break end
    rows[#rows + 1], bytes, from = row, bytes + size(row[2]), '(' .. row[1]
  end
  if #some < asked and (#some == 0 or from == '(' .. some[#some][1]) then
    return {floor, rows, 1, known}
  end
end
return {floor, rows, 0, known}
"""
).encode()

# HSETNX of an existing field writes nothing to the disk or to a replica; yet Valkey refuses it
# whenever it refuses an update.
_PROBE_SCRIPT = (
    _BEGIN
    + """
return redis.call('HSETNX', state, 'floor', begin())
"""
).encode()

# Topics and privacy alone: the data of an update that the client may not read would take time
# from which its id could be guessed.
_FIND_SCRIPT = (
    _BEGIN
    + """
begin()
local known = redis.call('HGET', ids, ARGV[1])
local place = known and string.match(known, '^%S+')
local row = place and redis.call('XRANGE', log, place, place)[1]
if not row then return {} end
local found = {}
for i = 1, #row[2], 2 do found[row[2][i]] = row[2][i + 1] end
return {place, found.topics or '[]', found.private or '0'}
"""
).encode()

# An entry after the place tells of lost updates: everybody who follows the log or resumes before
# it. One worker's entry is enough for all whose places are before it. An old log may be at a place
# of that millisecond, or after it: then the entry is after all of them.
_MOVE_ON_SCRIPT = (
    _BEGIN
    + """
begin()
local ms = tonumber(ARGV[1])
local lost = redis.call('HGET', state, 'lost')
local lost_ms = lost and tonumber(string.match(lost, '^%d+')) or 0
if lost_ms > ms and #redis.call('XRANGE', log, lost, lost) == 1 then return lost end
lost = redis.pcall('XADD', log, string.format('%.0f-0', ms + 1), 'lost', '')
if type(lost) == 'table' then lost = redis.call('XADD', log, '*', 'lost', '') end
redis.call('HSET', state, 'lost', lost)
return lost
"""
).encode()


@dataclass(slots=True, eq=False)
class _Pending:
    """A publish that waits for the engine's answer.

    Attributes:
        arguments: What the script gets.
        sent_bytes: How large they are.
        place: Where the answer goes: a place, or None where the id is taken.
        is_sent: Whether Valkey may have got it.
    """

    arguments: tuple[bytes, ...]
    sent_bytes: int
    place: asyncio.Future[bytes | None]
    is_sent: bool = False


class ValkeyBroker:
    """A log that the workers of any number of machines share.

    Making one does not connect. Each question takes a connection from a bounded pool, and a
    dead one is replaced when the next question is asked; nothing is ever asked twice.

    Args:
        url: Where the engine is: redis://, rediss://, valkey://, valkeys:// or unix://.
        bounds: What the log keeps.
        password: Where the URL holds none.

    Raises:
        ValueError: The URL is malformed; the message holds nothing of it.
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
        self._publishing = Connections(self._server, 1, ANSWER_SECONDS)
        self._reading = Connections(self._server, MOST_CONNECTIONS, ANSWER_SECONDS)
        # The engine is late with an answer only after what it was told to wait.
        self._waiting = Connections(self._server, 1, WAIT_SECONDS + ANSWER_SECONDS / 2)
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._sender: asyncio.Task[None] | None = None

    async def publish(self, update: Update) -> str:
        """Take an update (see Broker); within ANSWER_SECONDS in any case."""
        event_id = update.event.id
        # Without an id the script has nothing to compare.
        digest = _digest(update) if event_id else b""
        arguments = (*self._bounds, (event_id or "").encode(), digest, *_fields(update))
        sent_bytes = sum(map(len, arguments))
        if self._pending_bytes + sent_bytes > PENDING_MOST_BYTES:
            raise BrokerAwayError(
                "too many updates wait to be published",
                cause="full",
                words="has too many updates waiting for it",
                nothing_taken=True,
            )
        pending = _Pending(arguments, sent_bytes, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        self._pending_bytes += sent_bytes
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                given = await pending.place
        except TimeoutError:
            raise unanswered(ANSWER_SECONDS, nothing_taken=not pending.is_sent) from None
        if given is None:
            raise IdTakenError(f"the history holds another update with the id {event_id}")
        return event_id or str(_place(given))

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        # Newest first, in pages of different moments. What is published meanwhile stands after
        # them all. What is trimmed meanwhile is the oldest, maybe some of what was read already:
        # the floor of the last page says which, and they are left out, or it would not be true.
        found: list[Entry] = []
        total_bytes = 0
        upto = b"+"
        while True:
            floor, rows, is_all, _ = await self._read(
                b"XREVRANGE", upto, b"-", NEWEST_PAGE_EVENTS, MOST_PAGE_BYTES
            )
            for entry in reversed(_entries(rows[::-1])):
                total_bytes += size_bytes(entry.update)
                if len(found) == most_events or (found and total_bytes > most_bytes):
                    return Page(entry.place, found[::-1])
                found.append(entry)
            if is_all:
                return Page(floor, [entry for entry in reversed(found) if entry.place > floor])
            upto = b"(" + rows[-1][0]

    async def read(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return the updates that follow a place (see Broker)."""
        start = b"(" + _stream_id(after)
        floor, rows, _, is_known = await self._read(b"XRANGE", start, b"+", most_events, most_bytes)
        return Page(max(after, floor), _entries(rows), is_known)

    async def wait(self, after: Place, most_events: int, most_bytes: int = MOST_PAGE_BYTES) -> Page:
        """Return what follows a place as soon as something does (see Broker)."""
        # No script may block: the first command waits, and the engine takes the second when it
        # has answered the first.
        stream_id = _stream_id(after)
        block_ms = b"%d" % (WAIT_SECONDS * 1000)
        _, (floor, rows, _, known) = self._checked(
            await self._waiting.ask(
                (b"XREAD", b"COUNT", b"1", b"BLOCK", block_ms, b"STREAMS", _LOG, stream_id),
                _read_command(b"XRANGE", b"(" + stream_id, b"+", most_events, most_bytes),
            )
        )
        return Page(max(after, _place(floor)), _entries(rows), known == 1)

    async def move_on(self, place: Place) -> None:
        """Have the log tell of lost updates (see Broker)."""
        command = (b"EVAL", _MOVE_ON_SCRIPT, *_KEYS, b"%d" % place.ms)
        self._checked(await self._reading.ask(command))

    async def find(self, event_id: str) -> Known | None:
        """Return what is known of the update with this id (see Broker)."""
        command = (b"EVAL", _FIND_SCRIPT, *_KEYS, event_id.encode(errors="replace"))
        (found,) = self._checked(await self._reading.ask(command))
        if not found:
            return None
        place, topics, private = found
        try:
            return Known(_place(place), _topics(topics), private == b"1")
        except (TypeError, ValueError, RecursionError):
            return None

    async def trim(self) -> None:
        """Let go of what is beyond the bounds by now (see Broker)."""
        gone = 1
        while gone:
            command = (b"EVAL", _TRIM_SCRIPT, *_KEYS, *self._bounds)
            (gone,) = self._checked(await self._reading.ask(command))

    async def probe(self) -> None:
        """Ask whether an update would be taken (see Broker), by the connection for publishing."""
        self._checked(await self._publishing.ask((b"EVAL", _PROBE_SCRIPT, *_KEYS)))

    async def misfits(self) -> list[Misfit]:
        """Return why Valkey does not fit the bounds (see Broker)."""
        (answer,) = await self._reading.ask((b"INFO", b"memory"))
        # A hosted Valkey may refuse INFO.
        return [] if isinstance(answer, ValkeyError) else misfits(answer, self._history_bytes)

    async def close(self) -> None:
        """Let go of every connection; what was not answered by now is not."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        self._fail_pending(BrokerAwayError("closed", cause="closed", nothing_taken=True))
        for connections in (self._publishing, self._reading, self._waiting):
            await connections.close()

    async def _read(
        self, command: bytes, start: bytes, end: bytes, most_events: int, most_bytes: int
    ) -> tuple[Place, list[Any], bool, bool]:
        """Return the floor, the entries, whether these are all, and whether the place is known."""
        ((floor, rows, is_all, known),) = self._checked(
            await self._reading.ask(_read_command(command, start, end, most_events, most_bytes))
        )
        return _place(floor), rows, is_all == 1, known == 1

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
        """Return the error for an error answer; after a refusal, leave the server's connections."""
        error = answered(answer)
        if error.is_refusal:
            self._server.leave()
        return error

    async def _send(self) -> None:
        """Send what is pending: whatever arrives while a batch is under way goes with the next."""
        while self._pending:
            batch: list[_Pending] = []
            try:
                await self._send_batch(batch)
            except BrokerAwayError as error:
                _fail(batch, error)
                if not batch:
                    # There was no connection, so nothing was sent.
                    self._fail_pending(error)
            except BaseException:
                _fail(batch, BrokerAwayError("the sender ended", cause="closed"))
                raise

    async def _send_batch(self, batch: list[_Pending]) -> None:
        """Send a part of the pending updates, and give each of its publishers the outcome.

        Args:
            batch: An empty list. It gets the updates once there is a connection to send them by.
        """

        def choose() -> Commands:
            self._take_batch(batch)
            return _publish_commands(batch)

        answers = await self._publishing.ask_by(choose)
        if not batch:
            return
        for pending, outcome in zip(batch, _outcomes(answers, len(batch)), strict=True):
            if pending.place.done():
                continue
            if isinstance(outcome, ValkeyError):
                pending.place.set_exception(self._error(outcome))
            else:
                pending.place.set_result(outcome)

    def _take_batch(self, batch: list[_Pending]) -> None:
        batch_bytes = 0
        while self._pending and len(batch) < BATCH_MOST_UPDATES:
            pending = self._pending[0]
            if batch and batch_bytes + pending.sent_bytes > BATCH_MOST_BYTES:
                break
            self._pending.popleft()
            self._pending_bytes -= pending.sent_bytes
            # A publisher that has left, or was told that the engine is away, wants it no more.
            if not pending.place.done():
                pending.is_sent = True
                batch.append(pending)
                batch_bytes += pending.sent_bytes

    def _fail_pending(self, error: BrokerAwayError) -> None:
        _fail(self._pending, error)
        self._pending.clear()
        self._pending_bytes = 0


def _publish_commands(batch: Sequence[_Pending]) -> Commands:
    if not batch:
        return ()
    # The first command brings the script, so the others find it, also in a Valkey that was just
    # restarted: all are one transaction.
    commands = [(b"EVALSHA", _PUBLISH_SHA, *_KEYS, *pending.arguments) for pending in batch]
    commands[0] = (b"EVAL", _PUBLISH_SCRIPT, *_KEYS, *batch[0].arguments)
    return ((b"MULTI",), *commands, (b"EXEC",))


def _outcomes(answers: list[Any], updates: int) -> list[Any]:
    """Return what became of each update of a transaction, out of the answers to its commands.

    Where EXEC answers for each, one that is an error was not done, and the others were. Where
    MULTI is refused, Valkey does each command by itself. Else the transaction was discarded.
    """
    begun, *queued, executed = answers
    if isinstance(executed, list):
        return executed
    if isinstance(begun, ValkeyError):
        return queued
    refused = next((answer for answer in queued if isinstance(answer, ValkeyError)), executed)
    return [refused] * updates


def _fail(publishes: Iterable[_Pending], error: BrokerAwayError) -> None:
    for pending in publishes:
        if not pending.place.done():
            pending.place.set_exception(error)


def _read_command(
    command: bytes, start: bytes, end: bytes, most_events: int, most_bytes: int
) -> tuple[bytes, ...]:
    bounds = (b"%d" % most_events, b"%d" % most_bytes)
    return (b"EVAL", _READ_SCRIPT, *_KEYS, command, start, end, *bounds)


def _fields(update: Update) -> list[bytes]:
    """Return the fields of a stream's entry, each name followed by its value."""
    event = update.event
    fields = [b"v", _VERSION, b"topics", topics_json(update.topics), b"data", event.data.encode()]
    if event.id is not None:
        fields += [b"id", event.id.encode()]
    if event.type is not None:
        fields += [b"type", event.type.encode()]
    if event.retry_ms is not None:
        fields += [b"retry", b"%d" % event.retry_ms]
    if update.private:
        fields += [b"private", b"1"]
    return fields


def _entries(rows: Sequence[Any]) -> list[Entry]:
    """Return entries in their order; of those lost in a row the last, which tells of all."""
    entries = [_entry(row) for row in rows]
    return [
        entry
        for entry, following in zip(entries, [*entries, None][1:], strict=True)
        if entry.update.topics or following is None or following.update.topics
    ]


def _entry(row: Any) -> Entry:
    """Return an entry of the stream, whatever release wrote it: unknown fields are passed over.

    One that cannot be read is a gap to everybody, and so is what restores a log of before, where
    updates are lost (deploy/restore).
    """
    place = _place(row[0])
    fields = dict(zip(row[1][::2], row[1][1::2], strict=True))
    if b"lost" in fields:
        return Entry(place, lost(place))
    try:
        return Entry(place, _update(fields))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        _complain(place, type(error).__name__)
        return Entry(place, lost(place))


def _topics(written: bytes) -> tuple[str, ...]:
    topics = json.loads(written)
    if not isinstance(topics, list) or not topics:
        raise TypeError
    # Raises where one is no text, or none that UTF-8 can carry.
    "".join(topics).encode()
    return tuple(topics)


def _update(fields: dict[bytes, bytes]) -> Update:
    topics = _topics(fields[b"topics"])
    event = Event(
        fields[b"data"].decode(),
        fields[b"id"].decode() if b"id" in fields else None,
        fields[b"type"].decode() if b"type" in fields else None,
        int(fields[b"retry"]) if b"retry" in fields else None,
    )
    # What has no form on the wire would stop every worker's tail.
    encode(event)
    return Update(topics, event, fields.get(b"private") == b"1")


# Pages are read again and again: once a process is enough.
@lru_cache(maxsize=1024)
def _complain(place: Place, why: str) -> None:
    logger.error("an entry of the log cannot be read", extra={"place": str(place), "why": why})


def _digest(update: Update) -> bytes:
    """Return what tells two updates with one id apart."""
    event = update.event
    whole = [update.topics, event.data, event.id, event.type, event.retry_ms, update.private]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32].encode()


def _place(stream_id: bytes) -> Place:
    ms, _, seq = stream_id.partition(b"-")
    return Place(int(ms), int(seq))


def _stream_id(place: Place) -> bytes:
    # A place comes from a client, and may name more than the engine can count to.
    return b"%d-%d" % (place.ms, min(place.seq, _MOST_SEQ))
