"""When a request is tried again."""

from collections.abc import Callable

from barestream_client.answers import AwayError

# A hub that restarts is back within seconds; many clients that come back at once need jitter.
_FIRST_SECONDS = 0.2
_MOST_SECONDS = 10.0

OnAway = Callable[[AwayError, float], None]


class Retries:
    """The waits of one request that is tried again.

    Args:
        patience_seconds: How long the hub may be away; None for any time.
        now: A clock that only goes forward, in seconds.
        uniform: Returns a random number between two.
        on_away: Is told of each failure, and how long the wait after it is.
    """

    def __init__(
        self,
        patience_seconds: float | None,
        now: Callable[[], float],
        uniform: Callable[[float, float], float],
        on_away: OnAway | None = None,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._now = now
        self._uniform = uniform
        self._on_away = on_away
        self._failures = 0
        self._since = 0.0

    def failed(self, error: AwayError, least_seconds: float = 0) -> float:
        """Return for how long to wait before the request is tried again.

        Raises:
            AwayError: That very error, if the hub has been away for too long.
        """
        now = self._now()
        if not self._failures:
            self._since = now
        self._failures += 1
        most = min(_FIRST_SECONDS * 2 ** min(self._failures - 1, 10), _MOST_SECONDS)
        wait = max(self._uniform(most / 2, most), error.retry_after_seconds or 0, least_seconds)
        if self._patience_seconds is not None:
            left = self._since + self._patience_seconds - now
            if left <= 0:
                raise error
            # The last try is at the end of the time.
            wait = min(wait, left)
        if self._on_away is not None:
            self._on_away(error, wait)
        return wait

    def succeeded(self) -> None:
        """Begin anew: the hub has answered."""
        self._failures = 0
