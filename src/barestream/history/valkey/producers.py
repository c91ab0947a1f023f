"""Asks Valkey about producers and runs."""

from collections.abc import Sequence

from barestream.history.producers import (
    INTERRUPTED_DATA,
    Claim,
    Position,
    Run,
    Swept,
    TooManyProducersError,
    TooManyRunsError,
)
from barestream.history.update import topics_json
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.questions import Questions
from barestream.mercure.reserved import END_TYPE

# By the answer to a claim, what there is no room for (lua/claim.lua).
_NO_ROOM = {b"runs": TooManyRunsError, b"producers": TooManyProducersError}


class Producers:
    """What Valkey knows of producers and runs, but for their batches.

    Args:
        questions: Asks Valkey.
        changes: Asks Valkey where that writes.
        bounds: The bounds of producers and runs, as arguments of scripts.
    """

    def __init__(self, questions: Questions, changes: Questions, bounds: Sequence[bytes]) -> None:
        self._questions = questions
        self._changes = changes
        self._bounds = bounds

    async def position(self, topic: str, producer_id: str) -> Position | None:
        """Return how far a producer has come with a topic (see Broker)."""
        name = codec.producer_name(topic, producer_id)
        answer = await self._questions.run_bounded(scripts.POSITION, *self._bounds, name)
        return codec.position(answer) if answer else None

    async def run(self, key: str) -> Run | None:
        """Return the newest run of a key (see Broker)."""
        name = key.encode(errors="replace")
        answer = await self._questions.run_bounded(scripts.RUN, *self._bounds, name)
        return codec.run(key, answer) if answer else None

    async def claim(self, claim: Claim) -> tuple[Run, bool]:
        """Start a run, if its key has none that is running (see Broker)."""
        name = codec.producer_name(claim.topic, claim.id)
        arguments = [claim.key.encode(), claim.id.encode(), name, claim.topic.encode()]
        arguments += [topics_json((claim.topic,)), claim.runner.encode()]
        arguments += codec.lease_arguments(claim.lease)
        arguments.append(b"%d" % (1000 * claim.expires_seconds))
        answer = await self._changes.run_confirmed_bounded(scripts.CLAIM, *self._bounds, *arguments)
        if isinstance(answer, bytes):
            raise _NO_ROOM[answer]
        is_new, *run = answer
        return codec.run(claim.key, run), bool(is_new)

    async def end_overdue(self, upto_ms: int, steady_ms: int) -> Swept:
        """End the topics whose producers did not come back in time (see Broker)."""
        topics: list[str] = []
        last = (END_TYPE.encode(), INTERRUPTED_DATA.encode())
        left, is_more = 0, 1
        while is_more:
            numbers = (b"%d" % number for number in (upto_ms, steady_ms, left))
            now_ms, leases, ended, left, is_more = await self._changes.run_bounded(
                scripts.OVERDUE, *self._bounds, *numbers, *last
            )
            topics += (topic.decode() for topic in ended)
        return Swept(int(now_ms), leases, topics)
