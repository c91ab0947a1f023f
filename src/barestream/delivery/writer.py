"""The interface by which a stream writes to its client."""

from collections.abc import Callable
from typing import Protocol

from barestream.mercure.sse import Frame

# How much may wait for a client before its writer pauses: the mark of uvloop and asyncio.
MARK_BYTES = 64 * 1024


class Writer(Protocol):
    """Writes to one client, with a transport's backpressure."""

    on_resume: Callable[[], None]

    @property
    def paused(self) -> bool:
        """Whether more is waiting to be sent than the transport's mark."""

    @property
    def pending_bytes(self) -> int:
        """How much is waiting to be sent."""

    def kernel_bytes(self) -> int:
        """Return how much the kernel holds that the client has not taken; 0 where unknown."""

    def write(self, frame: Frame) -> bool:
        """Send a frame; return False if the client has left and nothing was sent."""

    def close(self) -> None:
        """End the response as HTTP demands, after the waiting bytes."""

    def abort(self) -> None:
        """Cut the connection at once, without the waiting bytes."""


def nothing() -> None:
    """Do nothing: the default of a callback."""
