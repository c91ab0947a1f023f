"""Tells the registry of subscriptions which streams of this worker began and ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from barestream.delivery.attendee import Attendee
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.history.subscriptions import Away, Registry, Subscription
from barestream.mercure.version import Version
from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

# For how long changes are gathered: in a storm of joins each batch has a hundred of them, and
# nobody notices the delay.
GATHER_SECONDS = 0.05

# After this many subscriptions a batch gets no further stream: their texts take 0.5 MB, and Valkey
# some 0.15 s, in steps between which it answers others.
MOST_BATCH = 300

# A third of LEASE_SECONDS: two renewals may fail.
RENEW_SECONDS = 5.0

# After a failure. Changes wait meanwhile, and the graces of those who have left begin later.
RETRY_SECONDS = 1.0

# How long a worker that stops waits for the history to take its last changes. If it does not, the
# subscriptions go away when the worker's lease is over.
SETTLE_SECONDS = 2.0

# How soon it is logged again that subscriptions were not registered.
REMIND_SECONDS = 60.0


class AttendanceRules(NamedTuple):
    """What the settings say.

    Attributes:
        worker: Names this start of the worker, among those of all machines.
        grace_ms: How long after its end a subscription is announced as ended.
        versions: The versions of the protocol that the hub speaks.
    """

    worker: str
    grace_ms: int
    versions: Collection[Version]


class Attendance:
    """The open streams of this worker, as the registry is told of them.

    Changes are gathered, and go one batch after another. While the history is away they wait; there
    are never more than the worker has had streams open since, and a stream that came and went
    meanwhile is not told at all.

    Args:
        registry: The registry.
        rules: What the settings say.
        metrics: Where failures are counted.
        slices: The slices of long work.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        registry: Registry,
        rules: AttendanceRules,
        metrics: Metrics,
        slices: Slices,
        now: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._rules = rules
        self._metrics = metrics
        self._slices = slices
        self._now = now
        # Each by its subscriber. Those that wait to be told, and those that the registry knows.
        self._began: dict[str, Attendee] = {}
        self._ended: dict[str, Attendee] = {}
        self._known: dict[str, Attendee] = {}
        # Those of _began that the registry may know, because a call with them failed.
        self._doubtful: set[str] = set()
        self._told_at = now()
        self._cause: str | None = None
        self._reminded_at = -REMIND_SECONDS

    @property
    def is_settled(self) -> bool:
        """Whether the registry was told of all changes."""
        return not (self._began or self._ended)

    def begin(self, attendee: Attendee) -> None:
        """Note that a stream began."""
        if attendee.is_too_long:
            why = "the token's sub or payload is too long"
            self._note_unregistered(len(attendee.selectors), why)
            return
        self._began[attendee.subscriber] = attendee

    def end(self, attendee: Attendee) -> None:
        """Note that a stream ended; one that was not begun is ignored."""
        subscriber = attendee.subscriber
        if self._known.pop(subscriber, None) is not None:
            self._ended[subscriber] = attendee
        elif self._began.pop(subscriber, None) is not None and subscriber in self._doubtful:
            self._doubtful.discard(subscriber)
            self._ended[subscriber] = attendee

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tell the registry of changes, and renew the worker's lease, until cancelled."""
        while True:
            await sleep(GATHER_SECONDS)
            try:
                await self._tell_all()
                await self._renew()
            except BrokerAwayError as error:
                self._note_failure(error)
                await sleep(RETRY_SECONDS)

    async def settle(self) -> None:
        """Tell the registry of the last changes, for a short time; ``run`` was cancelled."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._tell_all()
        except (BrokerAwayError, TimeoutError) as error:
            logger.warning(
                "the registry was not told that the last streams ended: they go away when the "
                "worker's lease is over",
                extra={"streams": len(self._ended), "why": str(error)},
            )

    async def _tell_all(self) -> None:
        while not self.is_settled:
            await self._tell()

    async def _tell(self) -> None:
        """Tell a batch; where that fails, its changes wait again."""
        began, ended = _batch(self._began), _batch(self._ended)
        known = dict(self._known)
        # A stream that ends while its beginning is told is known by then.
        self._known |= began
        is_told = False
        try:
            away = [
                Away(each, self._rules.grace_ms) for gone in ended.values() for each in gone.ids
            ]
            changed = await self._registry.change(
                self._rules.worker, await self._subscriptions(began), away
            )
            is_told = True
        finally:
            if not is_told:
                # It may have been done: who ends before the repeat must be told as ended.
                again = {each: self._known.pop(each) for each in began if each in self._known}
                self._doubtful |= again.keys()
                self._began = {**again, **self._began}
                self._ended = {**ended, **self._ended}
        self._doubtful -= began.keys()
        self._note_success()
        if changed.refused:
            self._note_unregistered(changed.refused, "the registry is full")
        if not changed.was_known:
            self._announce_again(known)

    async def _subscriptions(self, began: dict[str, Attendee]) -> list[Subscription]:
        found: list[Subscription] = []
        for attendee in began.values():
            for subscription in attendee.subscriptions(self._rules.versions):
                found.append(subscription)
                # A token may have patterns that are tried for each selector.
                await self._slices.step()
        return found

    async def _renew(self) -> None:
        if self._known and self._now() - self._told_at >= RENEW_SECONDS:
            known = dict(self._known)
            if not await self._registry.renew(self._rules.worker):
                self._announce_again(known)
            self._note_success()

    def _announce_again(self, known: dict[str, Attendee]) -> None:
        """Begin anew what the registry may have lost: all that it knew before its answer."""
        again = {each: self._known.pop(each) for each in known if each in self._known}
        if again:
            self._doubtful |= again.keys()
            self._began = {**again, **self._began}
            logger.warning(
                "this worker's subscriptions are announced again: its lease was not known",
                extra={"streams": len(again)},
            )

    def _note_success(self) -> None:
        self._told_at = self._now()
        if self._cause is not None:
            self._cause = None
            logger.info("the registry of subscriptions takes changes again")

    def _note_failure(self, error: BrokerAwayError) -> None:
        self._metrics.untold.labels(error.cause).inc()
        if error.cause != self._cause:
            self._cause = error.cause
            logger.warning(
                "the registry of subscriptions takes no changes: they wait",
                extra={"cause": error.cause, "why": str(error)},
            )

    def _note_unregistered(self, subscriptions: int, why: str) -> None:
        self._metrics.unregistered.inc(subscriptions)
        if self._now() - self._reminded_at >= REMIND_SECONDS:
            self._reminded_at = self._now()
            logger.warning(
                "subscriptions were not registered: presence does not show them",
                extra={"subscriptions": subscriptions, "why": why},
            )


def _batch(waiting: dict[str, Attendee]) -> dict[str, Attendee]:
    """Take streams of about MOST_BATCH subscriptions together, those that waited longest first."""
    taken: dict[str, Attendee] = {}
    count = 0
    for subscriber, attendee in waiting.items():
        if count >= MOST_BATCH:
            break
        taken[subscriber] = attendee
        count += len(attendee.selectors)
    for subscriber in taken:
        del waiting[subscriber]
    return taken
