import asyncio
import hashlib
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from bareasgi import HttpRequest
from bareutils import bytes_writer, header

from barestream.delivery.revoked import Revoked
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.history.local_revocations import LocalRevocations
from barestream.history.revocations import Revocation, Selection
from barestream.history.revocations import Version as TableVersion
from barestream.issuers.key_sources import StaticKeys
from barestream.mercure.access_tokens import AccessVerifier, KeySource, sign_access_token
from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.matchers import Matcher
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import Keys
from barestream.mercure.tokens import Verifier, sign
from barestream.mercure.topics import HubUrl
from barestream.mercure.version import Version
from barestream.telemetry.metrics import Metrics
from barestream.web.authorization import Authorization, Policy
from barestream.web.origins import PublishingOrigins
from barestream.web.refusals import Refused
from barestream.web.resource import Resource
from barestream.web.verifiers import Verifiers

NOW = 1_800_000_000.0
SECRET = "s" * 32


def token_for(name: str) -> str:
    return sign(SECRET, "HS256", [name], [name], NOW + 60)


A, B, C = map(token_for, "abc")
EXPIRED = sign(SECRET, "HS256", ["a"], ["a"], NOW)

RESOURCE = "https://hub.example/.well-known/mercure"
ISSUER = "https://issuer.example"
COOKIE = "__Secure-mercure_access_token"
METADATA = (
    'resource_metadata="https://hub.example/.well-known/oauth-protected-resource'
    '/.well-known/mercure"'
)


def access_token_for(name: str, **changed: object) -> str:
    claims = {"iss": ISSUER, "aud": RESOURCE, "exp": NOW + 60, **changed}
    return sign_access_token(SECRET, "HS256", claims, [Matcher(name)], [Matcher(name)])


NAMELESS = Resource(None, ())
D, E = map(access_token_for, "de")


def verifiers(issuers: Mapping[str, KeySource] | None = None) -> Verifiers:
    sources = issuers or {ISSUER: StaticKeys(Keys(SECRET, "HS256"))}
    patterns = Patterns(HubUrl(RESOURCE), 100)
    return Verifiers(
        Verifier(SECRET, "HS256", lambda: NOW), AccessVerifier(sources, patterns, lambda: NOW)
    )


def knowing_revoked(store: LocalRevocations) -> Revoked:
    """Return what a worker knows of revocations before it has read them."""
    return Revoked(store, Metrics(), Slices(lambda: NOW), lambda: NOW)


def nobody_revoked() -> Revoked:
    revoked = knowing_revoked(LocalRevocations(0))
    asyncio.run(revoked.refresh())
    return revoked


def authorization(
    origins: Iterable[str] = (),
    keys: Verifiers | None = None,
    resource: Resource = NAMELESS,
    revoked: Revoked | None = None,
    **policy: Any,
) -> Authorization:
    found = verifiers() if keys is None else keys
    revoked = revoked or nobody_revoked()
    return Authorization(
        found, found, resource, PublishingOrigins([*origins]), Policy(**policy), revoked
    )


OPEN = authorization(["https://Shop.example", "http://localhost:3000"])
CLOSED = authorization(anonymous=False)
KEYLESS = authorization(keys=Verifiers())

# With an identifier, as access tokens need it.
HUB = authorization(resource=Resource(RESOURCE, ()))

Headers = Iterable[tuple[str, str]]


def now(asking: Coroutine[Any, Any, Bearer]) -> Bearer:
    """Return what a question that waits for nothing answers."""
    try:
        asking.send(None)
    except StopIteration as answer:
        return cast("Bearer", answer.value)
    raise AssertionError("it waits")


def subscribing(
    authorization: Authorization, version: Version = Version.ZERO
) -> Callable[[HttpRequest], Bearer]:
    return lambda asked: now(authorization.subscriber(asked, version))


def publishing(authorization: Authorization) -> Callable[[HttpRequest], Bearer]:
    return lambda asked: now(authorization.publisher(asked))


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
    for token in (A, B, C, D, E, EXPIRED):
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
    assert named(subscribing(OPEN)(request(headers, asked))) == name
    assert named(publishing(OPEN)(request([*OWN, *headers], asked))) == name


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
    assert refused(subscribing(OPEN), request(headers, asked))[:2] == (401, challenge)
    assert refused(publishing(OPEN), request([*OWN, *headers], asked))[:2] == (401, challenge)


def test_a_malformed_query_is_refused_when_it_is_read() -> None:
    for authorize in (subscribing(OPEN), publishing(OPEN)):
        status, challenge, detail = refused(authorize, request([cookie(C)], "authorization=%ff"))
        assert (status, challenge) == (400, None)
        assert detail == "The query cannot be read: it is not UTF-8."
        assert named(authorize(request([bearer_header(A)], "authorization=%ff"))) == "a"


