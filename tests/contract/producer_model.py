"""The rules for producers, leases and runs, as plain lists and dictionaries."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from barestream.history.broker import TopicEndedError
from barestream.history.producers import (
    Batch,
    Claim,
    Lease,
    NewEpochError,
    Position,
    ProducerBounds,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
    TooManyRunsError,
    UnknownRunError,
    interruption,
)
from barestream.history.update import Update


@dataclass
class Known:
    """A producer and its topic.

    Attributes:
        epoch: Its epoch.
        next: The number of the update that is expected.
        last: The newest update that was accepted from it: its number in the log.
        lease: Its lease.
        used_ms: When it was used last.
        run_key: The key of the run whose producer it is.
        ended: Whether it has ended the topic in this epoch, and added nothing since.
    """

    epoch: int
    next: int = 0
    last: int | None = None
    lease: Lease | None = None
    used_ms: int = 0
    run_key: str | None = None
    ended: bool = False


@dataclass
class StartedRun:
    """A run.

    Attributes:
        claim: What started it.
        fence: Its fence.
        status: How it is.
        until_ms: Until when it is known.
    """

    claim: Claim
    fence: int
    status: str = "running"
    until_ms: int | None = None


@dataclass
class Model:
    """A history.

    Attributes:
        bounds: The bounds of producers and runs.
        now_ms: The time.
        log: The updates, in their order.
        gone: The updates, by their numbers in the log, whose topic was forgotten.
        ends: Until when topics are ended.
        producers: The producers by topic and id, the one that was used last at the end.
        runs: The runs by their keys.
    """

    bounds: ProducerBounds
    now_ms: int
    log: list[Update] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    ends: dict[str, int] = field(default_factory=dict)
    producers: dict[tuple[str, str], Known] = field(default_factory=dict)
    runs: dict[str, StartedRun] = field(default_factory=dict)

    def run(self, key: str) -> StartedRun | None:
        run = self.runs.get(key)
        is_over = run is not None and run.until_ms is not None and run.until_ms <= self.now_ms
        return None if is_over else run

    def check(self, updates: Sequence[Update]) -> None:
        """Check that all of some updates may be published."""
        self.forget_topics()
        ended = {*self.ends}
        for at, update in enumerate(updates):
            [topic] = update.topics
            if topic in ended:
                raise TopicEndedError(topic, at)
            if update.end_seconds is not None:
                ended.add(topic)

    def publish(self, updates: Sequence[Update]) -> None:
        """Publish all or none."""
        self.check(updates)
        for update in updates:
            self.log.append(update)
            if update.end_seconds is not None:
                self.ends[update.topics[0]] = self.now_ms + round(1000 * update.end_seconds)

    def publish_batch(self, batch: Batch) -> int:
        """Publish a batch; return how many of its updates were new."""
        name, epoch = (batch.topic, batch.producer.id), batch.producer.epoch
        known = self.producers.get(name)
        run = self._run_of(name)
        if batch.is_run or (known and known.run_key):
            if known is None or run is None or epoch > run.fence:
                raise UnknownRunError
            is_renewal = not batch.updates and batch.first == known.next
            if is_renewal and run.status != "running":
                raise UnknownRunError
        if known and epoch < known.epoch:
            raise StaleEpochError(known.epoch)
        if known and epoch > known.epoch and batch.first > 0:
            raise NewEpochError
        expected = known.next if known and known.epoch == epoch else 0
        if batch.first > expected:
            raise SequenceGapError(expected, batch.first)
        self._check_room(name)
        new = batch.updates[expected - batch.first :]
        try:
            self.check(new)
        except TopicEndedError as error:
            error.at += len(batch.updates) - len(new)
            raise
        if new and run and run.status != "running":
            raise UnknownRunError
        is_over = batch.topic in self.ends
        self.publish(new)
        after = known or Known(epoch)
        had_ended = after.ended and after.epoch == epoch
        after.ended = had_ended and not new
        after.epoch, after.next = epoch, max(expected, batch.first + len(batch.updates))
        if new:
            after.last = len(self.log) - 1
        is_kept = run is not None and batch.lease is None
        after.lease = after.lease if is_kept else batch.lease
        if any(update.end_seconds is not None for update in new):
            self._end_run(name, batch.status or "done")
            after.ended = True
        is_behind_end = not new and (had_ended or is_over)
        loses_lease = run.status != "running" if run else after.ended or is_behind_end
        if loses_lease:
            after.lease = None
        self._use(name, after)
        return len(new)

    def claim(self, claim: Claim, fence: int) -> bool:
        """Start a run with the fence that the broker gave it; return False if one is running."""
        name = (claim.topic, claim.id)
        before = self.run(claim.key)
        if before and (before.status == "running" or before.claim.id == claim.id):
            return False
        if claim.key not in self.runs and len(self.runs) == self.bounds.runs:
            ended = [(run.until_ms, key) for key, run in self.runs.items() if run.until_ms]
            if not ended:
                raise TooManyRunsError
            self._check_room(name)
            del self.runs[min(ended)[1]]
        self._check_room(name)
        self.runs[claim.key] = StartedRun(claim, fence)
        self._use(name, Known(fence, lease=claim.lease, run_key=claim.key))
        return True

    def sweep(self, steady_ms: int) -> set[str]:
        """End what is overdue; return the topics."""
        self.forget_topics()
        topics = set()
        for name, known in [*self.producers.items()]:
            lease = known.lease
            if lease is None or 1000 * lease.seconds > min(steady_ms, self.now_ms - known.used_ms):
                continue
            if name[0] not in self.ends:
                self.publish([interruption(name[0], lease)])
                topics.add(name[0])
            self._end_run(name, "interrupted")
            known.lease = None
            self._use(name, known)
        for name, known in [*self.producers.items()]:
            if (
                known.lease is None
                and known.used_ms < self.now_ms - 1000 * self.bounds.position_seconds
            ):
                del self.producers[name]
        for key in [*self.runs]:
            if self.run(key) is None:
                del self.runs[key]
        return topics

    def position(self, topic: str, producer_id: str, ids: list[str]) -> Position | None:
        """Return a position, with the ids that the updates of the log have."""
        known = self.producers.get((topic, producer_id))
        if known is None:
            return None
        return Position(known.epoch, known.next, None if known.last is None else ids[known.last])

    def _run_of(self, name: tuple[str, str]) -> StartedRun | None:
        known = self.producers.get(name)
        run = self.run(known.run_key) if known and known.run_key else None
        return run if run and run.claim.id == name[1] else None

    def _end_run(self, name: tuple[str, str], status: str) -> None:
        run = self._run_of(name)
        if run and run.status == "running":
            run.status = status
            run.until_ms = self.now_ms + round(1000 * run.claim.expires_seconds)

    def _check_room(self, name: tuple[str, str]) -> None:
        is_full = len(self.producers) == self.bounds.positions
        is_held = is_full and all(known.lease for known in self.producers.values())
        if is_held and name not in self.producers:
            raise TooManyProducersError

    def _use(self, name: tuple[str, str], known: Known) -> None:
        is_new = self.producers.pop(name, None) is None
        if is_new and len(self.producers) == self.bounds.positions:
            first = next(each for each, known in self.producers.items() if known.lease is None)
            del self.producers[first]
        known.used_ms = self.now_ms
        self.producers[name] = known

    def forget_topics(self) -> None:
        """Forget the topics whose end is over."""
        for topic, until_ms in [*self.ends.items()]:
            if until_ms <= self.now_ms:
                del self.ends[topic]
                self.gone.update(at for at, each in enumerate(self.log) if each.topics[0] == topic)
