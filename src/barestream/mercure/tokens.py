"""Tokens of Mercure 0.x, which say what their bearer may publish and read: verified and signed.

Pure. Sources: the specification in the tag v0.24.2 of dunglas/mercure, RFC 7519 (JWT).
"""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from barestream.mercure.bearer import Bearer, Remembered, Verified
from barestream.mercure.identity import Payload, canonical, identity_of
from barestream.mercure.keys import JWS, read_signing_key
from barestream.mercure.selectors import InvalidSelectorError, Selectors
from barestream.mercure.signatures import InvalidTokenError, Keys, time_claim, version_of
from barestream.mercure.token_id import TokenId
from barestream.mercure.topics import EVERYTHING, MOST_CHARACTERS
from barestream.mercure.version import Version

# The cookie that carries a token.
COOKIE = "mercureAuthorization"

# The one payload of a token is that of each of its bearer's subscriptions.
_ALL = Selectors([EVERYTHING])


class Verifier:
    """Verifies tokens, and remembers the newest ones that it has verified.

    Args:
        key: A secret (HS*), a public key in PEM, or a JWKS: a JSON object with ``keys``.
        algorithm: The one algorithm of the key, from ``ALGORITHMS``. In a JWKS it is the algorithm
            of the keys that name none of their own and that it suits.
        now: The wall clock, in seconds.
        leeway_seconds: How far a token's ``nbf`` may be ahead of the clock.

    Raises:
        InvalidKeyError: As with ``Keys``.
    """

    def __init__(
        self, key: str, algorithm: str, now: Callable[[], float], leeway_seconds: float = 0
    ) -> None:
        self._keys = Keys(key, algorithm)
        self._remembered = Remembered(now, leeway_seconds)

    def verify(self, token: str) -> Bearer:
        """Return what a token in compact serialization allows.

        ``exp`` has no leeway. ``nbf`` has one, because an issuer's clock may be ahead, and ``iat``
        is not checked for the same reason. ``aud`` is not checked, because a hub of 0.x has no name
        that an issuer could know.

        Raises:
            InvalidTokenError: The token is not signed with the key, has expired, is not valid
                yet, is malformed, or is one of Mercure 1.0.
        """
        verified = self._remembered.get(token)
        if verified is None:
            verified = self._verify(token)
            self._remembered.add(token, verified)
        return verified.bearer

    def _verify(self, token: str) -> Verified:
        if version_of(token) is not Version.ZERO:
            raise InvalidTokenError(
                "The token is one of Mercure 1.0, because its typ is at+jwt, and this request is "
                "one of 0.x: send a token of 0.x, or subscribe by match."
            )
        claims = self._keys.claims(token)
        expires_at, valid_from = time_claim(claims, "exp"), time_claim(claims, "nbf")
        allowed = claims.get("mercure", {})
        if not isinstance(allowed, dict):
            raise InvalidTokenError("The token's mercure claim is not an object.")
        publish, subscribe = _selectors(allowed, "publish"), _selectors(allowed, "subscribe")
        may_operate = allowed.get("operate", False)
        if not isinstance(may_operate, bool):
            raise InvalidTokenError("The token's mercure.operate claim is not true or false.")
        payload = allowed.get("payload")
        payloads = () if payload is None else (Payload(_ALL, canonical(payload)),)
        bearer = Bearer(
            publish,
            subscribe,
            expires_at,
            TokenId.of(token, claims),
            identity_of(claims, payloads),
            may_operate=may_operate,
        )
        return Verified(bearer, valid_from, self._keys)


def sign(  # noqa: PLR0913 (one for each part of a token)
    key: str,
    algorithm: str,
    publish: Iterable[str],
    subscribe: Iterable[str],
    expires_at: float | None,
    *,
    operate: bool = False,
) -> str:
    """Return a token that a ``Verifier`` with the same secret, or the public key, accepts.

    Args:
        key: A secret (HS*) or a private key in PEM.
        algorithm: One of ``ALGORITHMS``.
        publish: Selectors of the topics that it may publish to.
        subscribe: Selectors of the topics whose private updates it may read.
        expires_at: In seconds of the wall clock, finite; rounded down to a whole second, because
            not every reader accepts a fraction. None for a token that never expires.
        operate: Whether it may revoke tokens.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a public one.
    """
    material = read_signing_key(key, algorithm)
    claims: dict[str, Any] = {"mercure": {"publish": list(publish), "subscribe": list(subscribe)}}
    if operate:
        claims["mercure"]["operate"] = True
    if expires_at is not None:
        claims["exp"] = math.floor(expires_at)
    return JWS.encode(json.dumps(claims).encode(), material, algorithm)


def _selectors(allowed: dict[str, Any], name: str) -> Selectors:
    texts = allowed.get(name)
    # Go writes an empty list as null, also in the reference hub's own claims.
    if texts is None:
        texts = []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidTokenError(f"The token's mercure.{name} claim is not an array of strings.")
    try:
        return Selectors(texts)
    except InvalidSelectorError:
        raise InvalidTokenError(
            f"A selector in the token's mercure.{name} has more than {MOST_CHARACTERS} characters."
        ) from None
