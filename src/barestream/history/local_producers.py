"""What the memory of one process has of producers and runs. Pure."""

from typing import NamedTuple

from barestream.history.positions import Positions, ProducerState
from barestream.history.producers import (
    Batch,
    Claim,
    Position,
    ProducerBounds,
    Run,
    SequenceGapError,
    Status,
    UnknownRunError,
)
from barestream.history.runs import Runs


class Added(NamedTuple):
    """What a batch adds to the history.

    Attributes:
        updates: How many updates, without those that are repeats by their number or their id.
        last_id: The id of the newest update of the batch that is no repeat by its number; None if
            there is none.
        ends: Whether one of the added updates ends the topic.
        is_over: Whether the topic has ended before.
    """

    updates: int
    last_id: str | None
    ends: bool
    is_over: bool


class LocalProducers:
    """The producers and the runs of a history.

    Args:
        bounds: The bounds of what it knows of them.
    """

    def __init__(self, bounds: ProducerBounds) -> None:
        self.positions = Positions(bounds.positions, bounds.position_seconds)
        self._runs = Runs(bounds.runs)

    def run(self, key: str, now_ms: float) -> Run | None:
        """Return the newest run of a key; None if there is none, or its time is over."""
        return self._runs.get(key, now_ms)

    def repeats(self, batch: Batch, now_ms: float) -> int:
        """Return how many updates of a batch were published before.

        Raises:
            UnknownRunError: See Broker.
            StaleEpochError: See Broker.
            NewEpochError: See Broker.
            SequenceGapError: See Broker.
            TooManyProducersError: See Broker.
        """
        state = self.positions.get(batch.topic, batch.producer.id)
        is_of_run = state is not None and state.run_key is not None
        if batch.is_run or is_of_run:
            run = self._run_of(state, now_ms)
            # A run's producer has no other epoch.
            if state is None or run is None or batch.producer.epoch > run.fence:
                raise UnknownRunError
            # It asks whether the run is still its own.
            is_renewal = not batch.updates and batch.first == state.position.next
            if is_renewal and run.status != "running":
                raise UnknownRunError
        if state is None:
            if batch.first > 0:
                raise SequenceGapError(0, batch.first)
            self.positions.check_room(batch.topic, batch.producer.id)
            return 0
        return state.repeats(batch)

    def check_running(self, batch: Batch, now_ms: float) -> None:
        """Check that a run may publish what is new in its batch.

        Raises:
            UnknownRunError: It has ended, and its topic was forgotten since.
        """
        state = self.positions.get(batch.topic, batch.producer.id)
        run = self._run_of(state, now_ms)
        if run is not None and run.status != "running":
            raise UnknownRunError

    def accept(self, batch: Batch, added: Added, now_ms: float) -> Position:
        """Go on behind a batch that was accepted, and return its producer's position.

        Args:
            batch: The batch.
            added: What it adds.
            now_ms: The time, in milliseconds since 1970-01-01 UTC.
        """
        state = self.positions.get(batch.topic, batch.producer.id)
        if state is None:
            begin = Position(batch.producer.epoch, 0, None)
            state = ProducerState(batch.topic, batch.producer.id, begin)
        state.move(batch, added.last_id)
        had_ended, state.ended = state.ended, added.ends or (state.ended and not added.updates)
        if added.ends:
            self._end_run(state, batch.status or "done", now_ms)
        run = self._run_of(state, now_ms)
        lease = batch.lease
        if state.run_key is not None:
            is_running = run is not None and run.status == "running"
            lease = (lease or state.lease) if is_running else None
        elif not added.updates and (had_ended or added.is_over):
            # It would end the topic a second time, once this was forgotten and is used anew.
            lease = None
        self.positions.store(state, None if added.ends else lease, now_ms)
        return state.position

    def claim(self, claim: Claim, now_ms: float) -> tuple[Run, bool]:
        """Start a run, if its key has none that is running (see Broker)."""
        before = self._runs.get(claim.key, now_ms)
        if before is not None and (before.status == "running" or before.id == claim.id):
            return before, False
        self._runs.check_room(claim.key)
        self.positions.check_room(claim.topic, claim.id)
        run = self._runs.start(claim, now_ms)
        state = ProducerState(claim.topic, claim.id, Position(run.fence, 0, None))
        state.run_key = claim.key
        self.positions.store(state, claim.lease, now_ms)
        return run, True

    def interrupt(self, state: ProducerState, now_ms: float) -> None:
        """Take the lease of a producer away, which did not come back in time; its run ends."""
        self.positions.store(state, None, now_ms)
        self._end_run(state, "interrupted", now_ms)

    def forget_old(self, now_ms: float) -> None:
        """Forget the positions and the runs whose time is over."""
        self.positions.forget_old(now_ms)
        self._runs.forget_old(now_ms)

    def _run_of(self, state: ProducerState | None, now_ms: float) -> Run | None:
        """Return the run of a producer, unless another has its key, or its time is over."""
        if state is None or state.run_key is None:
            return None
        run = self._runs.get(state.run_key, now_ms)
        return run if run is not None and run.id == state.producer_id else None

    def _end_run(self, state: ProducerState, status: Status, now_ms: float) -> None:
        if state.run_key is not None:
            self._runs.end(state.run_key, state.producer_id, status, now_ms)
