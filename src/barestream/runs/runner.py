"""The work of one run in the process that has started it."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from barestream.mercure.run_topics import MOST_ERROR_CHARACTERS
from barestream.runs.hub import (
    Batch,
    FencedError,
    Hub,
    HubAwayError,
    LostUpdatesError,
    RefusedError,
    RunUpdate,
)
from barestream.runs.outbox import Item, Outbox, as_json
from barestream.runs.run import Outcome, Run, RunFailedError, Status, well_formed

logger = logging.getLogger(__name__)

Factory = Callable[[], AsyncIterator[Item] | Awaitable[AsyncIterator[Item]]]
Snapshot = Callable[[], object]

# The type of the updates that are snapshots.
SNAPSHOT_TYPE = "snapshot"

# The hub ends a run as interrupted once its process was silent for so long. It looks once a second,
# and a follower's stream may take another second: so all are told within 10 s. A process that was
# stopped for a garbage collection, or by a busy machine, is back sooner.
LEASE_SECONDS = 6

# How long the cleanup of a cancelled generator may take; the run then ends without it.
CLEANUP_SECONDS = 10.0

# The pauses between two tries to reach the hub: doubled from the first to the last.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 2.0

# A late follower is sent the newest snapshot and the updates after it. The hub sends at most
# BARESTREAM_REWIND_EVENTS of these, 100 by default.
SNAPSHOT_UPDATES = 50

# What followers are told where only the log may have the reason.
_ERROR_WITHOUT_REASON = "The run has failed."


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is published.

    Attributes:
        batch_seconds: How long text is collected before it is sent.
        expires_seconds: For how long the run can be followed after its end.
        lease_seconds: See LEASE_SECONDS.
        snapshot: Returns what a late follower needs in place of all updates so far: a text, or a
            value of JSON; None without one.
    """

    batch_seconds: float = 0.04
    expires_seconds: float = 3600
    lease_seconds: int = LEASE_SECONDS
    snapshot: Snapshot | None = None


