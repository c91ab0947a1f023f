"""The keys of tokens: secrets, keys in PEM, and JWKS.

Pure. Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (algorithms), RFC 8037 (EdDSA).
"""

import json
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class InvalidKeyError(ValueError):
    """A key that cannot be used; the message says what is expected, and never contains the key."""


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

JWS = jwt.PyJWS(algorithms=ALGORITHMS)

_PRIVATE = (RSAPrivateKey, EllipticCurvePrivateKey, Ed25519PrivateKey, Ed448PrivateKey)


class Key(NamedTuple):
    """A key and the one algorithm that it may be used with.

    Attributes:
        id: Its kid; None if it has none.
        algorithm: One of ``ALGORITHMS``.
        material: The key as PyJWT prepared it.
    """

    id: str | None
    algorithm: str
    material: Any


def is_set(text: str) -> bool:
    """Return whether a key is meant as a JWKS, though its JSON may have a mistake: it is not used
    as a secret then.
    """
    return text.lstrip().startswith("{") and '"keys"' in text


def read_verifying_key(text: str, algorithm: str) -> Key:
    """Return the key that verifies tokens, from a secret or a public key in PEM.

    Raises:
        InvalidKeyError: As with ``Verifier``.
    """
    return Key(None, algorithm, _verifying(_load(text, algorithm), algorithm))


def read_signing_key(text: str, algorithm: str) -> Any:
    """Return PyJWT's form of a secret, or of a private key in PEM.

    Raises:
        InvalidKeyError: As with ``sign``.
    """
    material = _load(text, algorithm)
    if not isinstance(material, (bytes, *_PRIVATE)):
        raise InvalidKeyError(f"expected a private key to sign {algorithm} with, got a public one")
    return material


def _load(source: str | dict[str, Any], algorithm: str) -> Any:
    """Return PyJWT's form of a key for the algorithm, from its text or its JWK."""
    if algorithm not in ALGORITHMS:
        raise InvalidKeyError(f"expected one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    method = JWS.get_algorithm_by_name(algorithm)
    try:
        raw = method.from_jwk(source) if isinstance(source, dict) else source
        material = method.prepare_key(raw)
    # "from None", because the errors of PyJWT and cryptography may quote the key.
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, UnsupportedAlgorithm):
        if isinstance(source, dict):
            raise InvalidKeyError(f"its values are not valid for kty {source['kty']}") from None
        raise InvalidKeyError(
            f"expected {_EXPECTED[algorithm]}, for {algorithm}; another key needs another algorithm"
        ) from None
    if too_short := method.check_key_length(material):
        # PyJWT only recommends a length.
        if isinstance(material, bytes):
            least_bytes = int(algorithm.removeprefix("HS")) // 8
            too_short = (
                f"it is {len(material)} bytes long, and {algorithm} needs at least {least_bytes} "
                "bytes; openssl rand -hex 32 prints a secret of 64"
            )
        raise InvalidKeyError(too_short)
    return material


def _verifying(material: Any, algorithm: str) -> Any:
    if isinstance(material, _PRIVATE):
        raise InvalidKeyError(f"expected a public key to verify {algorithm}, got a private one")
    return material


def read_set(text: str, given: str) -> list[Key]:
    """Return the keys that verify tokens, from a JWKS.

    Args:
        text: A JSON object with ``keys``.
        given: The algorithm of the keys that name none of their own and that it suits.

    Raises:
        InvalidKeyError: As with ``Verifier``.
    """
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


def _read_member(jwk: object, given: str) -> Key | None:
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
    return Key(name, algorithm, _verifying(_load(jwk, algorithm), algorithm))
