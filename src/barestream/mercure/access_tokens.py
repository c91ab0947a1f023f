"""Access tokens, which Mercure 1.0 has: verified and signed.

Pure. Sources: https://mercure.rocks/spec#authorization, RFC 9068 (JWT access tokens)
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from barestream.mercure.authorization_details import (
    DETAIL_TYPE,
    MOST_TOKEN_PATTERNS,
    OPERATE,
    OPERATED,
    granted,
    payloads,
)
from barestream.mercure.bearer import Bearer, Remembered, Verified
from barestream.mercure.identity import Payload, identity_of
from barestream.mercure.keys import JWS, read_signing_key
from barestream.mercure.matchers import InvalidMatcherError, Matcher, selectors
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.signatures import (
    ACCESS_TOKEN_TYPE,
    InvalidTokenError,
    Keys,
    UnknownKeyError,
    time_claim,
    unverified,
    version_of,
)
from barestream.mercure.time_budget import at_once
from barestream.mercure.token_id import TokenId
from barestream.mercure.version import Version

# The cookie that carries a token, by default.
COOKIE = "__Secure-mercure_access_token"

# A header has at most 32 KB in nginx; a token with the details of 100 topics has some 20 KB.
MOST_TOKEN_CHARACTERS = 32_768


class KeySource(Protocol):
    """Where the keys of an issuer come from.

    Attributes:
        keys: The issuer's keys; None as long as there are none.
    """

    @property
    def keys(self) -> Keys | None: ...

    async def refresh(self) -> bool:
        """Read the keys again, if that is due; return whether they are other ones."""


class KeysMayHaveChangedError(InvalidTokenError):
    """A token for which its issuer has no key, as far as is known; the issuer may have one by now.

    Attributes:
        source: Where the issuer's keys come from.
    """

    cause = "unknown_key"

    def __init__(self, why: str, source: KeySource) -> None:
        super().__init__(why)
        self.source = source


class AccessVerifier:
    """Verifies access tokens, and remembers the newest ones that it has verified.

    Args:
        issuers: The keys of each issuer; a token is verified by the keys of its own issuer alone.
        patterns: Where the compiled patterns of tokens are held.
        now: The wall clock, in seconds.
        leeway_seconds: How far a token's ``nbf`` may be ahead of the clock.
    """

    def __init__(
        self,
        issuers: Mapping[str, KeySource],
        patterns: Patterns,
        now: Callable[[], float],
        leeway_seconds: float = 0,
    ) -> None:
        self._issuers = issuers
        self._patterns = patterns
        self._remembered = Remembered(now, leeway_seconds)
        # Remembered tokens hold patterns too, and can be verified again.
        patterns.add_cache(self._remembered.clear)

    def verify(self, token: str, *resources: str) -> Bearer:
        """Return what an access token allows.

        Args:
            token: The token, in compact serialization.
            resources: The hub's resource identifiers, one of which ``aud`` must contain.

        Raises:
            InvalidTokenError: It is no access token, its issuer did not sign it, it has expired, is
                not valid yet, is for another hub, or has a detail that cannot be read.
            KeysMayHaveChangedError: Its issuer has no key that it names, or no keys that are known.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        verified = self._remembered.get(token)
        if verified is not None and not self._is_current(verified.keys):
            self._remembered.forget(token)
            verified = None
        if verified is None:
            verified = self._verify(token)
            self._remembered.add(token, verified)
        if not any(each in verified.audience for each in resources):
            raise InvalidTokenError(f"The token's aud is not {' or '.join(resources)}.")
        return verified.bearer

    def _is_current(self, keys: Keys) -> bool:
        return any(source.keys is keys for source in self._issuers.values())

    def _verify(self, token: str) -> Verified:
        if version_of(token) is not Version.ONE:
            # A text that is no token at all is told so.
            unverified(token)
            raise InvalidTokenError(
                "The token is one of Mercure 0.x, because its typ is not at+jwt, and this request "
                "is one of 1.0: send an access token, or subscribe by topic."
            )
        check_length(token)
        _, claimed = unverified(token)
        issuer = claimed.get("iss")
        source = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if source is None:
            raise InvalidTokenError(
                "The token's iss is not one of the hub's issuers for this. It must be equal, and "
                "the roles in BARESTREAM_ISSUERS must allow it."
                if "iss" in claimed
                else "The token has no iss claim."
            )
        keys = source.keys
        if keys is None:
            raise KeysMayHaveChangedError("The keys of the token's issuer are not known.", source)
        try:
            claims = keys.claims(token)
        except UnknownKeyError as error:
            raise KeysMayHaveChangedError(str(error), source) from None
        expires_at, valid_from = time_claim(claims, "exp"), time_claim(claims, "nbf")
        if expires_at is None:
            raise InvalidTokenError("The token has no exp claim.")
        grant = granted(claims)
        shown = tuple(
            Payload(self._selectors(matchers), value) for matchers, value in payloads(claims)
        )
        bearer = Bearer(
            self._selectors(grant.publish),
            self._selectors(grant.subscribe),
            expires_at,
            TokenId.of(token, claims),
            identity_of(claims, shown),
            may_operate=grant.may_operate,
        )
        return Verified(bearer, valid_from, keys, _audience(claims))

    def _selectors(self, matchers: list[Matcher]) -> Selectors:
        try:
            return at_once(selectors(matchers, self._patterns, MOST_TOKEN_PATTERNS))
        except InvalidMatcherError as error:
            raise InvalidTokenError(f"The token's authorization_details: {error}.") from None


def check_length(token: str) -> None:
    """Refuse a token that is too long.

    Raises:
        InvalidTokenError: It has more than MOST_TOKEN_CHARACTERS.
    """
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise InvalidTokenError(
            f"The token has {len(token)} characters; at most {MOST_TOKEN_CHARACTERS} are allowed."
        )


def sign_access_token(  # noqa: PLR0913 (one for each part of a token)
    key: str,
    algorithm: str,
    claims: Mapping[str, Any],
    publish: Sequence[Matcher],
    subscribe: Sequence[Matcher],
    *,
    operate: bool = False,
) -> str:
    """Return a signed access token; its claims and matchers are not checked.

    Args:
        key: A secret (HS*) or a private key in PEM.
        algorithm: One of ``ALGORITHMS``.
        claims: The claims beside ``authorization_details``, such as ``iss`` and ``aud``.
        publish: The topics that it may publish to.
        subscribe: The topics whose private updates it may read.
        operate: Whether it may revoke tokens.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a public one.
    """
    material = read_signing_key(key, algorithm)
    details = [
        {
            "type": DETAIL_TYPE,
            "actions": [action],
            "topics": [matcher._asdict() for matcher in matchers],
        }
        for action, matchers in (
            ("publish", publish),
            ("subscribe", subscribe),
            (OPERATE, OPERATED if operate else ()),
        )
        if matchers
    ]
    payload = json.dumps({**claims, "authorization_details": details}).encode()
    return JWS.encode(payload, material, algorithm, headers={"typ": ACCESS_TOKEN_TYPE})


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return (audience,)
    if isinstance(audience, list) and all(isinstance(each, str) for each in audience):
        return tuple(audience)
    if audience is None:
        raise InvalidTokenError("The token has no aud claim.")
    raise InvalidTokenError("The token's aud claim is not a string or an array of strings.")
