from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from bareasgi import HttpRequest
from bareutils import bytes_writer, header

from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.tokens import Verifier, sign
from barestream.web.authorization import Authorization
from barestream.web.refusals import Refused

NOW = 1_800_000_000.0
SECRET = "s" * 32


def token_for(name: str) -> str:
    return sign(SECRET, "HS256", [name], [name], NOW + 60)


A, B, C = map(token_for, "abc")
EXPIRED = sign(SECRET, "HS256", ["a"], ["a"], NOW)

VERIFIER = Verifier(SECRET, "HS256", lambda: NOW)
OPEN = Authorization(
    VERIFIER, VERIFIER, anonymous=True, origins=["https://Shop.example", "http://localhost:3000"]
)
CLOSED = Authorization(VERIFIER, VERIFIER, anonymous=False, origins=())
KEYLESS = Authorization(None, None, anonymous=True, origins=())

Headers = Iterable[tuple[str, str]]


def request(headers: Headers = (), query: str = "", scheme: str = "https") -> HttpRequest:
    scope: Any = {
        "type": "http",
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return HttpRequest(scope, {}, {}, {}, bytes_writer(b""))


def bearer_header(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


def cookie(token: str) -> tuple[str, str]:
    return "cookie", f"mercureAuthorization={token}"


def query(token: str) -> str:
    return urlencode({"topic": "x", "authorization": token})


def named(bearer: Bearer) -> str:
    assert bearer.expires_at == NOW + 60
    assert list(bearer.publish) == list(bearer.subscribe)
    return next(iter(bearer.publish))


def refused(authorize: Any, asked: HttpRequest) -> tuple[int, str | None, str]:
    """Return status, challenge and detail."""
    with pytest.raises(Refused) as caught:
        authorize(asked)
    detail = str(caught.value)
    for token in (A, B, C, EXPIRED):
        assert token not in detail
    challenge = header.find(b"www-authenticate", caught.value.response().headers or ())
    return caught.value.status, challenge and challenge.decode(), detail


INVALID = 'Bearer error="invalid_token"'
OWN = [("host", "hub.example"), ("origin", "https://hub.example")]


@pytest.mark.parametrize(
    ("headers", "asked", "name"),
    [
        ([bearer_header(A)], "", "a"),
        ([("authorization", f"bEARER   {A} ")], "", "a"),
        ([bearer_header(A), cookie(C)], query(B), "a"),
        ([], query(B), "b"),
        ([cookie(C)], query(B), "b"),
        ([cookie(C)], "topic=x", "c"),
        ([("authorization", "Basic Zm9vOmJhcg=="), cookie(C)], query(B), "b"),
        ([("authorization", "Basic Zm9vOmJhcg=="), cookie(C)], "topic=x", "c"),
        ([("authorization", "NTLM TlRMTVNTUAAB"), cookie(C)], "topic=x", "c"),
    ],
)
def test_the_token_of_the_first_carrier_counts(headers: Headers, asked: str, name: str) -> None:
    assert named(OPEN.subscriber(request(headers, asked))) == name
    assert named(OPEN.publisher(request([*OWN, *headers], asked))) == name


@pytest.mark.parametrize(
    ("headers", "asked", "challenge"),
    [
        ([bearer_header(EXPIRED), cookie(C)], query(B), INVALID),
        ([("authorization", ""), cookie(C)], query(B), "Bearer"),
        ([("authorization", "Token Zm9vOmJhcg=="), cookie(C)], query(B), "Bearer"),
        ([("authorization", A), cookie(C)], query(B), "Bearer"),
        ([("authorization", "Bearer"), cookie(C)], query(B), INVALID),
        ([("authorization", "Bearer "), cookie(C)], query(B), INVALID),
        ([("authorization", f"Bearer {A} {A}")], "", INVALID),
        ([("authorization", "Bearer é.é.é")], "", INVALID),
        ([bearer_header(A), bearer_header(A)], "", INVALID),
        ([cookie(C)], query(EXPIRED), INVALID),
        ([cookie(C)], "authorization=", INVALID),
        ([cookie(C)], "authorization", INVALID),
        ([cookie(C)], "authorization=%00", INVALID),
        ([cookie(C)], f"{query(B)}&{query(B)}", INVALID),
        ([cookie(EXPIRED)], "", INVALID),
        ([cookie("")], "", INVALID),
        ([cookie("é")], "", INVALID),
    ],
)
def test_a_bad_token_of_the_first_carrier_is_refused_even_if_another_carrier_has_a_good_one(
    headers: Headers, asked: str, challenge: str
) -> None:
    assert refused(OPEN.subscriber, request(headers, asked))[:2] == (401, challenge)
    assert refused(OPEN.publisher, request([*OWN, *headers], asked))[:2] == (401, challenge)


def test_a_malformed_query_is_refused_when_it_is_read() -> None:
    for authorize in (OPEN.subscriber, OPEN.publisher):
        status, challenge, detail = refused(authorize, request([cookie(C)], "authorization=%ff"))
        assert (status, challenge) == (400, None)
        assert detail == "The query cannot be read: it is not UTF-8."
        assert named(authorize(request([bearer_header(A)], "authorization=%ff"))) == "a"


def test_a_refusal_says_what_is_wrong_with_the_token() -> None:
    detail = refused(OPEN.subscriber, request([bearer_header(EXPIRED)]))[2]
    assert detail == "The token has expired."


@pytest.mark.parametrize(
    "headers",
    [
        [("cookie", f"mercureAuthorization={C}")],
        [("cookie", f'mercureAuthorization="{C}"')],
        [("cookie", f"  mercureAuthorization = {C}  ;")],
        [("cookie", f"a=1;b;;=;c[]=é, {{}};{'x' * 5000};mercureAuthorization={C};d=2")],
        [("cookie", "a=1"), ("cookie", f"mercureAuthorization={C}")],
        [
            (
                "cookie",
                f"xmercureAuthorization={A}; mercureauthorization={A}; mercureAuthorization={C}",
            )
        ],
        [("cookie", f"mercureAuthorization={C}; mercureAuthorization={A}")],
    ],
)
def test_the_cookie_is_found_among_any_others(headers: Headers) -> None:
    assert named(OPEN.subscriber(request(headers))) == "c"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("cookie", "")],
        [("cookie", "a=1; b")],
        [("authorization", "Basic Zm9vOmJhcg==")],
        [("authorization", 'Digest username="a"')],
    ],
)
def test_a_subscriber_without_a_token_is_anonymous_where_that_is_allowed(headers: Headers) -> None:
    assert OPEN.subscriber(request(headers)) is ANONYMOUS
    assert KEYLESS.subscriber(request(headers)) is ANONYMOUS
    status, challenge, detail = refused(CLOSED.subscriber, request(headers))
    assert (status, challenge, detail) == (401, "Bearer", "Subscribing needs a token.")


