"""Reads pages of the history."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from barestream.history.broker import MOST_PAGE_BYTES, Page
from barestream.history.record import BEGIN, Place, Record
from barestream.history.topic_state import Reader
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.questions import Questions

# Each page is in memory as a whole, so the newest updates are read in small pages.
NEWEST_PAGE_EVENTS = 100


class _Answer(NamedTuple):
    """The answer of a script that reads entries.

    Attributes:
        floor: The reader's floor.
        rows: The entries.
        is_all: Whether the history has no others behind them.
        is_known: See Page.
        last: A place up to which there are no others, if these are all.
    """

    floor: Place
    rows: Sequence[Any]
    is_all: bool
    is_known: bool
    last: Place

    @classmethod
    def of(cls, answer: Sequence[Any]) -> Self:
        floor, rows, is_all, is_known, *last = answer
        last_place = codec.place(last[0]) if last else BEGIN
        return cls(codec.place(floor), rows, is_all == 1, is_known == 1, last_place)

    def page(self, after: Place, coding: Coding) -> Page:
        """Return the page after a place."""
        floor = max(after, self.floor)
        upto = codec.place(self.rows[-1][0]) if self.rows else floor
        if self.is_all:
            upto = max(floor, upto, self.last)
        return Page(floor, coding.records(self.rows), self.is_known, upto)


class Pages:
    """Reads pages.

    Args:
        questions: Asks Valkey.
        coding: How the updates after a place are read.
    """

    def __init__(self, questions: Questions, coding: Coding = PLAIN) -> None:
        self._questions = questions
        self._coding = coding

    async def newest(self, most_events: int, most_bytes: int) -> Page:
        """Return the newest updates (see Broker)."""
        # Pages are read from the newest to the oldest, at different moments. Updates that are
        # published meanwhile come after all of them. Updates that leave meanwhile may be some that
        # were read already. Those at or before the floor of the last page are left out, so that
        # nothing is missing after that floor.
        found: list[Record] = []
        total_bytes = 0
        before = b"+"
        while True:
            # One more than fits is read: the place of the first that does not fit is the floor.
            asked = min(NEWEST_PAGE_EVENTS, most_events - len(found) + 1)
            bounds = (b"%d" % asked, b"%d" % MOST_PAGE_BYTES)
            answer = _Answer.of(
                await self._questions.run(scripts.READ, b"XREVRANGE", before, b"-", *bounds, b"all")
            )
            floor, rows = answer.floor, answer.rows
            fitting = 0
            for row in rows:
                total_bytes += codec.size_bytes(row)
                count = len(found) + fitting
                if count == most_events or (count and total_bytes > most_bytes):
                    floor = max(floor, codec.place(row[0]))
                    break
                fitting += 1
            found += codec.records(rows[:fitting][::-1])[::-1]
            is_end = answer.is_all or fitting < len(rows) or codec.place(rows[-1][0]) <= floor
            if is_end:
                last = found[0].place if found else floor
                left = [record for record in reversed(found) if record.place > floor]
                return Page(floor, left, upto=max(floor, last))
            before = b"(" + rows[-1][0]

    async def read(
        self, after: Place, most_events: int, most_bytes: int, reader: Reader | None
    ) -> Page:
        """Return the updates that follow a place (see Broker)."""
        bounds = (b"%d" % most_events, b"%d" % most_bytes)
        stream_id = codec.stream_id(after)
        if reader is None or reader.topics is None:
            kind = b"all" if reader is None or reader.has_rights else b"public"
            answer = await self._questions.run(
                scripts.READ, b"XRANGE", b"(" + stream_id, b"+", *bounds, kind
            )
        else:
            topics = [
                b"%d%s" % (topic in reader.covered, codec.topic_bytes(topic))
                for topic in dict.fromkeys(reader.topics)
            ]
            rights = b"%d" % reader.has_rights
            answer = await self._questions.run_indexed(
                scripts.READ_TOPICS, stream_id, *bounds, rights, *topics
            )
        return _Answer.of(answer).page(after, self._coding)

    async def at(self, places: Sequence[Place]) -> list[Record]:
        """Return the updates at these places (see Broker)."""
        ids = [codec.stream_id(place) for place in sorted({*places})]
        commands = [(b"XRANGE", scripts.LOG, each, each) for each in ids]
        found = await self._questions.ask(*commands) if commands else []
        return codec.records([row for rows in found for row in rows])
