import hashlib
import hmac
import json
import math
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from barestream.mercure.bearer import ANONYMOUS, MOST_REMEMBERED, MOST_REMEMBERED_CHARACTERS, Bearer
from barestream.mercure.keys import ALGORITHMS, InvalidKeyError
from barestream.mercure.signatures import InvalidTokenError
from barestream.mercure.tokens import Verifier, sign

NOW = 1_800_000_000.0
SECRET = "s" * 64

RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
ED448 = ed448.Ed448PrivateKey.generate()


def private_pem(key: Any, encryption: KeySerializationEncryption | None = None) -> str:
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    ).decode()


def public_pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_jwk(key: Any, algorithm: str, **members: object) -> dict[str, Any]:
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    # PyJWT's own "key_ops" would only get in the way here.
    return {name: value for name, value in jwk.items() if name != "key_ops"} | members


def secret_jwk(secret: str, **members: object) -> dict[str, Any]:
    return {"kty": "oct", "k": encoded(secret.encode()), **members}


def jwks(*keys: object) -> str:
    return json.dumps({"keys": keys})


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(header: object, payload: bytes, secret: str = SECRET) -> str:
    """Return a token as no library would make it."""
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(payload)}"
    mac = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{encoded(mac)}"


def token_of(claims: object) -> str:
    return hs256({"alg": "HS256"}, json.dumps(claims).encode())


def publisher_token(key: str, algorithm: str, kid: str | None = None) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.encode({"mercure": {"publish": ["a"]}}, key, algorithm, headers)


def verified(token: str, key: str = SECRET, algorithm: str = "HS256") -> Bearer:
    return Verifier(key, algorithm, lambda: NOW).verify(token)


PAIRS = [
    *((SECRET, SECRET, algorithm) for algorithm in ("HS256", "HS384", "HS512")),
    *(
        (private_pem(key), public_pem(key), algorithm)
        for key, algorithm in [
            *((RSA, f"{family}{bits}") for family in ("RS", "PS") for bits in (256, 384, 512)),
            (P256, "ES256"),
            (P384, "ES384"),
            (P521, "ES512"),
            (ED25519, "EdDSA"),
            (ED448, "EdDSA"),
        ]
    ),
]


@pytest.mark.parametrize(("private", "public", "algorithm"), PAIRS)
def test_a_token_signed_with_one_key_is_verified_by_its_counterpart(
    private: str, public: str, algorithm: str
) -> None:
    token = sign(private, algorithm, ["a", "b/{id}"], ["*"], NOW + 60.9)
    bearer = verified(token, public, algorithm)
    assert list(bearer.publish) == ["a", "b/{id}"]
    assert list(bearer.subscribe) == ["*"]
    assert bearer.expires_at == NOW + 60


def test_every_algorithm_has_a_pair_of_keys_in_these_tests() -> None:
    assert {algorithm for *_, algorithm in PAIRS} == set(ALGORITHMS)


def test_a_token_without_exp_never_expires() -> None:
    assert verified(sign(SECRET, "HS256", [], [], None)).expires_at is None


@pytest.mark.parametrize("claims", [{}, {"mercure": {}}, {"mercure": {"publish": None}}])
def test_a_token_that_grants_nothing_is_valid(claims: dict[str, Any]) -> None:
    bearer = verified(token_of(claims))
    assert [*bearer.publish, *bearer.subscribe] == []
    assert not bearer.publish.match("a")


def test_an_anonymous_bearer_has_no_rights() -> None:
    assert [*ANONYMOUS.publish, *ANONYMOUS.subscribe] == []
    assert ANONYMOUS.expires_at is None


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW + 0.5},
        {"exp": 1e308},
        {"nbf": NOW},
        {"nbf": -1},
        {"iat": NOW + 60},
        {"aud": "another hub"},
        {"sub": 7},
        {"mercure": {"publish": [], "payload": {"any": "thing"}}},
    ],
)
def test_a_token_with_such_claims_is_valid(claims: dict[str, Any]) -> None:
    assert verified(token_of(claims)).expires_at == claims.get("exp")


