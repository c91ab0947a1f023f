"""How long a client has taken nothing of what waits for it. Pure."""


class Stall:
    """Watches one client while bytes wait for it.

    What the kernel has sent counts. It may hold megabytes for a client, and it takes nothing more
    from a transport before a third of its buffer is free: a client that reads 15 KB/s then leaves
    the transport's bytes where they are for minutes.

    Args:
        since: When the client may have taken something last, in seconds of a monotonic clock.
        pending_bytes: How much waits in the process.
        kernel_bytes: How much waits in the kernel.
        sent_bytes: How much was sent so far, what waits included.
    """

    __slots__ = ("_kernel_bytes", "_pending_bytes", "_progress_at", "_sent_bytes")

    def __init__(
        self, since: float, pending_bytes: int, kernel_bytes: int, sent_bytes: int = 0
    ) -> None:
        self._progress_at = since
        self._pending_bytes = pending_bytes
        self._kernel_bytes = kernel_bytes
        self._sent_bytes = sent_bytes

    def seconds(
        self, now: float, pending_bytes: int, kernel_bytes: int, sent_bytes: int = 0
    ) -> float:
        """Return for how long the client has taken nothing, by another look at the same figures.

        Args:
            now: The time on the same clock.
            pending_bytes: As above.
            kernel_bytes: As above.
            sent_bytes: As above.
        """
        taken_bytes = (
            (sent_bytes - self._sent_bytes)
            - (pending_bytes - self._pending_bytes)
            - (kernel_bytes - self._kernel_bytes)
        )
        # The kernel counts whole buffers on a unix socket: what has gone from here to there may
        # have grown.
        if taken_bytes > 0 or pending_bytes < self._pending_bytes:
            self._progress_at = now
        self._pending_bytes = pending_bytes
        self._kernel_bytes = kernel_bytes
        self._sent_bytes = sent_bytes
        return now - self._progress_at