def test_a_refusal_says_what_is_wrong_with_the_token() -> None:
    detail = refused(subscribing(OPEN), request([bearer_header(EXPIRED)]))[2]
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
    assert named(subscribing(OPEN)(request(headers))) == "c"


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
    assert subscribing(OPEN)(request(headers)) is ANONYMOUS
    assert subscribing(KEYLESS)(request(headers)) is ANONYMOUS
    status, challenge, detail = refused(subscribing(CLOSED), request(headers))
    assert (status, challenge, detail) == (401, "Bearer", "Subscribing needs a token.")


def test_a_publisher_without_a_token_is_refused() -> None:
    status, challenge, detail = refused(publishing(OPEN), request(OWN))
    assert (status, challenge, detail) == (401, "Bearer", "Publishing needs a token.")


@pytest.mark.parametrize("headers", [[], [bearer_header(A)], [bearer_header("junk")]])
def test_without_a_key_every_publisher_is_refused(headers: Headers) -> None:
    status, challenge, detail = refused(publishing(KEYLESS), request(headers))
    assert (status, challenge) == (403, None)
    assert detail.startswith("Publishing is off: the hub has no key")


def test_without_a_key_a_token_of_a_subscriber_cannot_be_verified() -> None:
    status, challenge, detail = refused(subscribing(KEYLESS), request([bearer_header(A)]))
    assert (status, challenge) == (401, INVALID)
    assert "BARESTREAM_TOKEN_KEY is not set" in detail


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
    assert named(publishing(OPEN)(asked)) == "c"


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
    status, challenge, detail = refused(publishing(OPEN), asked)
    assert (status, challenge) == (403, None)
    assert told in detail


@pytest.mark.parametrize("host", [[], [("host", "")], [("host", "hub.example, evil.example")]])
def test_without_a_host_the_request_has_no_origin_of_its_own(host: Headers) -> None:
    for origin in ("https://", "https://hub.example", "https://none", "null"):
        asked = request([*host, ("origin", origin), cookie(C)])
        assert refused(publishing(OPEN), asked)[0] == 403


@pytest.mark.parametrize(
    "headers", [[], [("origin", "https://evil.example")], [("origin", "null")]]
)
def test_the_other_carriers_publish_from_anywhere_and_a_cookie_subscribes_from_there(
    headers: Headers,
) -> None:
    assert named(publishing(OPEN)(request([*headers, bearer_header(A)]))) == "a"
    assert named(publishing(OPEN)(request(headers, query(B)))) == "b"
    assert named(subscribing(OPEN)(request([*headers, cookie(C)]))) == "c"


@pytest.mark.parametrize("origin", ["", "*", "null", "shop.example", "https://user@shop.example"])
def test_a_malformed_allowed_origin_is_refused_at_once(origin: str) -> None:
    with pytest.raises(ValueError, match="expected an origin such as"):
        PublishingOrigins([origin])


def cookies(**tokens: str) -> tuple[str, str]:
    """Return a header of cookies: ``zero`` and ``one`` are those of the two versions."""
    names = {"zero": "mercureAuthorization", "one": COOKIE}
    return "cookie", "; ".join(f"{names[each]}={token}" for each, token in tokens.items())


@pytest.mark.parametrize(
    ("version", "headers", "name"),
    [
        (Version.ZERO, [cookies(zero=A, one=D)], "a"),
        (Version.ONE, [cookies(zero=A, one=D)], "d"),
        (Version.ZERO, [bearer_header(B), cookies(zero=A, one=D)], "b"),
        (Version.ONE, [bearer_header(E), cookies(zero=A, one=D)], "e"),
        (Version.ONE, [("authorization", "Basic Zm9vOmJhcg=="), cookies(zero=A, one=D)], "d"),
    ],
)
def test_a_subscription_reads_only_the_cookie_of_its_version(
    version: Version, headers: Headers, name: str
) -> None:
    assert named(subscribing(HUB, version)(request(headers))) == name


@pytest.mark.parametrize(
    ("headers", "asked", "name"),
    [
        ([bearer_header(A)], "", "a"),
        ([bearer_header(D)], "", "d"),
        ([bearer_header(A), cookies(one=D)], "", "a"),
        ([cookies(zero=A)], "", "a"),
        ([cookies(one=D)], "", "d"),
        ([cookies(zero=A, one=D)], "", "d"),
        ([cookies(one=D)], query(B), "b"),
    ],
)
def test_a_publish_speaks_the_version_of_its_token_and_of_two_cookies_the_newer_counts(
    headers: Headers, asked: str, name: str
) -> None:
    assert named(publishing(HUB)(request([*OWN, *headers], asked))) == name


