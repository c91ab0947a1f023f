"""Access tokens of Mercure 1.0: what they allow, and which ones are refused."""

import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.mercure.access_tokens import (
    MOST_TOKEN_CHARACTERS,
    AccessVerifier,
    KeysMayHaveChangedError,
    sign_access_token,
)
from barestream.mercure.authorization_details import DETAIL_TYPE, MOST_DETAILS, MOST_TOPICS
from barestream.mercure.bearer import MOST_REMEMBERED, Bearer
from barestream.mercure.matchers import Matcher
from barestream.mercure.patterns import Patterns, TooManyPatternsError
from barestream.mercure.signatures import InvalidTokenError, Keys, version_of
from barestream.mercure.tokens import Verifier, sign
from barestream.mercure.topics import HubUrl
from barestream.mercure.version import Version

NOW = 1_800_000_000.0
RESOURCE = "https://hub.example/.well-known/mercure"
ISSUER = "https://issuer.example"
OTHER_ISSUER = "https://other.example"
SECRET = "s" * 64
OTHER_SECRET = "o" * 64
DETAIL = {"type": DETAIL_TYPE, "actions": ["publish"], "topics": [{"match": "a"}]}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": RESOURCE,
    "exp": NOW + 60,
    "authorization_details": [DETAIL],
}


class Source:
    """Keys that a test can replace."""

    def __init__(self, secret: str | None) -> None:
        self.keys: Keys | None = Keys(secret, "HS256") if secret else None

    async def refresh(self) -> bool:
        raise NotImplementedError


def verifier(
    issuers: Mapping[str, Source] | None = None, *, most_patterns: int = 100
) -> AccessVerifier:
    sources = issuers or {ISSUER: Source(SECRET), OTHER_ISSUER: Source(OTHER_SECRET)}
    patterns = Patterns(HubUrl(RESOURCE), most_patterns)
    return AccessVerifier(sources, patterns, lambda: NOW, leeway_seconds=5)


def token_of(
    claims: Mapping[str, Any], *, typ: Any = "at+jwt", secret: str = SECRET, alg: str = "HS256"
) -> str:
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), secret, alg, headers={"typ": typ} if typ else None
    )


def verified(claims: Mapping[str, Any]) -> Bearer:
    return verifier().verify(token_of(claims), RESOURCE)


def with_details(*details: Any) -> dict[str, Any]:
    return {**CLAIMS, "authorization_details": list(details)}


def test_a_token_that_is_signed_here_grants_what_it_says() -> None:
    claims = {key: CLAIMS[key] for key in ("iss", "aud", "exp")}
    publish, subscribe = [Matcher("a"), Matcher("/b/:c", "urlpattern")], [Matcher("*")]
    token = sign_access_token(SECRET, "HS256", claims, publish, subscribe)
    bearer = verifier().verify(token, RESOURCE)
    assert list(bearer.publish) == ["a", "/b/:c"]
    assert bearer.publish.match("https://hub.example/b/1")
    assert list(bearer.subscribe) == ["*"]
    assert bearer.expires_at == NOW + 60


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_the_type_is_compared_as_a_media_type(typ: str) -> None:
    token = token_of(CLAIMS, typ=typ)
    assert version_of(token) is Version.ONE
    assert verifier().verify(token, RESOURCE)


