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
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from barestream.mercure.topics import MOST_CHARACTERS, InvalidSelectorError, Selectors


class InvalidKeyError(ValueError):
    """A key that cannot be used; the message says what is expected, and never contains the key."""


class InvalidTokenError(Exception):
    """An invalid token; the message is for the client and quotes nothing of the token."""


class _Kind(NamedTuple):
    """A kind of key.

    Attributes:
        kty: The kind as a JWK names it.
        crv: The curve as a JWK names it; None for a kind without curves.
        algorithms: The algorithms that suit it. The first is the default for a key of a JWKS.
        expected: The form of such a key outside of a JWKS.
    """

    kty: str
    crv: str | None
    algorithms: tuple[str, ...]
    expected: str


_KINDS = (
    _Kind(
        "oct",
        None,
        ("HS256", "HS384", "HS512"),
        "a secret that is neither empty nor a key in PEM, SSH, DER or JSON",
    ),
    _Kind(
        "RSA",
        None,
        ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "an RSA key in PEM, without a passphrase",
    ),
    _Kind("EC", "P-256", ("ES256",), "an EC key on P-256 in PEM, without a passphrase"),
    _Kind("EC", "P-384", ("ES384",), "an EC key on P-384 in PEM, without a passphrase"),
    _Kind("EC", "P-521", ("ES512",), "an EC key on P-521 in PEM, without a passphrase"),
    _Kind("OKP", "Ed25519", ("EdDSA",), "an Ed25519 or Ed448 key in PEM, without a passphrase"),
    _Kind("OKP", "Ed448", ("EdDSA",), "an Ed25519 or Ed448 key in PEM, without a passphrase"),
)

_EXPECTED = {algorithm: kind.expected for kind in _KINDS for algorithm in kind.algorithms}

# The names of RFC 7518, section 3.1, and RFC 8037; "none" is not among them.
ALGORITHMS = tuple(_EXPECTED)

_JWS = jwt.PyJWS(algorithms=ALGORITHMS)

_PRIVATE = (RSAPrivateKey, EllipticCurvePrivateKey, Ed25519PrivateKey, Ed448PrivateKey)


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


class _Key(NamedTuple):
    """A key and the one algorithm that it may be used with.

    Attributes:
        id: Its kid; None if it has none.
        algorithm: One of ``ALGORITHMS``.
        material: The key as PyJWT prepared it.
    """

    id: str | None
    algorithm: str
    material: Any


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
        # A JWKS with a mistake in its JSON must not be used as a secret.
        self._is_set = key.lstrip().startswith("{") and '"keys"' in key
        if self._is_set:
            self._keys = _read_set(key, algorithm)
        else:
            self._keys = [_Key(None, algorithm, _verifying(_load(key, algorithm), algorithm))]

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
            key = self._choose(_JWS.get_unverified_header(token))
            payload = _JWS.decode(token, key.material, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            raise InvalidTokenError("The token's signature is not that of the hub's key.") from None
        except jwt.InvalidAlgorithmError:
            raise InvalidTokenError(
                "The token's alg is not the algorithm of the hub's key."
            ) from None
        # PyJWT raises a ValueError for text that UTF-8 cannot encode.
        except (jwt.PyJWTError, ValueError):
            raise InvalidTokenError("The token is not a JWS in compact serialization.") from None
        try:
            claims = json.loads(payload)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise InvalidTokenError("The token's payload is not a JSON object.")
        return claims

    def _choose(self, header: dict[str, Any]) -> _Key:
        if not self._is_set:
            return self._keys[0]
        name, algorithm = header.get("kid"), header.get("alg")
        fitting = [
            key
            for key in self._keys
            if key.algorithm == algorithm and (name is None or key.id == name)
        ]
        if len(fitting) != 1:
            raise InvalidTokenError(
                f"{len(fitting)} keys of the hub's JWKS fit the token's kid and alg; expected one."
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
    material = _load(key, algorithm)
    if not isinstance(material, (bytes, *_PRIVATE)):
        raise InvalidKeyError(f"expected a private key to sign {algorithm} with, got a public one")
    claims: dict[str, Any] = {"mercure": {"publish": list(publish), "subscribe": list(subscribe)}}
    if expires_at is not None:
        claims["exp"] = math.floor(expires_at)
    return _JWS.encode(json.dumps(claims).encode(), material, algorithm)


def _load(source: str | dict[str, Any], algorithm: str) -> Any:
    """Return PyJWT's form of a key for the algorithm, from its text or its JWK."""
    if algorithm not in ALGORITHMS:
        raise InvalidKeyError(f"expected one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    method = _JWS.get_algorithm_by_name(algorithm)
    try:
        raw = method.from_jwk(source) if isinstance(source, dict) else source
        material = method.prepare_key(raw)
    # "from None", because the errors of PyJWT and cryptography may quote the key.
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, UnsupportedAlgorithm):
        if isinstance(source, dict):
            raise InvalidKeyError(f"its values are not valid for kty {source['kty']}") from None
        raise InvalidKeyError(f"expected {_EXPECTED[algorithm]}, for {algorithm}") from None
    too_short = method.check_key_length(material)
    if too_short:
        raise InvalidKeyError(too_short)
    return material


def _verifying(material: Any, algorithm: str) -> Any:
    if isinstance(material, _PRIVATE):
        raise InvalidKeyError(f"expected a public key to verify {algorithm}, got a private one")
    return material


def _read_set(text: str, given: str) -> list[_Key]:
    try:
        members = json.loads(text)["keys"]
    except (ValueError, RecursionError, LookupError, TypeError):
        members = None
    if not isinstance(members, list):
        raise InvalidKeyError('expected a JWKS: a JSON object with an array "keys"')
    keys = []
    for number, member in enumerate(members, 1):
        try:
            key = _read_member(member, given)
        except InvalidKeyError as error:
            raise InvalidKeyError(f"key {number} of the JWKS: {error}") from None
        if key is not None:
            keys.append(key)
    if not keys:
        raise InvalidKeyError(f"expected a JWKS with a key for one of {', '.join(ALGORITHMS)}")
    return keys


def _read_member(jwk: object, given: str) -> _Key | None:
    """Return a key of a JWKS, or None if it is to be ignored (RFC 7517, section 5)."""
    if not isinstance(jwk, dict):
        raise InvalidKeyError("it is not a JSON object")
    name = jwk.get("kid")
    if not isinstance(name, str | None):
        raise InvalidKeyError("its kid is not a string")
    kind = next(
        (
            kind
            for kind in _KINDS
            if kind.kty == jwk.get("kty") and kind.crv in (None, jwk.get("crv"))
        ),
        None,
    )
    if kind is None or jwk.get("use", "sig") != "sig":
        return None
    meant = given if given in kind.algorithms else kind.algorithms[0]
    algorithm = jwk.get("alg", meant)
    if algorithm not in ALGORITHMS:
        return None
    if algorithm not in kind.algorithms:
        raise InvalidKeyError(f"its alg {algorithm} does not fit its kty and crv")
    return _Key(name, algorithm, _verifying(_load(jwk, algorithm), algorithm))


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
