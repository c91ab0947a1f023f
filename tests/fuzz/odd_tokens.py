"""Tokens of both versions that are nearly right, signed with the server's key."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from hypothesis import strategies as st

from barestream.mercure.authorization_details import DETAIL_TYPE
from support.clients.publisher import ISSUER, KEY, RESOURCE, token

# Not an end of the range, which Hypothesis tries more often.
ONE_IN_EIGHT = st.integers(0, 7).map(lambda die: die == 5)


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy that is odd only sometimes, so that later checks are reached too."""
    return ONE_IN_EIGHT.flatmap(lambda is_odd: odd if is_odd else usual)


def _mostly_text(usual: str) -> st.SearchStrategy[str]:
    return ONE_IN_EIGHT.flatmap(lambda is_odd: st.text(max_size=5) if is_odd else st.just(usual))


# Signed with the server's key, so that their claims are read.
def _signed(header: bytes, claims: bytes) -> bytes:
    signing = b".".join(map(_base64url, (header, claims)))
    signature = hmac.digest(KEY.encode(), signing, hashlib.sha256)
    return b".".join((signing, _base64url(signature)))


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


VALID_TOKEN = token().encode()
JSON_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.just(time.time() + 3600),
    st.text(max_size=8),
    st.sampled_from(["*", "{a}", "a" * 3000, "HS256", "none", "\ud800"]),
)
JSON = st.recursive(
    JSON_LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["publish", "subscribe", "payload", "mercure", "exp"]), inner
        ),
    ),
    max_leaves=6,
)
CLAIMS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "mercure": st.one_of(
                JSON,
                st.fixed_dictionaries(
                    {}, optional={"publish": JSON, "subscribe": JSON, "payload": JSON}
                ),
            ),
            **dict.fromkeys(("exp", "nbf", "iat"), JSON),
        },
    ).map(lambda claims: json.dumps(claims).encode()),
    st.binary(max_size=20),
    st.sampled_from(
        [b"[" * 3000, b'{"a":' * 2000, b'{"exp":1' + b"0" * 4000 + b"}", b'{"exp":1e999}', b"{}"]
    ),
)
HEADERS = st.one_of(
    st.just(b'{"alg":"HS256"}'),
    st.fixed_dictionaries(
        {"alg": JSON_LEAVES | st.just("HS256")},
        optional=dict.fromkeys(("kid", "crit", "b64", "typ", "jku", "zip"), JSON),
    ).map(lambda header: json.dumps(header).encode()),
    st.sampled_from([b"[" * 3000, b'{"alg":' * 2000, b"", b"null", b'{"alg":1' + b"0" * 5000]),
)
ODD_TOKENS = st.one_of(
    st.builds(_signed, st.just(b'{"alg":"HS256"}'), CLAIMS),
    st.builds(_signed, HEADERS, CLAIMS),
    st.sampled_from(
        [b"", b".", b"..", b"...", VALID_TOKEN[:-1], VALID_TOKEN + b".", b"\xff.\xff."]
    ),
    st.binary(max_size=30),
)
ACCESS_HEADER = b'{"alg":"HS256","typ":"at+jwt"}'
DETAIL = {"type": DETAIL_TYPE, "actions": ["publish", "subscribe"], "topics": [{"match": "*"}]}
ACCESS_CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": RESOURCE,
    "exp": time.time() + 3600,
    "authorization_details": [DETAIL],
}
VALID_ACCESS_TOKEN = _signed(ACCESS_HEADER, json.dumps(ACCESS_CLAIMS).encode())
MATCHERS = st.fixed_dictionaries(
    {"match": JSON_LEAVES | st.sampled_from(["/a/:b", "(", r"/(\w{500})"])},
    optional={"match_type": JSON_LEAVES | st.just("urlpattern")},
)
DETAILS = st.fixed_dictionaries(
    {"type": _mostly_text(DETAIL_TYPE)},
    optional={
        "actions": JSON | st.just(["subscribe"]),
        "topics": JSON | st.lists(MATCHERS, max_size=3),
        "payload": JSON,
    },
)
# A valid token in which one claim is another one.
ODD_ACCESS_TOKENS = st.tuples(
    st.sampled_from([*ACCESS_CLAIMS, "nbf"]), JSON | st.lists(DETAILS, max_size=3)
).map(lambda odd: _signed(ACCESS_HEADER, json.dumps({**ACCESS_CLAIMS, odd[0]: odd[1]}).encode()))
TOKENS = mostly(st.sampled_from([VALID_TOKEN, VALID_ACCESS_TOKEN]), ODD_TOKENS | ODD_ACCESS_TOKENS)
