"""What the bearer of a token may do, and the newest tokens that were verified. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from barestream.mercure.identity import NOBODY, Identity
from barestream.mercure.selectors import Selectors
from barestream.mercure.signatures import EarlyTokenError, ExpiredTokenError, Keys
from barestream.mercure.token_id import TokenId


@dataclass(frozen=True, slots=True)
class Bearer:
    """What the bearer of a token may do.

    Attributes:
        publish: The topics that it may publish to.
        subscribe: The topics whose private updates it may read.
        expires_at: When the token expires, in seconds of the wall clock; None if it never does.
        token: Its token; None without one.
        identity: Who the token was given to.
        may_operate: Whether it may operate the hub: revoke tokens, and have it examined.
    """

    publish: Selectors
    subscribe: Selectors
    expires_at: float | None
    token: TokenId | None = None
    identity: Identity = NOBODY
    may_operate: bool = False


ANONYMOUS = Bearer(Selectors(()), Selectors(()), None)

# So many verified tokens are remembered, and of so many characters together, because verifying a
# publisher's token for each update took 30 % of a publish.
MOST_REMEMBERED = 1000
MOST_REMEMBERED_CHARACTERS = 4 * 1024 * 1024


class Verified(NamedTuple):
    """A token whose signature was verified.

    Attributes:
        bearer: What it allows.
        valid_from: Its nbf, in seconds of the wall clock; None if it has none.
        keys: The keys that verified it.
        audience: The hubs that it is for; empty in 0.x, which has no such claim.
    """

    bearer: Bearer
    valid_from: float | None
    keys: Keys
    audience: tuple[str, ...] = ()


class Remembered:
    """The newest verified tokens of one role; tokens that failed are not remembered.

    Args:
        now: The wall clock, in seconds.
        leeway_seconds: How far a token's ``nbf`` may be ahead of the clock.
    """

    def __init__(self, now: Callable[[], float], leeway_seconds: float) -> None:
        self._now = now
        self._leeway_seconds = leeway_seconds
        self._verified: dict[str, Verified] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._verified)

    def get(self, token: str) -> Verified | None:
        """Return a remembered token; None if it is not remembered.

        Raises:
            ExpiredTokenError: It has expired.
            EarlyTokenError: It is not valid yet.
        """
        verified = self._verified.get(token)
        if verified is not None:
            self._check_time(token, verified)
        return verified

    def add(self, token: str, verified: Verified) -> None:
        """Remember a token.

        Raises:
            ExpiredTokenError: It has expired.
            EarlyTokenError: It is not valid yet.
        """
        self._check_time(token, verified)
        if len(token) > MOST_REMEMBERED_CHARACTERS:
            return
        self._verified[token] = verified
        self._characters += len(token)
        while len(self._verified) > MOST_REMEMBERED or (
            self._characters > MOST_REMEMBERED_CHARACTERS
        ):
            # The oldest token: dicts keep the order of insertion.
            self.forget(next(iter(self._verified)))

    def forget(self, token: str) -> None:
        """Remove a token."""
        if self._verified.pop(token, None) is not None:
            self._characters -= len(token)

    def clear(self) -> None:
        """Remove every token, and what only they hold."""
        self._verified.clear()
        self._characters = 0

    def _check_time(self, token: str, verified: Verified) -> None:
        now = self._now()
        expires_at = verified.bearer.expires_at
        if expires_at is not None and now >= expires_at:
            self.forget(token)
            raise ExpiredTokenError(expires_at)
        if verified.valid_from is not None and now + self._leeway_seconds < verified.valid_from:
            raise EarlyTokenError("The token is not valid yet.")
