"""A client's end of a stream, without a network."""

from collections.abc import Callable

from barestream.frames import Frame
from barestream.stream import Stream


class FakeOutlet:
    """Takes everything, until ``take_bytes`` is set; then it says "paused" beyond that."""

    def __init__(self) -> None:
        self.on_resume: Callable[[], None] = lambda: None
        self.body = b""
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

    def write(self, frame: Frame) -> None:
        self.body += frame.body
        self.writes += 1
        if self.take_bytes is not None:
            self.pending_bytes += len(frame.body)

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
    """Seconds that pass only when they are told to."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def fake_stream(now: Callable[[], float] | None = None) -> tuple[Stream, FakeOutlet]:
    """Return a stream and its client's end."""
    outlet = FakeOutlet()
    return Stream(outlet, now or FakeClock(), {"route": "/test"}), outlet