def test_a_signature_is_verified_once_and_the_times_at_every_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [NOW]
    verifier = Verifier(SECRET, "HS256", lambda: clock[0])
    token = token_of({"nbf": NOW, "exp": NOW + 10, "mercure": {"publish": ["a"]}})
    first = verifier.verify(token)
    monkeypatch.setattr(verifier, "_verify", lambda _: pytest.fail("it was verified again"))
    assert verifier.verify(token) is first
    clock[0] = NOW - 1
    with pytest.raises(InvalidTokenError, match="not valid yet"):
        verifier.verify(token)
    clock[0] = NOW + 10
    with pytest.raises(InvalidTokenError, match="has expired"):
        verifier.verify(token)


def test_remembered_tokens_are_bounded_in_number_and_refused_ones_are_not_remembered() -> None:
    verifier = Verifier(SECRET, "HS256", lambda: NOW)
    for number in range(MOST_REMEMBERED + 10):
        verifier.verify(token_of({"jti": number}))
    verifier.verify(token_of({"jti": "x" * MOST_REMEMBERED_CHARACTERS}))
    for bad in ("a.b.c", token_of({"exp": NOW - 1})):
        with pytest.raises(InvalidTokenError):
            verifier.verify(bad)
    assert len(verifier._remembered) <= MOST_REMEMBERED
    assert verifier._remembered.get(token_of({"jti": 0})) is None
    assert verifier._remembered.get(token_of({"exp": NOW - 1})) is None


def test_the_leeway_applies_to_nbf_and_not_to_exp() -> None:
    verifier = Verifier(SECRET, "HS256", lambda: NOW, leeway_seconds=5)
    assert verifier.verify(token_of({"nbf": NOW + 5})).expires_at is None
    for claims, message in (
        ({"nbf": NOW + 5.5}, "The token is not valid yet."),
        ({"exp": NOW}, "The token has expired."),
    ):
        with pytest.raises(InvalidTokenError, match=message):
            verifier.verify(token_of(claims))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW}, "The token has expired."),
        ({"exp": -1e308}, "The token has expired."),
        ({"nbf": NOW + 0.5}, "The token is not valid yet."),
        *(
            ({name: value}, f"The token's {name} claim is not a time in seconds.")
            for name in ("exp", "nbf")
            for value in (
                None,
                True,
                "1800000060",
                [],
                math.nan,
                math.inf,
                -math.inf,
                10**400,
                -(10**400),
            )
        ),
        *(
            ({"mercure": value}, "The token's mercure claim is not an object.")
            for value in (None, [], "*", 1)
        ),
        *(
            (
                {"mercure": {name: value}},
                f"The token's mercure.{name} claim is not an array of strings.",
            )
            for name in ("publish", "subscribe")
            for value in ("*", {}, [1], ["a", None], False)
        ),
        (
            {"mercure": {"publish": ["a" * 2049]}},
            "A selector in the token's mercure.publish has more than 2048 characters.",
        ),
        *((value, "The token's payload is not a JSON object.") for value in (None, [], "a", 1)),
    ],
)
def test_a_signed_token_with_such_claims_is_refused(claims: object, message: str) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        verified(token_of(claims))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff", b'{"exp":' + b"9" * 5000 + b"}", b"[" * 100_000],
    ids=["empty", "cut", "no text", "long number", "deep"],
)
def test_a_signed_payload_that_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidTokenError, match="payload is not a JSON object"):
        verified(hs256({"alg": "HS256"}, payload))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "crit": ["x"], "x": 1},
        {"alg": "HS256", "crit": "x"},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "kid": 1},
        [],
    ],
)
def test_a_header_with_an_unknown_requirement_is_refused(header: object) -> None:
    with pytest.raises(InvalidTokenError, match="not a JWT"):
        verified(hs256(header, b"{}"))


