"""A stream's writer that collects events for an answer that ends."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from barestream.delivery.cursor import Named
from barestream.delivery.heartbeat import HEARTBEAT_TYPE
from barestream.delivery.writer import nothing
from barestream.mercure.reserved import GAP_TYPE, READY_TYPE
from barestream.mercure.sse import Event, Frame, decode

# How large the events of an answer may be together, on the wire of a stream. One more event, of at
# most BARESTREAM_DATA_BYTES, may come on top.
MOST_BYTES = 1024 * 1024


class PageWriter:
    """Collects what a stream is sent, up to a bound.

    A part of a rewind is not left for a later answer, which would begin the rewind again: of a
    rewind beyond the bound, the newest are kept. Where what other topics had since a cursor came
    before it, the whole rewind is left, and the later answer has nothing else before it.

    Args:
        most_events: How many events the answer may have.

    Attributes:
        gap: The data of the gap that was sent; None without one.
        cursor: The id of the hub's own that a client continues from; None if none was sent.
        is_replayed: Whether everything up to the moment of the request was sent.
        is_cut: Whether events of a rewind were left out.
    """

    def __init__(self, most_events: int) -> None:
        self.on_resume: Callable[[], None] = nothing
        self.pending_bytes = 0
        self.gap: Any = None
        self.cursor: str | None = None
        self.is_replayed = self.is_cut = False
        self._most_events = most_events
        self._events: deque[Event] = deque()
        # How many of them are no part of a rewind, and came before it.
        self._preceding = 0
        self._size_bytes = 0
        self._is_full = False
        self._closed = asyncio.Event()
        self._stirred = asyncio.Event()

    @property
    def paused(self) -> bool:
        """Whether the answer is full."""
        return self._is_full

    def kernel_bytes(self) -> int:
        """Return 0: nothing was sent yet."""
        return 0

    def write(self, frame: Frame) -> bool:
        """Take the events of a frame, as far as there is room; False once it is closed."""
        if self._closed.is_set():
            return False
        if frame.body.endswith(b"\n\n"):
            for event in decode(frame.body):
                if not self._is_full:
                    self._take(event)
            self._stirred.set()
        return True

    def close(self) -> None:
        """End the collection."""
        self._closed.set()
        self._stirred.set()

    abort = close

    async def replayed(self) -> None:
        """Wait until the answer is full, or everything up to the request was sent."""
        await self._until(lambda: self.is_replayed)

    async def some(self) -> None:
        """Wait until there is an event or a gap."""
        await self._until(lambda: bool(self._events) or self.gap is not None)

    async def _until(self, is_done: Callable[[], bool]) -> None:
        while not (is_done() or self._is_full or self._closed.is_set()):
            self._stirred.clear()
            await self._stirred.wait()

    def events(self) -> list[dict[str, object]]:
        """Return the events as JSON objects."""
        return [_as_json(event) for event in self._events]

    @property
    def has_more(self) -> bool:
        """Whether events were left for a later answer."""
        return self._is_full

    def _take(self, event: Event) -> None:
        if event.type == READY_TYPE:
            self.is_replayed = True
            self.cursor = event.id
        elif event.type == GAP_TYPE:
            told = json.loads(event.data)
            # Several gaps are one from the first to the last.
            self.gap = told if self.gap is None else {**self.gap, "to": told["to"], "missed": None}
            self.cursor = event.id
        elif event.type != HEARTBEAT_TYPE:
            self._events.append(event)
            self._size_bytes += len(event.data)
            self._bound(event)

    def _bound(self, event: Event) -> None:
        named = Named.parse(event.id or "")
        self.cursor = str(named.cursor)
        is_rewound = named.cursor.in_rewind and named.place != named.cursor.place
        if named.cursor.in_rewind and not is_rewound:
            self._preceding += 1
        if len(self._events) < self._most_events and self._size_bytes < MOST_BYTES:
            return
        if not is_rewound:
            self._is_full = True
        elif self._preceding:
            while len(self._events) > self._preceding:
                self._events.pop()
            self._is_full = True
        else:
            # The last event of a rewind is still to come.
            self._size_bytes -= len(self._events.popleft().data)
            self.is_cut = True


def _as_json(event: Event) -> dict[str, object]:
    named = Named.parse(event.id or "")
    own = {"id": named.own_id or str(named.place), "place": str(named.place)}
    label = named.label
    more: dict[str, object] = {} if event.retry_ms is None else {"retry": event.retry_ms}
    if label is not None and label.matches is not None:
        more["matches"] = label.matches
        if label.is_end:
            more["end"] = True
    return {
        **own,
        "topic": None if label is None else label.topic,
        "type": event.type or "message",
        "data": event.data,
        **more,
    }
