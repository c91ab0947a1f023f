"""How far producers have come, and their leases, in the memory of one process. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from barestream.history.producers import (
    Batch,
    Lease,
    NewEpochError,
    Position,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
)
from barestream.history.sorted_list import SortedList


@dataclass(slots=True)
class ProducerState:
    """What the history knows of a producer and its topic.

    Attributes:
        topic: The topic.
        producer_id: The producer's id.
        position: How far it has come.
        used_ms: When it was used last; a lease runs from then on.
        uses: The number of that use, which tells those of one millisecond apart.
        lease: Its lease; None if it has none.
        run_key: The key of the run whose producer it is; None if it is no run's.
        ended: Whether it has ended the topic, in this epoch, and added nothing since.
    """

    topic: str
    producer_id: str
    position: Position
    used_ms: float = 0
    uses: int = 0
    lease: Lease | None = None
    run_key: str | None = None
    ended: bool = False

    def repeats(self, batch: Batch) -> int:
        """Return how many updates of a batch it has published before.

        Raises:
            StaleEpochError: It has a later epoch.
            NewEpochError: The epoch is new, and the first number is not 0.
            SequenceGapError: Updates before these are missing.
        """
        epoch = batch.producer.epoch
        if epoch < self.position.epoch:
            raise StaleEpochError(self.position.epoch)
        if epoch > self.position.epoch:
            if batch.first != 0:
                raise NewEpochError
            return 0
        if batch.first > self.position.next:
            raise SequenceGapError(self.position.next, batch.first)
        return min(len(batch.updates), self.position.next - batch.first)

    def move(self, batch: Batch, last_id: str | None) -> None:
        """Go on behind a batch.

        Args:
            batch: The batch, which is not refused.
            last_id: The id of the newest update that was new; None if there was none.
        """
        epoch, end = batch.producer.epoch, batch.first + len(batch.updates)
        if epoch == self.position.epoch:
            end = max(end, self.position.next)
        else:
            self.ended = False
        self.position = Position(epoch, end, last_id or self.position.last_id)


class Positions:
    """The positions of all producers.

    Args:
        most: How many there may be.
        position_seconds: For how long one without a lease is known after its last use.
    """

    def __init__(self, most: int, position_seconds: float) -> None:
        self._most = most
        self._position_ms = 1000 * position_seconds
        self._states: dict[tuple[str, str], ProducerState] = {}
        self._uses = 0
        # Those without a lease and those with one, by their last use; and these by their end.
        self._unleased: SortedList[tuple[float, int, str, str]] = SortedList()
        self._leased: SortedList[tuple[float, int, str, str]] = SortedList()
        self._until: SortedList[tuple[float, str, str]] = SortedList()

    def get(self, topic: str, producer_id: str) -> ProducerState | None:
        """Return what is known of a producer."""
        return self._states.get((topic, producer_id))

    @property
    def leases(self) -> int:
        """How many leases there are."""
        return len(self._until)

    def check_room(self, topic: str, producer_id: str) -> None:
        """Check that there is room for a position.

        Raises:
            TooManyProducersError: There is none.
        """
        is_new = (topic, producer_id) not in self._states
        if is_new and len(self._states) >= self._most and not self._unleased:
            raise TooManyProducersError

    def store(self, state: ProducerState, lease: Lease | None, now_ms: float) -> None:
        """Store a state that was used, with the lease that it has from then on.

        It replaces what is known of this producer. A new one takes the place of the position
        without a lease that was used least recently, if there are too many.
        """
        before = self._states.get((state.topic, state.producer_id))
        if before is not None:
            self._leave(before)
        elif len(self._states) >= self._most:
            self._forget_first()
        self._uses += 1
        state.used_ms, state.uses, state.lease = now_ms, self._uses, lease
        self._states[state.topic, state.producer_id] = state
        self._enter(state)

    def overdue(self, upto_ms: float, steady_ms: float) -> list[ProducerState]:
        """Return the states whose leases are over at a time, but for those with longer leases."""
        found = []
        for until_ms, topic, producer_id in self._until:
            if until_ms > upto_ms:
                break
            state = self._states[topic, producer_id]
            if state.lease is not None and 1000 * state.lease.seconds <= steady_ms:
                found.append(state)
        return found

    def forget_old(self, now_ms: float) -> None:
        """Forget the positions without a lease that were not used for too long."""
        while self._unleased and self._unleased.first[0] < now_ms - self._position_ms:
            self._forget_first()

    def renew_future(self, now_ms: float) -> Iterator[int]:
        """Have what was used later than now be used now, in steps: the clock was set back."""
        for used in (self._leased, self._unleased):
            for state in [*self._later(used, now_ms)]:
                self._leave(state)
                state.used_ms = now_ms
                self._enter(state)
                yield 1

    def _later(
        self, used: SortedList[tuple[float, int, str, str]], now_ms: float
    ) -> Iterator[ProducerState]:
        for used_ms, _, topic, producer_id in reversed(used):
            if used_ms <= now_ms:
                return
            yield self._states[topic, producer_id]

    def _enter(self, state: ProducerState) -> None:
        name = (state.topic, state.producer_id)
        if state.lease is None:
            self._unleased.add((state.used_ms, state.uses, *name))
        else:
            self._leased.add((state.used_ms, state.uses, *name))
            self._until.add((state.used_ms + 1000 * state.lease.seconds, *name))

    def _leave(self, state: ProducerState) -> None:
        name = (state.topic, state.producer_id)
        if state.lease is None:
            self._unleased.discard((state.used_ms, state.uses, *name))
        else:
            self._leased.discard((state.used_ms, state.uses, *name))
            self._until.discard((state.used_ms + 1000 * state.lease.seconds, *name))

    def _forget_first(self) -> None:
        _, _, topic, producer_id = self._unleased.first
        self._leave(self._states.pop((topic, producer_id)))
