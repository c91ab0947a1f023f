import hashlib
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from barestream.mercure.keys import ALGORITHMS, read_signing_key
from barestream.mercure.signatures import InvalidTokenError, Keys
from barestream.mercure.token_id import TokenId

SECRET = "s" * 64
ISSUER = "https://issuer.example"


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA = pem(rsa.generate_private_key(65537, 2048))
CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
PRIVATE = {
    "HS256": SECRET,
    "HS512": SECRET,
    "RS256": RSA,
    "PS512": RSA,
    "EdDSA": pem(ed25519.Ed25519PrivateKey.generate()),
    **{name: pem(ec.generate_private_key(curve())) for name, curve in CURVES.items()},
}


def signed(algorithm: str, **claims: object) -> str:
    key = read_signing_key(PRIVATE[algorithm], algorithm)
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm)


def public(algorithm: str) -> Keys:
    if algorithm.startswith("HS"):
        return Keys(SECRET, algorithm)
    key = read_signing_key(PRIVATE[algorithm], algorithm).public_key()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key, as_dict=True)
    return Keys(json.dumps({"keys": [jwk]}), algorithm)


def other_form(token: str, order: int) -> str:
    """Return the token with the other valid signature of ECDSA."""
    start, _, encoded = token.rpartition(".")
    signature = jwt.utils.base64url_decode(encoded)
    half = len(signature) // 2
    s = (order - int.from_bytes(signature[half:])).to_bytes(half)
    return f"{start}.{jwt.utils.base64url_encode(signature[:half] + s).decode()}"


def sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_is_known_by_the_digest_of_what_was_issued(algorithm: str) -> None:
    token = signed(algorithm, sub="alice")
    public(algorithm).claims(token)
    assert TokenId.of(token, {}).digests[0] == sha256(token)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_characters_that_a_reader_ignores_make_no_other_token(algorithm: str) -> None:
    token = signed(algorithm, sub="alice")
    tried = 0
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    forms = [f"{token}=", f"{token}==", f"{token[:-3]}!{token[-3:]}", f"{token}\n"]
    for form in (*forms, *(token[:-1] + last for last in alphabet)):
        try:
            public(algorithm).claims(form)
        except InvalidTokenError:
            continue
        tried += 1
        assert sha256(token) in TokenId.of(form, {}).digests, form
    assert tried > 1


def test_every_algorithm_with_a_curve_is_known() -> None:
    assert {name for name in ALGORITHMS if name.startswith("ES")} == {*CURVES}


@pytest.mark.parametrize("algorithm", CURVES)
def test_the_other_signature_of_a_curve_makes_no_other_token(algorithm: str) -> None:
    token = signed(algorithm, sub="alice")
    other = other_form(token, CURVES[algorithm]().group_order)
    assert other != token
    # Whoever has a token can make it, and it is as valid.
    assert public(algorithm).claims(other) == {"sub": "alice"}
    assert TokenId.of(token, {}).digests == (sha256(token), sha256(other))
    assert TokenId.of(other, {}).digests == (sha256(other), sha256(token))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, (None, None, None, None)),
        ({"iss": ISSUER, "jti": "1", "sub": "a", "iat": 5.5}, (ISSUER, "1", "a", 5.5)),
        ({"jti": 1, "sub": 42, "iat": 5}, (None, "1", "42", 5)),
        ({"iss": [], "jti": True, "sub": 1.5, "iat": "5"}, (None, None, None, None)),
        ({"iss": None, "jti": {}, "sub": None, "iat": True}, (None, None, None, None)),
        ({"iss": "", "jti": "", "sub": ""}, ("", "", "", None)),
        ({"iat": float("nan")}, (None, None, None, None)),
        ({"iat": 10**400}, (None, None, None, None)),
    ],
)
def test_the_claims_that_tell_a_token(
    claims: dict[str, object], expected: tuple[object, ...]
) -> None:
    assert TokenId.of(signed("HS256"), claims)[:4] == expected
