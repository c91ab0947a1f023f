"""Signed tokens (JWS): the keys that verify them, and what they contain.

Pure. Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7519 (JWT), RFC 8725 (best practices).
"""

import json
import math
from contextlib import suppress
from functools import lru_cache
from typing import Any, Self

import jwt

from barestream.mercure.keys import JWS, InvalidKeyError, Key, is_set, read_set, read_verifying_key
from barestream.mercure.version import Version

# The type of an access token (RFC 9068, section 2.1); RFC 7515 allows it without "application/".
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 (a media type)

# Issuers have a few headers, each for all of their tokens.
_MOST_HEADER_CHARACTERS = 1024
_MOST_HEADERS = 256


class InvalidTokenError(Exception):
    """An invalid token; the message is for the client.

    It quotes nothing of a token that was not verified.

    Attributes:
        cause: The kind of the reason, for programs.
    """

    cause = "invalid"


class WrongKeyError(InvalidTokenError):
    """A token that is not signed with its key."""

    cause = "wrong_key"


class UnknownKeyError(InvalidTokenError):
    """A token that names no key of the set; the set may have changed since it was read."""

    cause = "unknown_key"


class ExpiredTokenError(InvalidTokenError):
    """A token that was valid.

    Attributes:
        expires_at: When it expired, in seconds of the wall clock.
    """

    cause = "expired"

    def __init__(self, expires_at: float) -> None:
        super().__init__("The token has expired.")
        self.expires_at = expires_at


class EarlyTokenError(InvalidTokenError):
    """A token that will be valid."""

    cause = "not_valid_yet"


def version_of(token: str) -> Version:
    """Return the version by whose rules a token is judged: its ``typ`` says so, and nothing else.

    A text that is not a token counts as one of 0.x, which then refuses it.
    """
    header = token.partition(".")[0]
    if len(header) > _MOST_HEADER_CHARACTERS:
        return _version_of_header(header)
    return _remembered_version(header)


def _version_of_header(header: str) -> Version:
    try:
        kind = json.loads(jwt.utils.base64url_decode(header)).get("typ")
    except (ValueError, AttributeError, RecursionError):
        return Version.ZERO
    if isinstance(kind, str) and kind.lower().removeprefix("application/") == ACCESS_TOKEN_TYPE:
        return Version.ONE
    return Version.ZERO


_remembered_version = lru_cache(_MOST_HEADERS)(_version_of_header)


class Keys:
    """The keys that verify the tokens of one issuer.

    Args:
        text: A secret (HS*), a public key in PEM, or a JWKS: a JSON object with ``keys``.
        algorithm: The one algorithm of the key, from ``ALGORITHMS``. In a JWKS it is the algorithm
            of the keys that name none of their own and that it suits.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a private one. In a JWKS this holds for each key; keys of an unsupported kind or
            algorithm and keys for encryption are ignored, but at least one key must remain.
    """

    def __init__(self, text: str, algorithm: str) -> None:
        self._is_set = is_set(text)
        self._keys = (
            read_set(text, algorithm) if self._is_set else [read_verifying_key(text, algorithm)]
        )

    @classmethod
    def public_set(cls, text: str, algorithm: str) -> Self:
        """Return the keys of a JWKS that anybody can read.

        Raises:
            InvalidKeyError: As above; or it is not a JWKS, or has a secret, which anybody knows.
        """
        if not is_set(text):
            raise InvalidKeyError('expected a JWKS: a JSON object with an array "keys"')
        found = cls(text, algorithm)
        if any(key.algorithm.startswith("HS") for key in found._keys):
            raise InvalidKeyError("expected a JWKS without a secret (kty oct)")
        return found

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token in compact serialization, which one of the keys signed.

        Raises:
            InvalidTokenError: The token is malformed, or not signed with one of the keys.
            UnknownKeyError: It names no key of the set.
        """
        try:
            header = JWS.get_unverified_header(token)
            # No extension is supported (RFC 7515, section 4.1.11; RFC 7797).
            if "crit" in header or "b64" in header:
                raise InvalidTokenError("The token's header needs an extension.")
            key = self._choose(header)
            payload = JWS.decode(token, key.material, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            raise WrongKeyError("The token's signature is not that of its key.") from None
        except jwt.InvalidAlgorithmError:
            raise InvalidTokenError("The token's alg is not the algorithm of its key.") from None
        # PyJWT raises a ValueError for text that UTF-8 cannot encode.
        except (jwt.PyJWTError, ValueError):
            raise InvalidTokenError("The token is not a JWT.") from None
        return _object(payload)

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
            raise UnknownKeyError("No key of the JWKS has the token's kid and alg.")
        if len(fitting) > 1:
            raise InvalidTokenError(
                "Several keys of the JWKS have the token's kid and alg; give each key a kid of its "
                "own, and name it in the token."
            )
        return fitting[0]


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token that nobody has verified.

    Raises:
        InvalidTokenError: The token is malformed.
    """
    try:
        whole = JWS.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        raise InvalidTokenError("The token is not a JWT.") from None
    return whole["header"], _object(whole["payload"])


def time_claim(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate, or None if the token has none (RFC 7519, section 2).

    Raises:
        InvalidTokenError: It is not a number.
    """
    if name not in claims:
        return None
    seconds = claims[name]
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        # An integer in JSON may be too large for a float.
        with suppress(OverflowError):
            if math.isfinite(seconds):
                return float(seconds)
    raise InvalidTokenError(f"The token's {name} claim is not a time in seconds.")


def _object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise InvalidTokenError("The token's payload is not a JSON object.")
    return claims
