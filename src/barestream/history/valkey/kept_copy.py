"""The kept values, as a worker has them to share them among its clients."""

import asyncio
from collections.abc import Sequence
from typing import Any

from barestream.history.record import Record
from barestream.history.valkey import codec, scripts
from barestream.history.valkey.questions import Questions

# Valkey has no change before this time, so the answer has the last change alone.
_NEVER = b"-1"


class KeptCopy:
    """A copy of all kept values, which is brought up to date whenever it is read.

    To read and decode 10,000 values of 1 KB takes a worker 85 ms of CPU, and Valkey 37 ms: too
    much for each client of a board. Only those that have changed are read again.

    Args:
        questions: Asks Valkey.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        # With the time until which each is kept, in milliseconds; 0 without a limit.
        self._values: dict[str, tuple[int, Record]] = {}
        # The time of the last change that the copy has, as Valkey writes it.
        self._upto = _NEVER
        self._is_forgotten = False
        self._reading = asyncio.Lock()

    def forget(self) -> None:
        """Read all values again, because the history may be another one."""
        self._is_forgotten = True

    async def values(self) -> dict[str, Record]:
        """Return the values of this moment, by topic."""
        async with self._reading:
            now_ms = await self._refresh()
            return {
                topic: record
                for topic, (until_ms, record) in self._values.items()
                if until_ms == 0 or until_ms > now_ms
            }

    async def _refresh(self) -> int:
        """Bring the copy up to date; return the time in milliseconds."""
        while True:
            if self._is_forgotten:
                self._upto, self._is_forgotten = _NEVER, False
            now_ms, last, *changes = await self._questions.run(scripts.KEPT_SINCE, self._upto)
            if changes:
                pairs, has_more = changes
                self._change(pairs)
            else:
                # What changes meanwhile is among the later changes.
                has_more = True
                await self._read_all()
            self._upto = last
            if not has_more and not self._is_forgotten:
                return int(now_ms)

    def _change(self, pairs: Sequence[Any]) -> None:
        for topic, value in zip(pairs[::2], pairs[1::2], strict=True):
            if value is None:
                self._values.pop(topic.decode(), None)
            else:
                self._values[topic.decode()] = codec.unpacked(value)

    async def _read_all(self) -> None:
        self._values = {
            topic: codec.unpacked(value) async for _, topic, value in self._questions.scan(b"kept")
        }
