"""The newest run of each key, in the memory of one process. Pure."""

from dataclasses import dataclass

from barestream.history.producers import Claim, Run, Status, TooManyRunsError
from barestream.history.sorted_list import SortedList


@dataclass(slots=True)
class _State:
    """A run.

    Attributes:
        run: The run.
        expires_seconds: For how long it is known after its end.
        forget_ms: Until when it is known; None while it is running.
    """

    run: Run
    expires_seconds: float
    forget_ms: float | None = None


class Runs:
    """The newest run of each key that has one.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_key: dict[str, _State] = {}
        # Those that have ended, by the time until which they are known.
        self._ended: SortedList[tuple[float, str]] = SortedList()
        self._fence = 0

    def get(self, key: str, now_ms: float) -> Run | None:
        """Return the run of a key, unless its time is over."""
        state = self._by_key.get(key)
        if state is None or (state.forget_ms is not None and state.forget_ms <= now_ms):
            return None
        return state.run

    def check_room(self, key: str) -> None:
        """Check that there is room for a run of this key.

        Raises:
            TooManyRunsError: There is none.
        """
        if key not in self._by_key and len(self._by_key) >= self._most and not self._ended:
            raise TooManyRunsError

    def start(self, claim: Claim, now_ms: float) -> Run:
        """Start a run, which takes the place of the one before, and return it.

        If there are too many, the one that is forgotten first is forgotten early. There must be
        room (check_room).
        """
        # Also larger than that of each run of a process before this one.
        self._fence = max(self._fence + 1, int(now_ms))
        run = Run(
            claim.key, claim.id, claim.topic, self._fence, claim.runner, int(now_ms), "running"
        )
        if claim.key in self._by_key:
            self._forget(claim.key)
        elif len(self._by_key) >= self._most:
            self._forget(self._ended.first[1])
        self._by_key[claim.key] = _State(run, claim.expires_seconds)
        return run

    def end(self, key: str, run_id: str, status: Status, now_ms: float) -> None:
        """Note how a run has ended; nothing changes if another has its key, or it has ended."""
        state = self._by_key.get(key)
        if state is None or state.run.id != run_id or state.forget_ms is not None:
            return
        state.run = state.run._replace(status=status)
        state.forget_ms = now_ms + 1000 * state.expires_seconds
        self._ended.add((state.forget_ms, key))

    def forget_old(self, now_ms: float) -> None:
        """Forget the runs whose time is over."""
        while self._ended and self._ended.first[0] <= now_ms:
            self._forget(self._ended.first[1])

    def _forget(self, key: str) -> None:
        state = self._by_key.pop(key)
        if state.forget_ms is not None:
            self._ended.discard((state.forget_ms, key))
