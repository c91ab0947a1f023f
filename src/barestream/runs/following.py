"""The events of a run, from one of them to the end, whatever happens to the hub meanwhile."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from barestream.mercure.reserved import EARLIEST, END_TYPE, GAP_TYPE, READY_TYPE
from barestream.runs.hub import Hub, HubAwayError, RefusedError
from barestream.runs.outbox import as_json
from barestream.runs.run import Outcome, Run, Status, well_formed
from barestream.runs.runner import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, SNAPSHOT_TYPE
from barestream_client.event_reader import HEARTBEAT, Received

logger = logging.getLogger(__name__)

# What the id of an event has in a rewind that is not over.
_IN_REWIND = "~"


class LostError(Exception):
    """A follower cannot be brought to the end of its run."""


class Follower(NamedTuple):
    """Who follows a run.

    Attributes:
        cursor: The id of the last event that it has seen; None for none.
        from_snapshot: Whether it begins with the newest snapshot if it has seen none.
        takes_snapshots: Whether a later snapshot may take the place of all before it.
        client: Its address; None if that is not known.
    """

    cursor: str | None
    from_snapshot: bool
    takes_snapshots: bool
    client: str | None


class Following:
    """One follower's events of a run.

    Args:
        hub: The hub.
        run: The run.
        follower: The follower.

    Attributes:
        has_seen_all: Whether the follower's own cursor is that of the run's end.
    """

    def __init__(self, hub: Hub, run: Run, follower: Follower) -> None:
        self.has_seen_all = False
        self._hub = hub
        self._run = run
        self._follower = follower
        self._cursor = follower.cursor
        self._is_whole = self._cursor is not None
        self._from_kept = follower.from_snapshot and self._cursor is None

    async def events(self) -> AsyncGenerator[Received]:
        """Yield the events, and heartbeats; the last one is the run's end.

        A gap stands for updates that the hub does not have any more, also where these are the first
        of the run.

        Raises:
            LostError: The hub refuses the follower, or its snapshot has come in part alone.
        """
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            self._begin_rewind_again()
            try:
                async with aclosing(self._stream()) as stream:
                    async for event in stream:
                        if event.data is not None:
                            pause_seconds = FIRST_PAUSE_SECONDS
                        yield event
                        if event.type == END_TYPE:
                            return
                if not self._is_known_whole:
                    self._from_kept = False
                    continue
            except HubAwayError as error:
                logger.info("a follower waits for the hub", extra={"why": str(error)})
            except RefusedError as error:
                raise LostError(str(error)) from None
            # It shows the follower's client that the connection lives.
            yield HEARTBEAT
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)

    @property
    def _is_known_whole(self) -> bool:
        return self._is_whole or not self._from_kept

    def _begin_rewind_again(self) -> None:
        """Begin with the newest snapshot again if the last one has come in part alone."""
        if self._cursor is not None and _IN_REWIND in self._cursor:
            if not self._follower.takes_snapshots:
                raise LostError("the stream was cut while the snapshot came")
            self._cursor, self._is_whole, self._from_kept = None, False, True

    async def _stream(self) -> AsyncGenerator[Received]:
        """Yield the events of one of the hub's streams."""
        cursor = None if self._from_kept else self._cursor or EARLIEST
        is_own = cursor is not None and cursor == self._follower.cursor
        opening = self._hub.follow(
            self._run.topic, cursor, from_kept=self._from_kept, client=self._follower.client
        )
        async with opening as events:
            if events is None:
                self.has_seen_all = is_own
                yield await self._missed_end()
                return
            async for event in events:
                if event.data is None:
                    yield event
                    continue
                if event.type == READY_TYPE and not self._is_whole:
                    # The run has no snapshot.
                    return
                self._cursor = event.id or self._cursor
                if not self._is_whole and self._lacks_beginning(event):
                    yield _gap(event)
                self._is_whole = True
                yield event
                if event.type == GAP_TYPE and (end := await self._end_if_lost()):
                    yield end
                    return
        if end := await self._end_if_lost():
            yield end

    def _lacks_beginning(self, first: Received) -> bool:
        """Return whether a stream begins later than the run did."""
        if first.type in {GAP_TYPE, END_TYPE}:
            return False
        if self._from_kept and first.type == SNAPSHOT_TYPE:
            return False
        return first.id != self._run.first_event_id

    async def _end_if_lost(self) -> Received | None:
        """Return the run's end if the hub does not know the run any more."""
        found = await self._hub.run(self._run.key)
        if found is not None and found.id == self._run.id:
            return None
        return self._end(Status.INTERRUPTED)

    async def _missed_end(self) -> Received:
        """Return the end of a run whose last event has left the history, or was seen before."""
        found = await self._hub.run(self._run.key)
        if found is None or found.id != self._run.id or found.is_active:
            return self._end(Status.INTERRUPTED)
        return self._end(found.status)

    def _end(self, status: Status) -> Received:
        return Received(as_json({"status": status}), END_TYPE, self._run.end_event_id)


def outcome_of(event: Received) -> Outcome:
    """Return how a run has ended, by its last event."""
    found = json.loads(event.data or "{}")
    error = found.get("error")
    return Outcome(Status(found["status"]), None if error is None else well_formed(error))


def _gap(before: Received) -> Received:
    return Received(as_json({"from": None, "to": before.id, "missed": None}), GAP_TYPE)