@pytest.mark.parametrize(
    ("version", "headers", "told"),
    [
        (Version.ONE, [bearer_header(A)], "The token is one of Mercure 0.x"),
        (Version.ZERO, [bearer_header(D)], "The token is one of Mercure 1.0"),
        (Version.ONE, [cookies(one=A)], "The token is one of Mercure 0.x"),
        (Version.ZERO, [cookies(zero=D)], "The token is one of Mercure 1.0"),
    ],
)
def test_a_token_of_the_other_version_is_refused_and_the_answer_says_so(
    version: Version, headers: Headers, told: str
) -> None:
    status, challenge, detail = refused(subscribing(HUB, version), request(headers))
    assert (status, challenge) == (401, f'Bearer error="invalid_token", {METADATA}')
    assert told in detail


@pytest.mark.parametrize(
    "headers", [[cookies(zero=D)], [cookies(one=A)], [cookies(zero=A, one="")]]
)
def test_a_publish_with_a_token_in_the_cookie_of_the_other_version_is_refused(
    headers: Headers,
) -> None:
    assert refused(publishing(HUB), request([*OWN, *headers]))[0] == 401


def test_an_access_token_in_the_query_is_refused() -> None:
    assert refused(publishing(HUB), request(OWN, query(D)))[0] == 401
    for asked in (query(D), query(A), f"match=x&access_token={D}"):
        status, challenge, detail = refused(subscribing(HUB, Version.ONE), request([], asked))
        assert (status, challenge) == (400, f'Bearer error="invalid_request", {METADATA}')
        assert "Mercure 1.0 reads none there" in detail


def test_an_access_token_publishes_by_cookie_only_from_an_allowed_origin() -> None:
    asked = request([("host", "hub.example"), ("origin", "https://evil.example"), cookies(one=D)])
    assert refused(publishing(HUB), asked)[0] == 403


def test_a_request_without_a_token_is_told_where_the_metadata_are() -> None:
    closed = authorization(resource=Resource(RESOURCE, ()), anonymous=False)
    for authorize in (publishing(closed), subscribing(closed, Version.ONE)):
        assert refused(authorize, request())[1] == f"Bearer {METADATA}"
    challenge = closed.insufficient(request(), "x").response().headers
    assert header.find(b"www-authenticate", challenge or ()) == (
        f'Bearer error="insufficient_scope", {METADATA}'.encode()
    )


PUBLIC = Resource(None, ["https://hub.example", "https://live.example:8443"])


@pytest.mark.parametrize(
    ("host", "audience", "is_accepted"),
    [
        ("hub.example", "https://hub.example/.well-known/mercure", True),
        ("HUB.example:443", "https://hub.example/.well-known/mercure", True),
        ("live.example:8443", "https://live.example:8443/.well-known/mercure", True),
        ("live.example:8443", "https://hub.example/.well-known/mercure", False),
        # A Host header that nobody has vouched for makes no identifier.
        ("evil.example", "https://evil.example/.well-known/mercure", False),
        ("evil.example", "https://hub.example/.well-known/mercure", False),
        ("", "https://hub.example/.well-known/mercure", False),
    ],
)
def test_the_identifier_is_that_of_the_requests_origin_if_that_is_a_public_one(
    host: str, audience: str, *, is_accepted: bool
) -> None:
    subscribe = subscribing(authorization(resource=PUBLIC), Version.ONE)
    asked = request([("host", host), bearer_header(access_token_for("d", aud=audience))])
    if is_accepted:
        assert named(subscribe(asked)) == "d"
    else:
        assert refused(subscribe, asked)[0] == 401


def test_without_an_identifier_or_an_issuer_an_access_token_cannot_be_verified() -> None:
    for hub, told in (
        (OPEN, "the origin https://hub.example is not in BARESTREAM_PUBLIC_URLS, and BARESTREAM_R"),
        (authorization(keys=Verifiers(verifiers().zero)), "neither BARESTREAM_ISSUER nor"),
    ):
        for authorize in (publishing(hub), subscribing(hub, Version.ONE)):
            status, _, detail = refused(authorize, request([*OWN, bearer_header(D)]))
            assert status == 401
            assert told in detail


@pytest.mark.parametrize(("on", "off", "token"), [("0.x", "1.0", D), ("1.0", "0.x", A)])
def test_a_version_that_is_off_is_not_spoken(on: str, off: str, token: str) -> None:
    hub = authorization(resource=Resource(RESOURCE, ()), versions={Version(on)})
    assert hub.speaks(Version(on))
    assert not hub.speaks(Version(off))
    status, _, detail = refused(publishing(hub), request([*OWN, bearer_header(token)]))
    assert status == 401
    assert detail == f"Tokens of Mercure {off} are off: see BARESTREAM_PROTOCOLS."
    # Its cookie is not read either.
    both = request([*OWN, cookies(zero=A, one=D)])
    assert named(publishing(hub)(both)) == ("a" if on == "0.x" else "d")


