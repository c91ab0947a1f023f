"""How long a client has read nothing although bytes wait for it. Pure."""


class Stall:
    """Watches one client while bytes wait for it.

    Bytes that the kernel has sent count as read. The kernel may hold megabytes for a client, and
    accepts no more from a transport before a third of its buffer is free: while a client reads
    15 KB/s, the transport's bytes may not move for minutes.

    Args:
        since: When the client may last have read something, in seconds of a monotonic clock.
        pending_bytes: How much waits in the process.
        kernel_bytes: How much waits in the kernel.
        sent_bytes: How much was written so far, waiting bytes included.
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
        """Return for how long the client has read nothing, given the current figures.

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
        # On a unix socket the kernel counts whole buffers: bytes that have moved from the process
        # to the kernel may count for more there.
        if taken_bytes > 0 or pending_bytes < self._pending_bytes:
            self._progress_at = now
        self._pending_bytes = pending_bytes
        self._kernel_bytes = kernel_bytes
        self._sent_bytes = sent_bytes
        return now - self._progress_at
