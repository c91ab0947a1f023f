"""What a run's generator has made and the hub has not taken yet."""

import asyncio
import json
from collections import deque

from barestream.history.update import MOST_UPDATES
from barestream.mercure.sse import Event
from barestream.runs.hub import RunUpdate
from barestream.runs.run import Outcome

# What a generator may yield: text, values of JSON, or an event with a type.
Item = str | dict[str, object] | list[object] | Event

# A longer text is divided. The hub's own limit for data is BARESTREAM_DATA_BYTES, 512,000 by
# default; so many characters are at most a quarter of a MiB.
MOST_CHARACTERS = 64 * 1024

# A batch is closed once it has so many characters. With a last text of as many it has half of what
# the hub takes in one step (web/batches.py), so it stays one step there.
BATCH_CHARACTERS = 64 * 1024

# While so many characters wait, the generator is held back. Four batches: the next ones are made
# while one is under way, and a thousand runs whose hub is away hold about 256 MB of
# ASCII.
HELD_BACK_CHARACTERS = 4 * BATCH_CHARACTERS

# So many updates hold it back too, also if they are empty: they are ten batches.
HELD_BACK_UPDATES = 10 * MOST_UPDATES

# A generator need not wait for anything between its items. So that the rest of the process goes on,
# the loop gets a turn after so long or so many items; each takes microseconds.
TURN_SECONDS = 0.005
TURN_ITEMS = 100


class Outbox:
    """The updates that wait, with texts that follow one another joined.

    Args:
        first_id: The id of the first update of the run.
    """

    def __init__(self, first_id: str) -> None:
        self._waiting: deque[RunUpdate] = deque()
        self._text: list[str] = []
        self._waiting_characters = 0
        self._text_characters = 0
        self._next_id: str | None = first_id
        self._added_at: float | None = None
        self._stirred = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._turn_at = 0.0
        self._items = 0
        self.outcome: Outcome | None = None

    async def put(self, item: Item) -> None:
        """Add what the generator has yielded; wait while too much is waiting.

        Raises:
            TypeError: It is nothing that a run can publish.
            ValueError: It cannot be an event's data, or is an event with an id or a retry.
        """
        if isinstance(item, str):
            self._add_text(item)
        elif isinstance(item, Event):
            if item.id is not None or item.retry_ms is not None:
                raise ValueError("an event of a run has no id and no retry of its own")
            self.add(RunUpdate(item.data, item.type))
        elif isinstance(item, dict | list):
            self.add(RunUpdate(as_json(item)))
        else:
            raise TypeError(
                "a run's generator yields str, dict, list or barestream.Event; "
                f"it has yielded {type(item).__qualname__}"
            )
        await self._give_turn()
        await self._has_room.wait()

    def add(self, update: RunUpdate) -> None:
        """Add an update."""
        Event(update.data, type=update.type)  # It raises for what has no form on the wire.
        self._close_text()
        self._append(update)
        self._grow(len(update.data))

    def close(self, outcome: Outcome) -> None:
        """Note how the run has ended; the first time counts."""
        if self.outcome is None:
            self.outcome = outcome
        self._stirred.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._waiting or self._text)

    @property
    def is_due(self) -> bool:
        """Whether there is no reason to wait for more."""
        full = self._waiting_characters >= BATCH_CHARACTERS or len(self._waiting) >= MOST_UPDATES
        return full or self.outcome is not None

    @property
    def added_at(self) -> float | None:
        """When what waits was added first, in the loop's seconds; None if nothing waits."""
        return self._added_at

    async def stirred(self, seconds: float) -> None:
        """Wait until something was added, or the run has ended, but not longer."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stirred.wait()
        except TimeoutError:
            return
        self._stirred.clear()

    def take(self) -> list[RunUpdate]:
        """Return the next updates, fewer than MOST_UPDATES, so that an end has room."""
        self._close_text()
        taken: list[RunUpdate] = []
        characters = 0
        while self._waiting and len(taken) < MOST_UPDATES - 1 and characters < BATCH_CHARACTERS:
            taken.append(self._waiting.popleft())
            characters += len(taken[-1].data)
        self._waiting_characters -= characters
        if self._waiting:
            self._stirred.set()
        else:
            self._added_at = None
        if not self._is_held_back:
            self._has_room.set()
        return taken

    @property
    def _is_held_back(self) -> bool:
        return (
            self._waiting_characters >= HELD_BACK_CHARACTERS
            or len(self._waiting) >= HELD_BACK_UPDATES
        )

    async def _give_turn(self) -> None:
        now = asyncio.get_running_loop().time
        self._items += 1
        if self._items >= TURN_ITEMS or now() - self._turn_at >= TURN_SECONDS:
            await asyncio.sleep(0)
            self._items, self._turn_at = 0, now()

    def _add_text(self, text: str) -> None:
        Event(text)
        for start in range(0, len(text), MOST_CHARACTERS):
            part = text[start : start + MOST_CHARACTERS]
            if self._text_characters + len(part) > MOST_CHARACTERS:
                self._close_text()
            self._text.append(part)
            self._text_characters += len(part)
            self._grow(len(part))

    def _close_text(self) -> None:
        if self._text:
            self._append(RunUpdate("".join(self._text)))
            self._text, self._text_characters = [], 0

    def _append(self, update: RunUpdate) -> None:
        self._waiting.append(update._replace(id=self._next_id))
        self._next_id = None

    def _grow(self, characters: int) -> None:
        self._waiting_characters += characters
        if self._added_at is None:
            self._added_at = asyncio.get_running_loop().time()
        if self._is_held_back:
            self._has_room.clear()
        self._stirred.set()


def as_json(value: object) -> str:
    """Return a value as JSON without white space.

    Raises:
        TypeError, ValueError: JSON has no such value.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