@pytest.mark.parametrize(
    "typ", [None, "JWT", "at+jwt ", "jwt+at", "application/application/at+jwt"]
)
def test_a_token_of_another_type_is_none_of_version_1(typ: str | None) -> None:
    token = token_of(CLAIMS, typ=typ)
    assert version_of(token) is Version.ZERO
    with pytest.raises(InvalidTokenError, match="typ is not at"):
        verifier().verify(token, RESOURCE)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": None}, "iss is not one of"),
        ({"iss": ISSUER + "/"}, "iss is not one of"),
        ({"iss": [ISSUER]}, "iss is not one of"),
        # Each issuer's tokens are verified by its own keys alone.
        ({"iss": OTHER_ISSUER}, "signature"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp claim is not a time"),
        ({"exp": True}, "exp claim is not a time"),
        ({"exp": NOW}, "has expired"),
        ({"nbf": NOW + 6}, "not valid yet"),
        ({"nbf": "x"}, "nbf claim is not a time"),
        ({"aud": None}, "no aud claim"),
        ({"aud": 7}, "aud claim is not a string"),
        ({"aud": [RESOURCE, 7]}, "aud claim is not a string"),
        ({"aud": []}, "aud is not"),
        ({"aud": RESOURCE + "/"}, "aud is not"),
        ({"aud": ["https://elsewhere.example"]}, "aud is not"),
        ({"authorization_details": {}}, "not an array"),
        ({"authorization_details": None}, "not an array"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidTokenError, match=why):
        verified({**CLAIMS, **changed})


@pytest.mark.parametrize("missing", ["iss", "exp", "aud"])
def test_a_token_without_a_claim_that_it_needs_is_refused(missing: str) -> None:
    with pytest.raises(InvalidTokenError):
        verified({name: value for name, value in CLAIMS.items() if name != missing})


def test_a_token_for_several_hubs_is_for_each_of_them() -> None:
    assert verified({**CLAIMS, "aud": ["https://elsewhere.example", RESOURCE]})


def test_a_token_without_details_grants_nothing() -> None:
    bearer = verified({name: CLAIMS[name] for name in ("iss", "aud", "exp")})
    assert [*bearer.publish, *bearer.subscribe] == []


@pytest.mark.parametrize(
    "detail",
    [
        "publish",
        None,
        {},
        {**DETAIL, "type": 7},
        {**DETAIL, "actions": "publish"},
        {**DETAIL, "actions": []},
        {**DETAIL, "actions": ["publish", 7]},
        {"type": DETAIL_TYPE, "topics": [{"match": "a"}]},
        {"type": DETAIL_TYPE, "actions": ["publish"]},
        {**DETAIL, "topics": []},
        {**DETAIL, "topics": {"match": "a"}},
        {**DETAIL, "topics": ["a"]},
        {**DETAIL, "topics": [{}]},
        {**DETAIL, "topics": [{"match": 7}]},
        {**DETAIL, "topics": [{"match": ""}]},
        {**DETAIL, "topics": [{"match": "a\u200bb"}]},
        {**DETAIL, "topics": [{"match": "a" * 2049}]},
        {**DETAIL, "topics": [{"match": "/\ud800"}]},
        {**DETAIL, "topics": [{"match": "/\ud800", "match_type": "urlpattern"}]},
        {**DETAIL, "topics": [{"match": "a", "match_type": "Exact"}]},
        {**DETAIL, "topics": [{"match": "*", "match_type": "regexp"}]},
        {**DETAIL, "topics": [{"match": "a", "match_type": None}]},
        {**DETAIL, "topics": [{"match": "a", "match_type": ["exact"]}]},
        {**DETAIL, "topics": [{"match": "(", "match_type": "urlpattern"}]},
        {**DETAIL, "topics": [{"match": r"(\w{500})", "match_type": "urlpattern"}]},
        {**DETAIL, "topics": [{"match": "/:a", "match_type": "urlpattern"}] * 51},
        {**DETAIL, "topics": [{"match": "a"}] * (MOST_TOPICS + 1)},
        {**DETAIL, "payload": "x"},
        {**DETAIL, "payload": None},
    ],
)
def test_one_bad_detail_refuses_the_whole_token(detail: Any) -> None:
    assert verified(with_details(DETAIL))
    with pytest.raises(InvalidTokenError, match="authorization_details"):
        verified(with_details(DETAIL, detail))


def test_too_many_details_refuse_the_token() -> None:
    assert verified(with_details(*[DETAIL] * MOST_DETAILS))
    with pytest.raises(InvalidTokenError, match="at most 100"):
        verified(with_details(*[DETAIL] * (MOST_DETAILS + 1)))


def test_details_of_other_types_and_unknown_actions_grant_nothing() -> None:
    bearer = verified(
        with_details(
            {"type": "payment", "amount": 7},
            {**DETAIL, "actions": ["moderate"], "topics": [{"match": "b"}]},
            {**DETAIL, "actions": ["moderate", "subscribe"], "topics": [{"match": "c"}]},
            {**DETAIL, "payload": {"a": 1}},
        )
    )
    assert (list(bearer.publish), list(bearer.subscribe)) == (["a"], ["c"])


def test_a_star_is_every_topic_whatever_its_type() -> None:
    for match_type in ("exact", "urlpattern"):
        topics = [{"match": "*", "match_type": match_type}]
        assert verified(with_details({**DETAIL, "topics": topics})).publish.everything


@pytest.mark.parametrize("alg", ["none", "HS384", "hs256", "RS256"])
def test_another_algorithm_than_that_of_the_key_is_refused(alg: str) -> None:
    signed, signature = token_of(CLAIMS).rsplit(".", 1)
    _, payload = signed.split(".")
    encoded = jwt.utils.base64url_encode(json.dumps({"typ": "at+jwt", "alg": alg}).encode())
    with pytest.raises(InvalidTokenError):
        verifier().verify(f"{encoded.decode()}.{payload}.{signature}", RESOURCE)
    with pytest.raises(InvalidTokenError):
        verifier().verify(f"{encoded.decode()}.{payload}.", RESOURCE)


@pytest.mark.parametrize("extension", [{"crit": ["exp"]}, {"b64": True}, {"b64": False}])
def test_a_token_that_needs_an_extension_is_refused(extension: dict[str, Any]) -> None:
    header = json.dumps({"typ": "at+jwt", "alg": "HS256", **extension}).encode()
    encoded = jwt.utils.base64url_encode(header).decode()
    body = jwt.utils.base64url_encode(json.dumps(CLAIMS).encode()).decode()
    algorithm = jwt.api_jws._jws_global_obj.get_algorithm_by_name("HS256")
    signature = algorithm.sign(f"{encoded}.{body}".encode(), SECRET.encode())
    signed = f"{encoded}.{body}.{jwt.utils.base64url_encode(signature).decode()}"
    with pytest.raises(InvalidTokenError):
        verifier().verify(signed, RESOURCE)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.b.c", "a" * 20_000, "\ud800.a.b"])
def test_a_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier().verify(text, RESOURCE)


def test_a_token_that_is_too_long_is_refused_before_it_is_read() -> None:
    header = token_of(CLAIMS).partition(".")[0]
    with pytest.raises(InvalidTokenError, match="characters; at most"):
        verifier().verify(f"{header}.{'!' * MOST_TOKEN_CHARACTERS}.x", RESOURCE)


def test_keys_that_are_not_known_and_keys_that_a_token_does_not_name_may_have_changed() -> None:
    keys = {"kty": "oct", "kid": "old", "k": jwt.utils.base64url_encode(SECRET.encode()).decode()}
    source = Source(None)
    access = verifier({ISSUER: source})
    token = jwt.api_jws.encode(
        json.dumps(CLAIMS).encode(), SECRET, "HS256", headers={"typ": "at+jwt", "kid": "new"}
    )
    for known in (None, Keys(json.dumps({"keys": [keys]}), "HS256")):
        source.keys = known
        with pytest.raises(KeysMayHaveChangedError) as raised:
            access.verify(token, RESOURCE)
        assert raised.value.source is source
    source.keys = Keys(json.dumps({"keys": [{**keys, "kid": "new"}]}), "HS256")
    assert access.verify(token, RESOURCE)


def test_a_token_for_any_of_several_hubs_is_accepted_and_an_error_names_them_all() -> None:
    others = ["https://one.example", "https://two.example"]
    assert verifier().verify(token_of(CLAIMS), *others, RESOURCE)
    with pytest.raises(InvalidTokenError, match=f"aud is not {' or '.join(others)}"):
        verifier().verify(token_of(CLAIMS), *others)


def test_a_verified_token_is_remembered_until_its_issuers_keys_change() -> None:
    source = Source(SECRET)
    access = verifier({ISSUER: source})
    token = token_of(CLAIMS)
    first = access.verify(token, RESOURCE)
    assert access.verify(token, RESOURCE) is first
    # The hub is checked at each use, because it may depend on the request.
    with pytest.raises(InvalidTokenError, match="aud"):
        access.verify(token, "https://elsewhere.example")
    source.keys = Keys(OTHER_SECRET, "HS256")
    with pytest.raises(InvalidTokenError, match="signature"):
        access.verify(token, RESOURCE)


def test_remembered_tokens_are_bounded_in_number() -> None:
    access = verifier()
    for number in range(MOST_REMEMBERED + 10):
        access.verify(token_of({**CLAIMS, "jti": number}), RESOURCE)
    assert len(access._remembered) == MOST_REMEMBERED


def test_remembered_tokens_make_room_for_the_patterns_of_others() -> None:
    access = verifier(most_patterns=2)
    for name in "abcd":
        topics = [{"match": f"/{name}/:x", "match_type": "urlpattern"}]
        assert access.verify(token_of(with_details({**DETAIL, "topics": topics})), RESOURCE)
    topics = [{"match": f"/{name}/:x", "match_type": "urlpattern"} for name in "xyz"]
    with pytest.raises(TooManyPatternsError):
        access.verify(token_of(with_details({**DETAIL, "topics": topics})), RESOURCE)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)
