"""Tokens (JWS), which say what their bearer may publish and read: verified and signed.

Pure. Sources: https://mercure.rocks/spec#authorization, RFC 7515 (JWS), RFC 7517 (JWK),
RFC 7518 (algorithms), RFC 7519 (JWT).
"""

import json
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import jwt

from barestream.mercure.keys import (
    JWS,
    Key,
    is_set,
    read_set,
    read_signing_key,
    read_verifying_key,
)
from barestream.mercure.selectors import InvalidSelectorError, Selectors
from barestream.mercure.topics import MOST_CHARACTERS


class InvalidTokenError(Exception):
    """An invalid token; the message is for the client and quotes nothing of the token."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """What the bearer of a token may do.

    Attributes:
        publish: The topics that it may publish to.
        subscribe: The topics whose private updates it may read.
        expires_at: When the token expires, in seconds of the wall clock; None if it never does.
    """

    publish: Selectors
    subscribe: Selectors
    expires_at: float | None


ANONYMOUS = Bearer(Selectors(()), Selectors(()), None)


# The verifier remembers so many verified tokens, because verifying a publisher's token for each
# update took 30 % of a publish. With at most 4 KB each, as much as most requests' headers, they
# take 4 MB.
MOST_REMEMBERED = 1000
MOST_REMEMBERED_CHARACTERS = 4096


class _Verified(NamedTuple):
    """What a token allows, and from when."""

    bearer: Bearer
    valid_from: float | None


class Verifier:
    """Verifies tokens, and remembers the newest ones that it has verified.

    Args:
        key: A secret (HS*), a public key in PEM, or a JWKS: a JSON object with ``keys``.
        algorithm: The one algorithm of the key, from ``ALGORITHMS``. In a JWKS it is the algorithm
            of the keys that name none of their own and that it suits.
        now: The wall clock, in seconds.
        leeway_seconds: How far a token's ``nbf`` may be ahead of the clock.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a private one. In a JWKS this holds for each key; keys of an unsupported kind or
            algorithm and keys for encryption are ignored, but at least one key must remain.
    """

    def __init__(
        self, key: str, algorithm: str, now: Callable[[], float], leeway_seconds: float = 0
    ) -> None:
        self._now = now
        self._leeway_seconds = leeway_seconds
        self._remembered: dict[str, _Verified] = {}
        self._is_set = is_set(key)
        self._keys = (
            read_set(key, algorithm) if self._is_set else [read_verifying_key(key, algorithm)]
        )

    def verify(self, token: str) -> Bearer:
        """Return what a token in compact serialization allows.

        ``exp`` has no leeway. ``nbf`` has one, because an issuer's clock may be ahead, and ``iat``
        is not checked for the same reason. ``aud`` is not checked, because a hub has no name that
        an issuer could know.

        Raises:
            InvalidTokenError: The token is not signed with the key, has expired, is not valid
                yet, or is malformed.
        """
        verified = self._remembered.get(token)
        if verified is None:
            verified = self._verify(token)
            self._remember(token, verified)
        now = self._now()
        bearer, valid_from = verified
        if bearer.expires_at is not None and now >= bearer.expires_at:
            self._remembered.pop(token, None)
            raise InvalidTokenError("The token has expired.")
        if valid_from is not None and now + self._leeway_seconds < valid_from:
            raise InvalidTokenError("The token is not valid yet.")
        return bearer

    def _verify(self, token: str) -> _Verified:
        claims = self._claims(token)
        expires_at, valid_from = _time(claims, "exp"), _time(claims, "nbf")
        allowed = claims.get("mercure", {})
        if not isinstance(allowed, dict):
            raise InvalidTokenError("The token's mercure claim is not an object.")
        publish, subscribe = _selectors(allowed, "publish"), _selectors(allowed, "subscribe")
        return _Verified(Bearer(publish, subscribe, expires_at), valid_from)

    def _remember(self, token: str, verified: _Verified) -> None:
        if len(token) > MOST_REMEMBERED_CHARACTERS:
            return
        if len(self._remembered) >= MOST_REMEMBERED:
            # The oldest token: dicts keep the order of insertion.
            del self._remembered[next(iter(self._remembered))]
        self._remembered[token] = verified

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = self._choose(JWS.get_unverified_header(token))
            payload = JWS.decode(token, key.material, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            raise InvalidTokenError("The token's signature is not that of the hub's key.") from None
        except jwt.InvalidAlgorithmError:
            raise InvalidTokenError(
                "The token's alg is not the algorithm of the hub's key."
            ) from None
        # PyJWT raises a ValueError for text that UTF-8 cannot encode.
        except (jwt.PyJWTError, ValueError):
            raise InvalidTokenError("The token is not a JWT.") from None
        try:
            claims = json.loads(payload)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise InvalidTokenError("The token's payload is not a JSON object.")
        return claims

    def _choose(self, header: dict[str, Any]) -> Key:
        if not self._is_set:
            return self._keys[0]
        name, algorithm = header.get("kid"), header.get("alg")
        fitting = [
            key
            for key in self._keys
            if key.algorithm == algorithm and (name is None or key.id == name)
        ]
        if not fitting:
            raise InvalidTokenError("No key of the hub's JWKS has the token's kid and alg.")
        if len(fitting) > 1:
            raise InvalidTokenError(
                "Several keys of the hub's JWKS have the token's alg; give it a kid that names one."
            )
        return fitting[0]


def sign(
    key: str,
    algorithm: str,
    publish: Iterable[str],
    subscribe: Iterable[str],
    expires_at: float | None,
) -> str:
    """Return a token that a ``Verifier`` with the same secret, or the public key, accepts.

    Args:
        key: A secret (HS*) or a private key in PEM.
        algorithm: One of ``ALGORITHMS``.
        publish: Selectors of the topics that it may publish to.
        subscribe: Selectors of the topics whose private updates it may read.
        expires_at: In seconds of the wall clock, finite; rounded down to a whole second, because
            not every reader accepts a fraction. None for a token that never expires.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a public one.
    """
    material = read_signing_key(key, algorithm)
    claims: dict[str, Any] = {"mercure": {"publish": list(publish), "subscribe": list(subscribe)}}
    if expires_at is not None:
        claims["exp"] = math.floor(expires_at)
    return JWS.encode(json.dumps(claims).encode(), material, algorithm)


def _time(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate, or None if the token has none (RFC 7519, section 2)."""
    if name not in claims:
        return None
    seconds = claims[name]
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        # An integer in JSON may be too large for a float.
        with suppress(OverflowError):
            if math.isfinite(seconds):
                return float(seconds)
    raise InvalidTokenError(f"The token's {name} claim is not a time in seconds.")


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
