"""Log lines about what clients do: the first of a kind, then one in a while."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

# A crowd of such clients, or one scanner, fills no log; an operator still sees that it goes on.
SILENCE_SECONDS = 600.0


class Notices:
    """What was said, and when.

    Args:
        now: A monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, what: str, client: str) -> None:
        """Log it, unless the same was logged not long ago.

        Args:
            what: The limit, and what becomes of the client; the same words each time.
            client: Its address.
        """
        now = self._now()
        if now - self._said_at.get(what, -SILENCE_SECONDS) < SILENCE_SECONDS:
            self._unsaid[what] = self._unsaid.get(what, 0) + 1
            return
        self._said_at[what] = now
        logger.warning(what, extra={"client": client, "more_before": self._unsaid.pop(what, 0)})