CHANGES = st.dictionaries(
    st.sampled_from([*CLAIMS, "nbf", "mercure", "sub", "iat", "jti"]), JSON, max_size=3
)
TYPES = st.sampled_from(
    [None, "JWT", "at+jwt", "AT+JWT", "application/at+jwt", "at", "secevent+jwt"]
)
MERCURE = {"publish": ["*"], "subscribe": ["*"]}


@given(CHANGES, TYPES)
def test_no_token_passes_by_the_rules_of_the_other_version(
    changes: dict[str, Any], typ: str | None
) -> None:
    # The token has all that both versions ask for, and then some of it is changed.
    token = token_of({**CLAIMS, "mercure": MERCURE, **changes}, typ=typ)
    accepted = []
    for version, verify in (
        (Version.ZERO, Verifier(SECRET, "HS256", lambda: NOW).verify),
        (Version.ONE, lambda token: verifier().verify(token, RESOURCE)),
    ):
        try:
            verify(token)
        except InvalidTokenError:
            continue
        accepted.append(version)
    assert accepted in ([], [version_of(token)])


@given(st.lists(st.text(max_size=20), max_size=3), st.sampled_from([None, NOW + 60]))
def test_a_token_of_0_x_is_never_an_access_token(topics: list[str], expires_at: Any) -> None:
    token = sign(SECRET, "HS256", topics, topics, expires_at)
    with pytest.raises(InvalidTokenError, match="typ is not at"):
        verifier().verify(token, RESOURCE)
