"""Who a token was given to, as presence counts its bearer."""

import json
from typing import Any

import jwt
import pytest

from barestream.mercure.access_tokens import AccessVerifier
from barestream.mercure.authorization_details import DETAIL_TYPE
from barestream.mercure.bearer import ANONYMOUS
from barestream.mercure.identity import NOBODY, Identity
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import InvalidTokenError, Keys
from barestream.mercure.tokens import Verifier
from barestream.mercure.topics import HubUrl

NOW = 1_800_000_000.0
SECRET = "s" * 64
HUB = "https://hub.example/.well-known/mercure"
ISSUER = "https://issuer.example"


class Source:
    keys = Keys(SECRET, "HS256")

    async def refresh(self) -> bool:
        return False


def of_0(payload: Any = None, **claims: Any) -> Identity:
    token = jwt.encode({"mercure": {"payload": payload}, **claims}, SECRET, "HS256")
    return Verifier(SECRET, "HS256", lambda: NOW).verify(token).identity


def of_1(*details: dict[str, Any], **claims: Any) -> Identity:
    usual = {"iss": ISSUER, "aud": HUB, "exp": NOW + 60, "authorization_details": details}
    token = jwt.encode({**usual, **claims}, SECRET, "HS256", headers={"typ": "at+jwt"})
    patterns = Patterns(HubUrl(HUB), 100)
    verifier = AccessVerifier({ISSUER: Source()}, patterns, lambda: NOW)
    return verifier.verify(token, HUB).identity


def detail(*topics: dict[str, str], actions: Any = ("subscribe",), **more: Any) -> dict[str, Any]:
    return {"type": DETAIL_TYPE, "actions": actions, "topics": topics, **more}


def test_a_token_of_0_has_one_payload_for_all_subscriptions() -> None:
    identity = of_0({"b": [1, "é"], "a": None}, sub="alice", iss="x")
    assert identity.payload("anything") == identity.payload("*")
    assert identity.payload("anything") == '{"a":null,"b":[1,"\\u00e9"]}'
    assert (identity.issuer, identity.subject) == ("x", "alice")


def test_the_first_detail_that_covers_a_subscription_has_its_payload() -> None:
    exact = {"match": "https://example.com/bar"}
    pattern = {"match": "https://example.com/:id", "match_type": "urlpattern"}
    identity = of_1(
        detail({"match": "https://other.example"}, payload={"tag": "other"}),
        detail(exact, actions=["publish"], payload={"tag": "of a publisher"}),
        detail(pattern, payload={"tag": "pattern"}),
        detail(exact, payload={"tag": "exact"}),
    )
    assert json.loads(identity.payload("https://example.com/bar")) == {"tag": "pattern"}
    # The matcher itself is what the detail must cover, as if it were a topic.
    assert json.loads(identity.payload("https://example.com/:id")) == {"tag": "pattern"}
    assert identity.payload("https://elsewhere.example/bar") == ""


def test_a_detail_without_a_payload_hides_those_after_it() -> None:
    identity = of_1(
        detail({"match": "a"}), detail({"match": "*"}, payload={"tag": "default"}), sub="bob"
    )
    assert identity.payload("a") == ""
    assert identity.payload("b") == '{"tag":"default"}'


def test_a_payload_is_not_read_where_a_claim_of_0_is_in_a_token_of_1() -> None:
    assert of_1(detail({"match": "a"}), mercure={"payload": {"x": 1}}).payload("a") == ""


@pytest.mark.parametrize("claims", [{}, {"sub": 5}, {"sub": ""}, {"sub": "\ud800"}])
def test_a_token_without_a_name_in_unicode_names_nobody(claims: dict[str, Any]) -> None:
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, "HS256")
    identity = Verifier(SECRET, "HS256", lambda: NOW).verify(token).identity
    assert identity == NOBODY
    assert list(identity.keys()) == []
    assert identity.key("") == ""


def test_nobody_is_who_has_no_token() -> None:
    assert ANONYMOUS.identity == NOBODY


def test_a_payload_with_a_number_that_json_has_not_refuses_the_token() -> None:
    with pytest.raises(InvalidTokenError, match="JSON"):
        of_0({"x": float("nan")})


def test_the_same_user_is_who_has_the_same_issuer_and_sub() -> None:
    alice = of_0({"tab": 1}, sub="alice", iss="a")
    assert alice.key(alice.payload("t")) == of_0({"tab": 2}, sub="alice", iss="a").key("other")
    others = [of_0(sub="alice", iss="b"), of_0(sub="bob", iss="a"), of_0('"alice"', iss="a")]
    keys = {alice.key(""), *(each.key(each.payload("t")) for each in others)}
    assert len(keys) == 4
    assert list(alice.keys()) == [alice.key("")]


def test_without_sub_the_same_user_is_who_has_the_same_payload() -> None:
    one, same, other = (of_0(each) for each in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2}))
    keys = [each.key(each.payload("t")) for each in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    assert one.member(one.payload("t")) == '{"a":1,"b":2}'
    assert list(one.keys()) == [keys[0]]
