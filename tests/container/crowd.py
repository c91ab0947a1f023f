"""Many streams of the clock on one connection of HTTP/2, which come back as a browser's do."""

import asyncio
from pathlib import Path

from http2 import Http2Connection, Http2Stream
from support.clients.event_parser import EventParser

# Sooner than a browser: what is owed does not hang on it.
_RETRY_SECONDS = 0.2


def ticks(stream: Http2Stream) -> list[int]:
    """Return the seconds that a stream of the clock has told."""
    events = EventParser().feed(bytes(stream.body))
    ids = [event.id for event in events if event.type == "message"]
    return [int(tick.removeprefix("#").partition("-")[0]) // 1000 for tick in ids]


class Crowd:
    """Streams that are opened again, on another connection, when theirs is over.

    Attributes:
        lives: The streams of each connection, the newest last.
    """

    def __init__(self, target: tuple[str, int], root: Path, size: int) -> None:
        self._target, self._root, self._size = target, root, size
        self._stopped = asyncio.Event()
        self.lives: list[list[Http2Stream]] = []

    async def follow(self) -> None:
        """Open the streams, again and again, until ``stop``."""
        self._loop = asyncio.get_running_loop()
        following = asyncio.create_task(self._follow())
        await self._stopped.wait()
        following.cancel()
        await asyncio.wait([following])

    async def _follow(self) -> None:
        newest: list[dict[str, str]] = [{} for _ in range(self._size)]
        while True:
            connection = await Http2Connection(self._target, self._root).open()
            self.lives.append([connection.get("/events", **headers) for headers in newest])
            await connection.run()
            newest = [{"last_event_id": f"#{ticks(s)[-1]}000-0"} for s in self.lives[-1]]
            await asyncio.sleep(_RETRY_SECONDS)

    def stop(self) -> None:
        """End it, from another thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    def least_ticks(self) -> int:
        """Return how many ticks the stream of the newest connection has that has the fewest."""
        return min(len(ticks(stream)) for stream in self.lives[-1]) if self.lives else 0

    def histories(self) -> list[list[int]]:
        """Return what each stream was told, over all its connections."""
        return [
            [tick for life in lives for tick in ticks(life)]
            for lives in zip(*self.lives, strict=True)
        ]
