"""Sources of updates, read ahead, so that a request has all that is there by then."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterable, Iterable
from typing import Any, Self

# What a source has after its last item.
_END = object()

# How soon a thread that reads ahead notices that nobody takes any more.
_LOOK_SECONDS = 0.5


class Ahead:
    """Reads a source ahead in a task; a context.

    Args:
        source: Gives the items.
        most: How many items are held at most.
    """

    def __init__(self, source: Iterable[Any] | AsyncIterable[Any], most: int) -> None:
        self._source = source
        self._queue: asyncio.Queue[Any] = asyncio.Queue(most)
        self._error: Exception | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def take(self, most: int) -> list[Any]:
        """Return what is there, at least one item; nothing at the end.

        Raises:
            Exception: That of the source, once all before it was taken.
        """
        items: list[Any] = []
        while not self._is_over and len(items) < most and not (items and self._queue.empty()):
            item = await self._queue.get()
            if item is _END:
                self._is_over = True
            else:
                items.append(item)
        error = self._error
        if not items and error is not None:
            raise error
        return items

    async def _read(self) -> None:
        try:
            if isinstance(self._source, AsyncIterable):
                async for item in self._source:
                    await self._queue.put(item)
            else:
                for item in self._source:
                    await self._queue.put(item)
        except Exception as error:
            self._error = error
        await self._queue.put(_END)


class ThreadAhead:
    """Reads a source ahead in a thread; a context.

    Args:
        source: Gives the items; it may wait for each.
        most: How many items are held at most.
    """

    def __init__(self, source: Iterable[Any], most: int) -> None:
        self._source = source
        self._queue: queue.Queue[Any] = queue.Queue(most)
        self._error: Exception | None = None
        self._is_over = False
        self._is_left = threading.Event()

    def __enter__(self) -> Self:
        # A source that waits for ever must not hold the process.
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_left.set()

    def take(self, most: int) -> list[Any]:
        """Return what is there, at least one item; nothing at the end.

        Raises:
            Exception: That of the source, once all before it was taken.
        """
        items: list[Any] = []
        while not self._is_over and len(items) < most and not (items and self._queue.empty()):
            item = self._queue.get()
            if item is _END:
                self._is_over = True
            else:
                items.append(item)
        error = self._error
        if not items and error is not None:
            raise error
        return items

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except Exception as error:
            self._error = error
        self._put(_END)

    def _put(self, item: Any) -> bool:
        """Put an item into the queue; return whether somebody takes from it still."""
        while not self._is_left.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