def test_a_publisher_without_a_token_is_refused() -> None:
    status, challenge, detail = refused(OPEN.publisher, request(OWN))
    assert (status, challenge, detail) == (401, "Bearer", "Publishing needs a token.")


@pytest.mark.parametrize("headers", [[], [bearer_header(A)], [bearer_header("junk")]])
def test_without_a_key_every_publisher_is_refused(headers: Headers) -> None:
    status, challenge, detail = refused(KEYLESS.publisher, request(headers))
    assert (status, challenge) == (403, None)
    assert detail == "Publishing is off: BARESTREAM_TOKEN_KEY is not set."


def test_without_a_key_a_token_of_a_subscriber_cannot_be_verified() -> None:
    status, challenge, detail = refused(KEYLESS.subscriber, request([bearer_header(A)]))
    assert (status, challenge) == (401, INVALID)
    assert "neither BARESTREAM_SUBSCRIBER_TOKEN_KEY nor" in detail


@pytest.mark.parametrize(
    ("scheme", "host", "header", "value"),
    [
        ("https", "hub.example", "origin", "https://hub.example"),
        ("https", "hub.example:443", "origin", "https://hub.example"),
        ("http", "hub.example", "origin", "http://hub.example:80"),
        ("http", "HUB.example:8080", "origin", "http://hub.example:8080"),
        ("http", "[::1]:8080", "origin", "http://[::1]:8080"),
        ("https", "hub.example", "referer", "https://hub.example/page?a=@b#c"),
        ("https", "hub.example", "referer", "https://hub.example"),
        ("https", "hub.example", "origin", "https://shop.example"),
        ("https", "hub.example", "referer", "https://shop.example/cart"),
        ("https", "hub.example", "origin", "http://localhost:3000"),
    ],
)
def test_a_cookie_publishes_from_the_same_or_an_allowed_origin(
    scheme: str, host: str, header: str, value: str
) -> None:
    asked = request([("host", host), (header, value), cookie(C)], scheme=scheme)
    assert named(OPEN.publisher(asked)) == "c"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], "needs an Origin or a Referer header"),
        ([("origin", "https://evil.example")], "of the origin https://evil.example may not"),
        ([("origin", "null")], "of the origin null may not"),
        ([("origin", "")], "of the origin null may not"),
        ([("origin", "http://hub.example")], "of the origin http://hub.example may not"),
        ([("origin", "https://hub.example:444")], "https://hub.example:444 may not"),
        ([("origin", "https://hub.example.evil.example")], "evil.example may not"),
        ([("origin", "https://shop.example.")], "may not"),
        ([("origin", "http://localhost")], "of the origin http://localhost may not"),
        ([("origin", "hub.example")], "null may not"),
        ([("origin", "https://hub.example@evil.example")], "null may not"),
        ([("origin", "https://evil.example\\@hub.example")], "null may not"),
        ([("origin", "https://hub.example:x")], "null may not"),
        ([("origin", "https://hub.example https://evil.example")], "null may not"),
        ([("origin", "https://hub.example"), ("origin", "https://evil.example")], "null may not"),
        ([("origin", "null"), ("referer", "https://hub.example/")], "null may not"),
        ([("origin", "https://evil.example"), ("referer", "https://hub.example/")], "may not"),
        ([("referer", "https://evil.example/https://hub.example/")], "https://evil.example may"),
        ([("referer", "about:blank")], "null may not"),
    ],
)
def test_a_cookie_does_not_publish_from_another_origin(headers: Headers, told: str) -> None:
    asked = request([("host", "hub.example"), cookie(C), *headers])
    status, challenge, detail = refused(OPEN.publisher, asked)
    assert (status, challenge) == (403, None)
    assert told in detail


@pytest.mark.parametrize("host", [[], [("host", "")], [("host", "hub.example, evil.example")]])
def test_without_a_host_the_request_has_no_origin_of_its_own(host: Headers) -> None:
    for origin in ("https://", "https://hub.example", "https://none", "null"):
        asked = request([*host, ("origin", origin), cookie(C)])
        assert refused(OPEN.publisher, asked)[0] == 403


@pytest.mark.parametrize(
    "headers", [[], [("origin", "https://evil.example")], [("origin", "null")]]
)
def test_the_other_carriers_publish_from_anywhere_and_a_cookie_subscribes_from_there(
    headers: Headers,
) -> None:
    assert named(OPEN.publisher(request([*headers, bearer_header(A)]))) == "a"
    assert named(OPEN.publisher(request(headers, query(B)))) == "b"
    assert named(OPEN.subscriber(request([*headers, cookie(C)]))) == "c"


@pytest.mark.parametrize("origin", ["", "*", "null", "shop.example", "https://user@shop.example"])
def test_a_malformed_allowed_origin_is_refused_at_once(origin: str) -> None:
    with pytest.raises(ValueError, match="expected an origin such as"):
        Authorization(VERIFIER, VERIFIER, anonymous=True, origins=[origin])
