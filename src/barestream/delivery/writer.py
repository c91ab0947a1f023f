"""The way of a stream's bytes to its client."""

from collections.abc import Callable
from typing import Protocol

from barestream.mercure.sse import Frame

# What waits for a client before it counts as slow: uvloop's and asyncio's own high-water mark.
MARK_BYTES = 64 * 1024


class Writer(Protocol):
    """The way to one client, with a transport's backpressure."""

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
        """Send a frame; return False where the client has gone and nothing was sent."""

    def close(self) -> None:
        """Let the response end as HTTP wants it, behind what is waiting."""

    def abort(self) -> None:
        """Cut the connection at once, whatever is waiting."""


def nothing() -> None:
    """Stand where nobody is to be called back."""
