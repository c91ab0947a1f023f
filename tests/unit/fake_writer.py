"""A client's end of a stream, without a network."""

import math
from collections.abc import Callable

from barestream.delivery.feed import Feed
from barestream.delivery.stream import Stream
from barestream.mercure.sse import Frame


class FakeWriter:
    """Takes everything, until ``take_bytes`` is set; then it says "paused" beyond that."""

    def __init__(self) -> None:
        self.on_resume: Callable[[], None] = lambda: None
        self.body = b""
        self.last: Frame | None = None
        self.writes = 0
        self.take_bytes: int | None = None
        self.pending_bytes = 0
        self.unacknowledged_bytes = 0
        self.closed = False
        self.aborted = False

    @property
    def paused(self) -> bool:
        return self.take_bytes is not None and self.pending_bytes > self.take_bytes

    def kernel_bytes(self) -> int:
        return self.unacknowledged_bytes

    def write(self, frame: Frame) -> bool:
        if self.aborted or self.closed:
            return False
        self.body += frame.body
        self.last = frame
        self.writes += 1
        if self.take_bytes is not None:
            self.pending_bytes += len(frame.body)
        return True

    def drain(self) -> None:
        """Take what is waiting, as a client does that reads again."""
        was_paused, self.pending_bytes = self.paused, 0
        if was_paused:
            self.on_resume()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class FakeClock:
    """A clock that a test sets: it does not run by itself."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Spent:
    """A budget whose slice is always over: a work yields wherever it can."""

    def begin(self) -> float:
        """Return when the slice ended."""
        return -math.inf

    def is_over(self) -> bool:
        """Return that it is over."""
        return True


SPENT = Spent()


def fake_stream(now: Callable[[], float] | None = None) -> tuple[Stream, FakeWriter]:
    """Return a stream and its client's end."""
    writer = FakeWriter()
    return Stream(writer, now or FakeClock(), {"route": "/test"}), writer


def flush(feed: Feed) -> None:
    """Send what is pending, however long it takes."""
    for _ in feed.flush():
        pass