def test_the_cookie_of_access_tokens_has_the_name_of_the_settings() -> None:
    hub = authorization(resource=Resource(RESOURCE, ()), cookie="live")
    assert named(subscribing(hub, Version.ONE)(request([("cookie", f"live={D}")]))) == "d"
    assert subscribing(hub, Version.ONE)(request([cookies(one=D)])) is ANONYMOUS


class Rotating:
    """An issuer whose keys are others after a refresh."""

    def __init__(self, *, changes: bool) -> None:
        self.keys: Keys | None = None
        self.refreshes = 0
        self._changes = changes

    async def refresh(self) -> bool:
        self.refreshes += 1
        if self._changes:
            self.keys = Keys(SECRET, "HS256")
        return self._changes


@pytest.mark.parametrize("changes", [True, False])
def test_keys_that_are_not_known_are_asked_for_once(*, changes: bool) -> None:
    source = Rotating(changes=changes)
    hub = authorization(keys=verifiers({ISSUER: source}), resource=Resource(RESOURCE, ()))
    if changes:
        assert named(publishing(hub)(request([bearer_header(D)]))) == "d"
    else:
        assert refused(publishing(hub), request([bearer_header(D)]))[0] == 401
    assert source.refreshes == 1


@pytest.mark.parametrize(
    ("expires_at", "most", "lasts"),
    [(NOW + 60, math.inf, 60), (NOW + 60, 10, 10), (None, 10, 10), (NOW - 1, 10, 0)],
)
def test_a_stream_lasts_as_long_as_its_token_and_the_settings_allow(
    expires_at: float | None, most: float, lasts: float
) -> None:
    hub = authorization(stream_seconds=most)
    bearer = Bearer(ANONYMOUS.publish, ANONYMOUS.subscribe, expires_at)
    assert hub.lasts_seconds(bearer, NOW) == lasts
    assert hub.lasts_seconds(ANONYMOUS, NOW) == math.inf


def revoking(*revocations: Revocation) -> Revoked:
    """Return what a worker knows once these revocations were read."""
    store = LocalRevocations(10)

    async def revoke() -> Revoked:
        for each in revocations:
            await store.revoke(each)
        revoked = knowing_revoked(store)
        await revoked.refresh()
        return revoked

    return asyncio.run(revoke())


def test_a_revoked_token_is_refused_as_an_invalid_one_is() -> None:
    digest = hashlib.sha256(A.encode()).hexdigest()
    found = authorization(revoked=revoking(Revocation(Selection(sha256=digest), 0)))
    for asking in (subscribing(found), publishing(found)):
        with pytest.raises(Refused) as caught:
            asking(request([bearer_header(A)]))
        assert caught.value.status == 401
        assert list(asking(request([bearer_header(B)])).publish) == ["b"]
    assert subscribing(found)(request()) is ANONYMOUS


def test_a_token_that_is_revoked_while_the_body_comes_publishes_nothing() -> None:
    store = LocalRevocations(10)
    revoked = knowing_revoked(store)
    found = authorization(revoked=revoked)

    async def publish() -> None:
        await revoked.refresh()
        asked = request([bearer_header(A)])
        bearer = await found.publisher(asked)
        slices = Slices(lambda: NOW)
        await found.allow_publish(asked, bearer, ["a"], slices)
        digest = hashlib.sha256(A.encode()).hexdigest()
        await store.revoke(Revocation(Selection(sha256=digest), 0))
        await revoked.refresh()
        with pytest.raises(Refused) as caught:
            await found.allow_publish(asked, bearer, ["a"], slices)
        assert caught.value.status == 401

    asyncio.run(publish())


class AwayRevocations(LocalRevocations):
    """Revocations that cannot be read."""

    async def version(self) -> TableVersion:
        raise BrokerAwayError("away", words="does not answer")


def test_while_it_is_not_known_who_is_revoked_no_token_is_let_in() -> None:
    revoked = knowing_revoked(AwayRevocations(10))
    found = authorization(revoked=revoked)
    asked = request([bearer_header(A)])

    async def ask() -> None:
        # It waits until the first read has failed, and then no longer.
        waiting = asyncio.create_task(found.publisher(asked))
        await asyncio.sleep(0)
        assert not waiting.done()
        with pytest.raises(BrokerAwayError):
            await revoked.refresh()
        for asking in (waiting, found.publisher(asked)):
            with pytest.raises(Refused, match="does not answer") as caught:
                await asking
            assert caught.value.status == 503
        with pytest.raises(BrokerAwayError):
            await found.subscriber(asked, Version.ZERO)
        # Who has no token needs none, and a token that is not valid is told so.
        assert await found.subscriber(request(), Version.ZERO) is ANONYMOUS
        with pytest.raises(Refused) as caught:
            await found.publisher(request([bearer_header(EXPIRED)]))
        assert caught.value.status == 401

    asyncio.run(ask())