@pytest.mark.parametrize("token", ["", "a", "a.b", "..", "a.b.c", "a.b.c.d", "é.é.é", "\ud800"])
def test_text_that_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError, match="not a JWT"):
        verified(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["HS256"], "HS512"])
def test_a_token_does_not_choose_its_algorithm(algorithm: object) -> None:
    token = hs256({"alg": algorithm}, b"{}")
    for forged in (token, token.rpartition(".")[0] + "."):
        with pytest.raises(InvalidTokenError):
            verified(forged)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
@pytest.mark.parametrize("key", [public_pem(RSA), jwks(public_jwk(RSA, "RS256"))])
def test_a_public_key_is_not_accepted_as_a_secret(key: str, algorithm: str) -> None:
    token = hs256({"alg": algorithm}, b"{}", public_pem(RSA))
    with pytest.raises(InvalidTokenError):
        verified(token, key, "RS256")


@pytest.mark.parametrize(("private", "public", "algorithm"), PAIRS)
def test_a_signature_verifies_only_whole_and_only_for_its_own_payload(
    private: str, public: str, algorithm: str
) -> None:
    token = sign(private, algorithm, ["a"], [], None)
    header, payload, signature = token.split(".")
    other = sign(private, algorithm, ["*"], [], None).split(".")[1]
    for forged in (
        f"{header}.{payload}.{signature[:-4]}",
        f"{header}.{payload}.",
        f"{header}.{other}.{signature}",
    ):
        with pytest.raises(InvalidTokenError) as caught:
            verified(forged, public, algorithm)
        assert str(caught.value) in {
            "The token's signature is not that of its key.",
            "The token is not a JWT.",
        }


def test_a_token_signed_with_another_key_of_the_same_kind_is_refused() -> None:
    with pytest.raises(InvalidTokenError, match="signature is not that of its key"):
        verified(sign("t" * 64, "HS256", [], [], None))


SET = jwks(
    public_jwk(RSA, "RS256", kid="rsa", alg="PS256", use="sig"),
    public_jwk(P256, "ES256", kid="p-256"),
    public_jwk(ED25519, "EdDSA", kid="ed25519"),
    secret_jwk(SECRET, kid="old"),
    secret_jwk("t" * 64, kid="new"),
    {"kty": "RSA", "kid": "for encryption", "use": "enc"},
    {"kty": "RSA", "kid": "for encryption too", "alg": "RSA-OAEP"},
    {"kty": "AKP", "kid": "of the future", "alg": "ML-DSA-44"},
)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (private_pem(RSA), "PS256", "rsa"),
        (private_pem(P256), "ES256", "p-256"),
        (private_pem(ED25519), "EdDSA", "ed25519"),
        (SECRET, "HS512", "old"),
        ("t" * 64, "HS512", "new"),
        (private_pem(RSA), "PS256", None),
        (private_pem(P256), "ES256", None),
    ],
)
def test_a_key_set_verifies_with_the_key_that_the_token_names_or_the_only_one_that_fits(
    key: str, algorithm: str, kid: str | None
) -> None:
    bearer = verified(publisher_token(key, algorithm, kid), f"\n{SET}\n", "HS512")
    assert list(bearer.publish) == ["a"]


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (private_pem(RSA), "PS256", "unknown"),
        (private_pem(RSA), "PS256", "p-256"),
        (private_pem(RSA), "RS256", "rsa"),
        (private_pem(P256), "ES256", "rsa"),
        (SECRET, "HS512", "new"),
        (SECRET, "HS256", "old"),
        (SECRET, "HS512", None),
        (private_pem(RSA), "RS256", "for encryption"),
    ],
)
def test_a_key_set_does_not_verify_with_another_key_or_algorithm(
    key: str, algorithm: str, kid: str | None
) -> None:
    with pytest.raises(InvalidTokenError):
        verified(publisher_token(key, algorithm, kid), SET, "HS512")


