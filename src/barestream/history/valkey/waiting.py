"""Waits for the newest updates of the history."""

import asyncio
from collections.abc import Sequence
from typing import Any

from valkey.exceptions import ConnectionError as LostError

from barestream.history.broker import WAIT_SECONDS, BrokerAwayError, Page
from barestream.history.record import Place
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.coding import PLAIN, Coding
from barestream.history.valkey.connections import PRIMARY_CHANGED, Connections
from barestream.history.valkey.errors import broken
from barestream.history.valkey.exchange import pack
from barestream.history.valkey.pages import Pages
from barestream.history.valkey.questions import Questions
from barestream.history.valkey.reign import Reign
from barestream.history.valkey.rest import Rest
from barestream.history.valkey.valkey_parts import NoScriptError

# How many updates the answer to a wait has at most. Valkey does not bound its bytes, so there are
# fewer if the last ones were large: the answer is in memory twice. Where there are more, they are
# read in pages of bounded bytes.
MOST_EVENTS = 16
MOST_WAITED_BYTES = 256 * 1024

_BLOCK = (b"BLOCK", b"%d" % (WAIT_SECONDS * 1000), b"STREAMS", scripts.LOG)


class Waiting:
    """Waits, and reads the updates that come, for the one reader that a worker has.

    Each worker reads each update, so this has as few steps as possible, here and in Valkey.

    Args:
        connections: A connection that is used for nothing else.
        questions: Asks on it.
        rest: How long it rests between two reads.
        reign: Told the place that the reader has come to.
        coding: How the updates are read.
    """

    def __init__(
        self,
        connections: Connections,
        questions: Questions,
        rest: Rest,
        reign: Reign,
        coding: Coding = PLAIN,
    ) -> None:
        self._connections = connections
        self._questions = questions
        self._pages = Pages(questions, coding)
        self._records = coding.records
        self._rest = rest
        self._reign = reign
        self._nth_reign = reign.nth
        self._most_waited = MOST_EVENTS
        self._is_behind = False
        self._is_script_known = False

    async def wait(self, after: Place, most_events: int, most_bytes: int) -> Page:
        """Return what follows a place as soon as something does (see Broker).

        Raises:
            BrokerAwayError: See Broker. Also once if another server has become the primary since
                the last wait.
        """
        self._reign.last = after
        if self._rest.seconds:
            await asyncio.sleep(self._rest.seconds)
        page = None
        try:
            if self._reign.nth != self._nth_reign:
                raise broken(LostError(PRIMARY_CHANGED))
            if self._is_behind:
                page = await self._pages.read(after, most_events, most_bytes, None)
            if page is None or not page.records:
                page = await self._newest(after, most_events, most_bytes)
            if page is None:
                page = await self._pages.read(after, most_events, most_bytes, None)
        except BrokerAwayError:
            self._nth_reign = self._reign.nth
            raise
        self._is_behind = len(page.records) >= MOST_EVENTS
        if page.records:
            largest_bytes = max([len(record.body) for record in page.records])
            fitting = MOST_WAITED_BYTES // max(1, largest_bytes)
            self._most_waited = max(1, min(MOST_EVENTS, fitting))
        # A full page has no time to lose: more is there.
        self._rest.note(len(page.records), is_whole=len(page.records) < most_events)
        return page

    async def _newest(self, after: Place, most_events: int, most_bytes: int) -> Page | None:
        """Return what comes after a place; None if a read of the history has to tell.

        That is so if nothing came, if more came than the bounds allow, if some of what followed the
        place may have left the history, or if Valkey has forgotten the script.
        """
        stream_id = codec.stream_id(after)
        # Valkey runs the second command once it has answered the first: so it notices whatever has
        # left the history before. It is a script of its own, because a script cannot block.
        call = scripts.MISSED.call_known if self._is_script_known else scripts.MISSED.call
        # After a failure it may be another Valkey.
        self._is_script_known = False
        wait = (b"XREAD", b"COUNT", b"%d" % self._most_waited, *_BLOCK, stream_id)
        found, missed = await self._connections.ask_packed(pack(wait, call(stream_id)), 2)
        if isinstance(missed, NoScriptError):
            return None
        self._questions.checked([found, missed])
        self._is_script_known = True
        rows: Sequence[Any] = found[0][1] if found else ()
        if missed or not 0 < len(rows) < min(self._most_waited, most_events + 1):
            return None
        records = self._records(rows)
        if len(rows) > 1 and sum([len(record.body) for record in records]) >= most_bytes:
            return None
        # Of a row of gaps the last one is left, so this is the place of the last row.
        return Page(after, records, upto=records[-1].place)