class Runner:
    """Drives a run's generator, and publishes what it yields.

    Args:
        hub: The hub.
        run: The run, which this process has claimed.
        fence: The number that its publishes need.
        factory: Returns the generator.
        options: How it is published.

    Attributes:
        run: The run.
    """

    def __init__(self, hub: Hub, run: Run, fence: int, factory: Factory, options: Options) -> None:
        self.run = run
        self._hub = hub
        self._fence = fence
        self._factory = factory
        self._options = options
        self._outbox = Outbox(run.first_event_id)
        self._asked: Status | None = None
        self._driving: asyncio.Task[None] | None = None
        self._next = 0
        self._snapshot_at = 0

    async def work(self) -> None:
        """Run to the end; nothing is published after the hub has fenced the run."""
        self._driving = asyncio.create_task(self._drive())
        self._driving.add_done_callback(self._note_end)
        try:
            await self._send()
        except FencedError as error:
            logger.warning(
                "the hub takes nothing more of a run", extra=self._labels(why=str(error))
            )
        except LostUpdatesError as error:
            # They are not here any more, and without them the rest would have a hole.
            logger.error(
                "the hub has lost updates of a run, so the run fails",
                extra=self._labels(why=str(error)),
            )
            await self._fail(error)
        except RefusedError as error:
            logger.error("the hub refuses what a run publishes", extra=self._labels(why=str(error)))
            await self._fail(error)
        except Exception:
            logger.exception("a run's runner failed", extra=self._labels())
        finally:
            self._driving.cancel()
            await asyncio.wait([self._driving], timeout=CLEANUP_SECONDS)

    def cancel(self, status: Status) -> None:
        """Cancel the generator; the run ends with this status once its cleanup is over.

        The first call counts. A generator that has ended already is not affected.
        """
        if self._asked is None and (self._driving is None or not self._driving.done()):
            self._asked = status
            if self._driving is not None:
                self._driving.cancel()
            asyncio.get_running_loop().call_later(
                CLEANUP_SECONDS, self._outbox.close, Outcome(status)
            )

    async def _drive(self) -> None:
        """Iterate over the generator, and note how it has ended, whatever it raises."""
        outcome = Outcome(Status.FAILED, _ERROR_WITHOUT_REASON)
        try:
            if self._asked is None:
                await self._iterate()
            outcome = Outcome(Status.DONE)
        except asyncio.CancelledError:
            outcome = Outcome(Status.INTERRUPTED)
        except RunFailedError as error:
            outcome = Outcome(Status.FAILED, _shortened(well_formed(str(error))))
        except (KeyboardInterrupt, SystemExit):
            # The process ends.
            raise
        except BaseException:
            # Its message may have what followers must not see.
            logger.exception("a run's generator failed", extra=self._labels())
        finally:
            self._outbox.close(outcome if self._asked is None else Outcome(self._asked))

    def _note_end(self, _: object) -> None:
        """Note the end of a drive that was cancelled before it began; any other has noted it."""
        self._outbox.close(Outcome(self._asked or Status.INTERRUPTED))

    async def _iterate(self) -> None:
        snapshot = self._options.snapshot
        if snapshot is not None:
            self._add_snapshot(snapshot)
        made = self._factory()
        items = await made if inspect.isawaitable(made) else made
        try:
            async for item in items:
                # One that ignores its cancellation goes on here.
                if self._asked is not None:
                    return
                await self._outbox.put(item)
                if snapshot is not None and self._next - self._snapshot_at >= SNAPSHOT_UPDATES:
                    self._add_snapshot(snapshot)
        finally:
            # An iterator that is no generator need not have it.
            if (aclose := getattr(items, "aclose", None)) is not None:
                await aclose()

    async def _send(self) -> None:
        """Publish what comes, until the run has ended; renew the lease while nothing comes."""
        loop = asyncio.get_running_loop()
        outbox, options = self._outbox, self._options
        renew_at = loop.time() + options.lease_seconds / 3
        while True:
            await outbox.stirred(renew_at - loop.time())
            while (added_at := outbox.added_at) is not None and not outbox.is_due:
                if (seconds := added_at + options.batch_seconds - loop.time()) <= 0:
                    break
                await outbox.stirred(seconds)
            updates = outbox.take()
            end = outbox.outcome if outbox.is_empty else None
            if updates or end is not None or loop.time() >= renew_at:
                await self._publish(updates, end)
                renew_at = loop.time() + options.lease_seconds / 3
            if end is not None:
                return

    def _add_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot_at = self._next
        value = snapshot()
        data = value if isinstance(value, str) else as_json(value)
        keep_seconds = self._options.expires_seconds
        self._outbox.add(RunUpdate(data, SNAPSHOT_TYPE, keep_seconds=keep_seconds))

    async def _publish(self, updates: list[RunUpdate], end: Outcome | None) -> None:
        """Publish one batch, again and again until the hub has answered."""
        expires_seconds = self._options.expires_seconds
        batch = Batch(self.run, self._fence, self._next, updates, end, expires_seconds)
        pause_seconds, failures = FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                await self._hub.publish(batch)
                break
            except HubAwayError as error:
                failures += 1
                if failures == 1:
                    logger.warning("a run waits for the hub", extra=self._labels(why=str(error)))
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)
        if failures:
            logger.info("a run has reached the hub again", extra=self._labels(failures=failures))
        self._next += len(updates) + (end is not None)

    async def _fail(self, error: RefusedError) -> None:
        """End the run as failed, after an update that the hub has refused."""
        if error.next is None:
            # It would refuse the end too; the lease ends the run.
            return
        self._next = error.next
        try:
            await self._publish([], Outcome(Status.FAILED, _ERROR_WITHOUT_REASON))
        except (FencedError, RefusedError) as again:
            logger.error("the hub refuses the end of a run", extra=self._labels(why=str(again)))

    def _labels(self, **fields: object) -> dict[str, object]:
        return {"run": self.run.key, "run_id": self.run.id, **fields}


def _shortened(error: str) -> str:
    most = MOST_ERROR_CHARACTERS
    return error if len(error) <= most else f"{error[: most - 1]}…"