@pytest.mark.parametrize(
    ("key", "jwk_algorithm", "algorithm"),
    [
        (P256, "ES256", "ES256"),
        (P384, "ES384", "ES384"),
        (P521, "ES512", "ES512"),
        (ED25519, "EdDSA", "EdDSA"),
        (ED448, "EdDSA", "EdDSA"),
        (RSA, "RS256", "RS256"),
    ],
)
def test_a_key_in_a_set_without_an_algorithm_uses_that_of_its_kind(
    key: Any, jwk_algorithm: str, algorithm: str
) -> None:
    token = sign(private_pem(key), algorithm, [], [], None)
    verified(token, jwks(public_jwk(key, jwk_algorithm)), "HS256")


def test_a_key_in_a_set_without_an_algorithm_uses_the_given_one_if_it_fits() -> None:
    token = sign(private_pem(RSA), "PS512", [], [], None)
    verified(token, jwks(public_jwk(RSA, "RS256")), "PS512")


@pytest.mark.parametrize(
    ("key", "algorithm", "message"),
    [
        ("s" * 31, "HS256", "31 bytes long, .* 32 bytes"),
        ("s" * 47, "HS384", "47 bytes long, .* 48 bytes"),
        ("s" * 63, "HS512", "63 bytes long, .* 64 bytes"),
        ("", "HS256", "expected a secret that is neither empty nor.*for HS256"),
        ("\udcff" * 32, "HS256", "expected a secret.*for HS256"),
        (public_pem(RSA), "HS256", "expected a secret .* PEM.*for HS256"),
        (private_pem(RSA), "HS256", "expected a secret .* PEM.*for HS256"),
        (json.dumps(secret_jwk(SECRET)), "HS256", "expected a secret .* JSON.*for HS256"),
        (SECRET, "RS256", "expected an RSA key in PEM.*for RS256"),
        (SECRET, "ES256", "expected an EC key on P-256 in PEM.*for ES256"),
        (SECRET, "EdDSA", "expected an Ed25519 or Ed448 key in PEM.*for EdDSA"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            "EdDSA",
            "expected .*for EdDSA",
        ),
        (public_pem(P256), "RS256", "expected an RSA key.*for RS256"),
        (public_pem(P384), "ES256", "expected an EC key on P-256.*for ES256"),
        (public_pem(RSA), "EdDSA", "expected an Ed25519 or Ed448 key.*for EdDSA"),
        (public_pem(SMALL_RSA), "RS256", "1024 bits long, .* 2048 bits"),
        (private_pem(RSA, BestAvailableEncryption(b"x")), "RS256", "without a passphrase"),
        (private_pem(P256, BestAvailableEncryption(b"x")), "ES256", "without a passphrase"),
        (private_pem(ED25519), "EdDSA", "expected a public key to verify EdDSA"),
        (SECRET, "none", "expected one of HS256, .*got 'none'"),
        (SECRET, "ES256K", "expected one of HS256, .*got 'ES256K'"),
        ('{"keys": [', "HS256", "expected a JWKS: a JSON object"),
        ('{"keys": 1}', "HS256", "expected a JWKS: a JSON object"),
        (jwks(), "HS256", "expected a JWKS with a key for one of HS256, "),
        (jwks({"kty": "RSA", "use": "enc"}), "HS256", "expected a JWKS with a key for one of"),
        (jwks(secret_jwk(SECRET), 1), "HS256", "key 2 of the JWKS: it is not a JSON object"),
        (jwks(secret_jwk(SECRET, kid=1)), "HS256", "key 1 of the JWKS: its kid is not a string"),
        (jwks(secret_jwk("s" * 31)), "HS256", "key 1 of the JWKS: .* 31 bytes long"),
        (jwks(secret_jwk(public_pem(RSA))), "HS256", "its values are not valid for kty oct"),
        (jwks({"kty": "oct"}), "HS256", "its values are not valid for kty oct"),
        (
            jwks({"kty": "RSA", "n": 1, "e": "AQAB"}),
            "RS256",
            "its values are not valid for kty RSA",
        ),
        (
            jwks({"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
            "EdDSA",
            "its values are not valid for kty OKP",
        ),
        (
            jwks(secret_jwk(SECRET, alg="RS256")),
            "HS256",
            "its alg RS256 does not fit its kty and crv",
        ),
        (
            jwks(public_jwk(P384, "ES384", alg="ES256")),
            "HS256",
            "its alg ES256 does not fit its kty and crv",
        ),
        (
            jwks(jwt.get_algorithm_by_name("EdDSA").to_jwk(ED25519, as_dict=True)),
            "EdDSA",
            "key 1 of the JWKS: expected a public key to verify EdDSA",
        ),
    ],
)
def test_a_key_that_cannot_verify_is_refused_at_once_and_never_shown(
    key: str, algorithm: str, message: str
) -> None:
    with pytest.raises(InvalidKeyError, match=message) as caught:
        Verifier(key, algorithm, lambda: NOW)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for part in filter(lambda part: len(part) > 20, key.splitlines()):
        assert part not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "algorithm", "message"),
    [
        ("s" * 31, "HS256", "31 bytes long, .* 32 bytes"),
        (public_pem(RSA), "HS256", "expected a secret.*for HS256"),
        (public_pem(RSA), "RS256", "expected a private key to sign RS256"),
        (private_pem(SMALL_RSA), "RS256", "1024 bits long, .* 2048 bits"),
        (public_pem(ED25519), "EdDSA", "expected a private key to sign EdDSA"),
        (private_pem(P384), "ES256", "expected an EC key on P-256.*for ES256"),
        (SET, "HS256", "expected a secret .* JSON.*for HS256"),
        (SECRET, "none", "expected one of HS256, .*got 'none'"),
    ],
)
def test_a_key_that_cannot_sign_is_refused(key: str, algorithm: str, message: str) -> None:
    with pytest.raises(InvalidKeyError, match=message):
        sign(key, algorithm, [], [], None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
CLAIMS = st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "sub", "jti"]), JSON)
MERCURE = st.dictionaries(
    st.sampled_from(["publish", "subscribe", "payload"]),
    JSON | st.lists(st.text(st.characters(exclude_categories=[]))),
)
HEADERS = st.dictionaries(st.sampled_from(["kid", "crit", "b64", "typ", "cty", "x"]), JSON)
VERIFIERS = [Verifier(public, algorithm, lambda: NOW) for _, public, algorithm in PAIRS] + [
    Verifier(SET, "HS256", lambda: NOW)
]
quickly = settings(max_examples=50)


def counts_or_not(token: str) -> None:
    for verifier in VERIFIERS:
        with suppress(InvalidTokenError):
            verifier.verify(token).publish.match("a")


@quickly
@given(
    st.text(st.characters(exclude_categories=[]))
    | st.from_regex(r"([A-Za-z0-9_-]{0,20}\.){2}[=A-Za-z0-9_-]{0,20}", fullmatch=True)
)
def test_any_text_is_accepted_or_refused_without_another_error(text: str) -> None:
    counts_or_not(text)


@quickly
@given(JSON | CLAIMS | MERCURE.map(lambda mercure: {"mercure": mercure}))
def test_a_signed_token_with_any_payload_is_accepted_or_refused(claims: object) -> None:
    counts_or_not(token_of(claims))


@quickly
@given(JSON | HEADERS, st.sampled_from(ALGORITHMS) | JSON, st.binary())
def test_a_token_with_any_header_and_signature_is_accepted_or_refused(
    header: object, algorithm: object, signature: bytes
) -> None:
    if isinstance(header, dict):
        header = {**header, "alg": algorithm}
    token = hs256(header, b"{}")
    counts_or_not(token)
    counts_or_not(f"{token.rpartition('.')[0]}.{encoded(signature)}")
