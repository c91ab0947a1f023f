"""Whether runs are followed, for an app whose runs stop some time after their last follower."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from barestream.runs.hub import Hub, HubAwayError
from barestream.runs.run import Run

logger = logging.getLogger(__name__)

# How often a process tells that it has followers while the grace of a run lasts: two of them may be
# lost or late.
_TELLS_PER_GRACE = 3


class Followers:
    """The followers in this process, and what others have told of theirs.

    Args:
        hub: The hub.
        grace_seconds: For how long a run goes on without a follower.
        reachable_since: Returns since when other processes can tell this one of their followers, in
            the loop's seconds; None while they cannot.
    """

    def __init__(
        self, hub: Hub, grace_seconds: float, reachable_since: Callable[[], float | None]
    ) -> None:
        self._hub = hub
        self._grace_seconds = grace_seconds
        self._reachable_since = reachable_since
        # By the key and the id of the run.
        self._here: Counter[tuple[str, str]] = Counter()
        self._telling: asyncio.Task[None] | None = None
        # When each run of this process was followed last.
        self._seen_at: dict[str, float] = {}

    @contextmanager
    def following(self, run: Run) -> Iterator[None]:
        """Count a follower while the context lasts."""
        name = (run.key, run.id)
        self._here[name] += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            self._here[name] -= 1
            if not self._here[name]:
                del self._here[name]

    def heard(self, run_id: str) -> None:
        """Note that another process has followers of a run of this one."""
        if run_id in self._seen_at:
            self._seen_at[run_id] = asyncio.get_running_loop().time()

    async def left(self, run: Run) -> None:
        """Wait until a run of this process has had no follower for the grace."""
        loop = asyncio.get_running_loop()
        turn_seconds = self._grace_seconds / _TELLS_PER_GRACE
        turn_at = self._seen_at[run.id] = loop.time()
        try:
            while True:
                since = self._reachable_since()
                # After a turn that is late, this process itself was stopped, and has not listened.
                is_late = loop.time() - turn_at > turn_seconds
                if is_late or since is None or (run.key, run.id) in self._here:
                    since = loop.time()
                seen_at = self._seen_at[run.id] = max(since, self._seen_at[run.id])
                if loop.time() - seen_at >= self._grace_seconds:
                    return
                turn_at = loop.time() + turn_seconds
                await asyncio.sleep(turn_seconds)
        finally:
            del self._seen_at[run.id]

    def close(self) -> None:
        """Tell nothing any more."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        while True:
            for key, run_id in tuple(self._here):
                if run_id in self._seen_at:
                    continue
                try:
                    await self._hub.tell_followed(key, run_id)
                except HubAwayError as error:
                    logger.info("a runner was not told of its followers", extra={"why": str(error)})
                except Exception:
                    # Without this loop, runs that have followers here would be stopped.
                    logger.exception("a runner was not told of its followers")
            await asyncio.sleep(self._grace_seconds / _TELLS_PER_GRACE)
