"""What tells a token from others, so that it can be revoked. Pure.

Sources: RFC 7519 (JWT); RFC 7518, section 3.4 (the form of ECDSA's signatures); FIPS 186-4 (the
orders of the curves)
"""

import hashlib
import json
import sys
from functools import lru_cache
from typing import Any, NamedTuple

from jwt.utils import base64url_decode, base64url_encode

from barestream.mercure.signatures import InvalidTokenError, time_claim

# Of the curve of each algorithm. With a signature (r, s), anybody can make another valid one for
# the same token: (r, order - s).
_ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int(
        "ffffffffffffffffffffffffffffffffffffffffffffffff"
        "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        16,
    ),
    "ES512": int(
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
        "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        16,
    ),
}

# Issuers have a few headers, each for all of their tokens.
_MOST_HEADERS = 256


class TokenId(NamedTuple):
    """What tells a token from others; it takes about 400 bytes, and each stream holds one.

    Attributes:
        issuer: Its iss; None if it has none.
        jti: Its jti; None if it has none.
        subject: Its sub; None if it has none.
        issued_at: Its iat, in seconds of the wall clock; None if it has none.
        digests: The SHA-256 of the token, and of the other form that its holder can give it.
    """

    issuer: str | None
    jti: str | None
    subject: str | None
    issued_at: float | None
    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, token: str, claims: dict[str, Any]) -> "TokenId":
        """Return that of a verified token; a claim that is malformed counts as none."""
        try:
            issued_at = time_claim(claims, "iat")
        except InvalidTokenError:
            issued_at = None
        issuer = _text(claims.get("iss"))
        return cls(
            # All tokens of an issuer share its name.
            issuer and sys.intern(issuer),
            _text(claims.get("jti")),
            _text(claims.get("sub")),
            issued_at,
            _digests(token),
        )


def _text(claim: object) -> str | None:
    """Return a claim as text; databases number users and tokens, so a number has a text too."""
    if isinstance(claim, int) and not isinstance(claim, bool):
        return str(claim)
    return claim if isinstance(claim, str) else None


def issued_form(token: str) -> str:
    """Return a token as its issuer encodes it.

    Its holder can change the last character of the signature where that has spare bits, and add
    characters to it that are not of base64url; so the signature is encoded anew.

    Raises:
        ValueError: The signature is no base64url.
    """
    signed, _, encoded = token.rpartition(".")
    return f"{signed}.{base64url_encode(base64url_decode(encoded)).decode()}"


def _digests(token: str) -> tuple[bytes, ...]:
    """Return the digests of every form of a token that is valid where this one is."""
    issued = issued_form(token)
    digest = hashlib.sha256(issued.encode()).digest()
    signed, _, encoded = issued.rpartition(".")
    order = _order(signed.partition(".")[0])
    if not order:
        return (digest,)
    signature = base64url_decode(encoded)
    half = len(signature) // 2
    other = (order - int.from_bytes(signature[half:])).to_bytes(half)
    start = f"{signed}.".encode()
    return digest, hashlib.sha256(start + base64url_encode(signature[:half] + other)).digest()


@lru_cache(_MOST_HEADERS)
def _order(header: str) -> int:
    """Return the order of the curve of a verified token's algorithm; 0 if it has no curve."""
    return _ORDERS.get(json.loads(base64url_decode(header))["alg"], 0)
