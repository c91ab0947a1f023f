"""Log lines about clients that reach a limit: each kind at most once in ten minutes."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Long enough that many such clients, or a scanner, do not fill the log; an operator still sees that
# they continue.
SILENCE_SECONDS = 600.0


class Notices:
    """Logs notices, and remembers when each kind was logged.

    Args:
        now: A monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, what: str, client: str) -> None:
        """Log a notice, unless the same one was logged within SILENCE_SECONDS.

        Args:
            what: The limit, and what happens to the client; the same words each time.
            client: Its address.
        """
        now = self._now()
        if now - self._said_at.get(what, -SILENCE_SECONDS) < SILENCE_SECONDS:
            self._unsaid[what] = self._unsaid.get(what, 0) + 1
            return
        self._said_at[what] = now
        logger.warning(what, extra={"client": client, "more_before": self._unsaid.pop(what, 0)})
