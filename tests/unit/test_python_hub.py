"""The logic of the client for Python, on answers in memory and a clock that jumps."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import barestream_client
from barestream.issuers.key_sources import StaticKeys
from barestream.mercure.access_tokens import COOKIE as COOKIE_OF_1_0
from barestream.mercure.access_tokens import DETAIL_TYPE, AccessVerifier
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import Keys, unverified
from barestream.mercure.tokens import COOKIE as COOKIE_OF_0_X
from barestream.mercure.tokens import Verifier
from barestream.mercure.topics import PATH, HubUrl
from barestream_client import (
    AddressError,
    AwayError,
    EndedError,
    Explanation,
    ForbiddenError,
    Hub,
    HubError,
    Member,
    NoRoomError,
    Presence,
    RefusedError,
    SyncHub,
    UnauthorizedError,
    Update,
    address,
    cookie,
    hub_url,
    mint,
    minting,
)
from barestream_client.bearer import token_of
from barestream_client.failures import meaning
from barestream_client.retries import Retries
from barestream_client.sources import Ahead
from barestream_client.steps import Request
from barestream_client.updates import batches

KEY = "as many bytes as HS256 asks for: 32"
URL = f"http://hub.test{PATH}"

Answering = Callable[[httpx.Request], httpx.Response]


def asking(call: Callable[[Hub], Awaitable[Any]], answer: Answering, **options: Any) -> Any:
    """Call a hub that answers so; return what it returns."""

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await call(Hub(URL, **{"patience_seconds": 0, **options}, client=client))

    return asyncio.run(main())


def publishing(answer: Answering, **options: Any) -> Any:
    return asking(lambda hub: hub.publish("news", "x"), answer, **options)


def problem(status: int, **headers: str) -> httpx.Response:
    sent = {"content-type": "application/problem+json", **headers}
    return httpx.Response(status, headers=sent, json={"detail": "no"})


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:9009", f"http://127.0.0.1:9009{PATH}"),
        ("https://events.example/", f"https://events.example{PATH}"),
        (f"https://events.example{PATH}/", f"https://events.example{PATH}"),
        ("http://[::1]:80/hub", "http://[::1]:80/hub"),
    ],
)
def test_the_url_of_a_site_means_its_hub(given: str, url: str) -> None:
    assert hub_url(given) == url


@pytest.mark.parametrize(
    "given",
    ["", "127.0.0.1:9009", "ftp://x", "http://", "http://x:port", "http://x?a", "http://[x"],
)
def test_a_text_that_is_no_url_of_a_hub_is_refused(given: str) -> None:
    with pytest.raises(AddressError, match="is no URL of a hub"):
        hub_url(given)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(400), RefusedError),
        (problem(401), UnauthorizedError),
        (problem(403), ForbiddenError),
        (problem(404), AddressError),
        (problem(409), EndedError),
        (problem(413), RefusedError),
        (problem(429), AwayError),
        (problem(503), AwayError),
        (problem(507), NoRoomError),
        (httpx.Response(502, html="<p>Bad Gateway</p>"), AwayError),
        (httpx.Response(401, text="Unauthorized"), UnauthorizedError),
        (httpx.Response(200, html="<p>Log in</p>"), AddressError),
        (httpx.Response(200), AddressError),
        (httpx.Response(302, headers={"location": "/login"}), AddressError),
        (httpx.Response(404, html="<p>no</p>"), AddressError),
    ],
)
def test_each_answer_asks_for_one_thing(answer: httpx.Response, error: type[HubError]) -> None:
    with pytest.raises(error) as raised:
        publishing(lambda _: answer)
    assert type(raised.value) is error


def test_the_same_update_is_sent_again_while_the_hub_is_away() -> None:
    sent: list[bytes] = []
    told: list[tuple[AwayError, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        if len(sent) == 1:
            raise httpx.ReadError("cut")
        return httpx.Response(200, text="an id") if len(sent) > 2 else problem(503)

    options = {"patience_seconds": 60, "on_away": lambda *failure: told.append(failure)}
    assert publishing(answer, **options) == "an id"
    assert len(sent) == 3
    assert len({*sent}) == 1
    assert b"id=urn%3Auuid%3A" in sent[0]
    assert len(told) == 2


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def waits(retries: Retries, clock: Clock, error: AwayError) -> Iterator[float]:
    while True:
        try:
            wait = retries.failed(error)
        except AwayError:
            return
        yield wait
        clock.seconds += wait


def test_the_waits_grow_and_have_an_end() -> None:
    clock = Clock()
    retries = Retries(30, clock, lambda least, _: least)
    found = [*waits(retries, clock, AwayError("away"))]
    assert found[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert sum(found) == pytest.approx(30)
    retries.succeeded()
    assert next(waits(retries, clock, AwayError("away"))) == 0.1


def test_the_waits_have_jitter_and_are_as_long_as_the_hub_asks_for() -> None:
    retries = Retries(None, Clock(), lambda _, most: most)
    assert retries.failed(AwayError("away")) == 0.2
    assert retries.failed(AwayError("away", 7)) == 7
    assert retries.failed(AwayError("away"), least_seconds=3) == 3


def test_a_hub_says_how_long_to_wait() -> None:
    with pytest.raises(AwayError) as raised:
        publishing(lambda _: problem(503, **{"retry-after": "7"}))
    assert raised.value.retry_after_seconds == 7


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (httpx.UnsupportedProtocol("no"), AddressError, "cannot be asked"),
        (
            caused_by(httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known")),
            AddressError,
            "hub.test: this machine finds no host of that name",
        ),
        (
            caused_by(httpx.ConnectError("x"), ssl.SSLError(1, "[SSL: BAD] bad")),
            AddressError,
            "TLS fails",
        ),
        (
            caused_by(httpx.ConnectError("x"), ConnectionRefusedError(111, "Connection refused")),
            AwayError,
            "hub.test takes no connection: nothing listens there",
        ),
        (
            caused_by(httpx.ConnectError("x"), OSError(113, "No route to host")),
            AwayError,
            "No route to host",
        ),
        (httpx.ConnectTimeout(""), AwayError, "takes no connection: no answer in time"),
        (httpx.ReadTimeout(""), AwayError, "was cut: nothing came for 10 s"),
        (httpx.RemoteProtocolError("illegal status line"), AddressError, "does not speak HTTP"),
        (httpx.RemoteProtocolError("Server disconnected"), AwayError, "Server disconnected"),
    ],
)
def test_what_breaks_is_said_in_words(error: Exception, kind: type[HubError], words: str) -> None:
    with pytest.raises(kind, match=words), meaning(Request("GET", URL)):
        raise error


async def a_late_token() -> str:
    return "late"


@pytest.mark.parametrize(
    ("given", "token"), [(None, None), ("a", "a"), (lambda: "b", "b"), (a_late_token, "late")]
)
def test_a_token_is_a_text_or_a_function(given: Any, token: str | None) -> None:
    assert asyncio.run(token_of(given)) == token


@pytest.mark.parametrize("given", [lambda: 1 // 0, lambda: 5])
def test_a_token_function_that_fails_is_asked_again(given: Any) -> None:
    with pytest.raises(AwayError, match="the function that returns the token"):
        asyncio.run(token_of(given))


def test_an_asynchronous_token_needs_a_loop() -> None:
    with SyncHub(URL, a_late_token) as hub, pytest.raises(TypeError, match="SyncHub"):
        hub.publish("news")


def test_the_fields_of_an_update_are_those_of_the_hub() -> None:
    update = Update(topic=["a", "b"], data={"x": "é"}, id="i", private=True, keep="forever")
    assert update.form() == [
        *(("topic", "a"), ("topic", "b"), ("data", '{"x":"é"}')),
        *(("id", "i"), ("private", "on"), ("keep", "forever")),
    ]
    assert Update(topic="a", end=True, keep=5).fields() == {
        "topic": "a",
        "data": "",
        "keep": 5,
        "end": True,
    }
    assert Update(topic="a", data=None, end=7, retry_ms=5).form() == [
        *(("topic", "a"), ("data", "null"), ("retry", "5"), ("end", "7"))
    ]


def test_batches_are_as_large_as_the_hub_takes_them() -> None:
    found = [json.loads(batch) for batch in batches(Update(topic="a") for _ in range(201))]
    assert [*map(len, found)] == [100, 100, 1]
    assert len({update["id"] for batch in found for update in batch}) == 201
    large = [Update(topic="a", data="x" * 40_000) for _ in range(3)]
    assert [len(json.loads(batch)) for batch in batches(large)] == [1, 1, 1]


def test_a_source_is_read_ahead_and_taken_as_it_comes() -> None:
    async def main() -> list[int]:
        async with Ahead(range(25), 10) as source:
            sizes = []
            while taken := await source.take(10):
                sizes.append(len(taken))
                await asyncio.sleep(0)
            return sizes

    sizes = asyncio.run(main())
    assert sum(sizes) == 25
    assert max(sizes) <= 10


def test_who_is_there_is_read() -> None:
    told = {
        "topic": "/rooms/1",
        "cursor": "#1-0",
        "member_count": 1,
        "subscription_count": 3,
        "members": [
            {"id": "alice", "payload": {"name": "A"}, "subscriptions": 2, "since": "2026-11-28"}
        ],
    }
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=told)

    alice = Member("alice", {"name": "A"}, 2, "2026-11-28")
    assert asking(lambda hub: hub.presence("/rooms/1"), answer) == Presence(
        "/rooms/1", "#1-0", 1, 3, (alice,)
    )
    asking(lambda hub: hub.presence("/rooms/1", counts_only=True), answer)
    assert [(url.path, dict(url.params)) for url in asked] == [
        (f"{PATH}/presence", {"topic": "/rooms/1"}),
        (f"{PATH}/presence", {"topic": "/rooms/1", "include": "counts"}),
    ]
    with pytest.raises(AddressError):
        asking(lambda hub: hub.presence("/rooms/1"), lambda _: httpx.Response(200, json={}))


ACCESS_TOKEN = mint(KEY, subscribe=["a"], protocol="1.0", issuer="https://i.example", audience=URL)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"as_token": "t", "topics": ["a", "b"]}, {"token": "t", "topic": ["a", "b"]}),
        ({"patterns": ["/:a"], "topics": ["a"]}, {"match": ["a"], "match_urlpattern": ["/:a"]}),
        (
            {"as_token": ACCESS_TOKEN, "topics": ["a"]},
            {"token": ACCESS_TOKEN, "match": ["a"]},
        ),
        # An empty token is one that the hub refuses.
        ({"as_token": ""}, {"token": ""}),
    ],
)
def test_a_question_names_the_stream_by_the_version_of_its_token(
    options: dict[str, Any], sent: dict[str, Any]
) -> None:
    asked = []
    parts = {"event": {"place": None}, "stream": {}, "token": {}, "history": {}}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"verdict": "unknown", "why": "So.", **parts})

    found = asking(lambda hub: hub.why("id", **options), answer)
    assert found == Explanation("unknown", "So.", parts)
    assert asked == [("POST", f"{PATH}/why", {"event": "id", **sent})]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx.Response(200, json={}), AddressError, "check the URL"),
        (httpx.Response(200, json={"verdict": "x", "why": "y"}), AddressError, "check the URL"),
        (httpx.Response(200, json=[]), AddressError, "check the URL"),
        (problem(404), AddressError, "check the URL"),
        (httpx.Response(404, html="<p>no</p>"), AddressError, "check the URL"),
        (problem(403), ForbiddenError, "403"),
    ],
)
def test_what_cannot_say_why_is_no_such_hub(
    answer: httpx.Response, error: type[HubError], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        asking(lambda hub: hub.why("id"), lambda _: answer)
    notes = getattr(raised.value, "__notes__", [])
    assert ("earlier one" in " ".join(notes)) is (answer.status_code == 404)


def test_a_token_of_0_x_that_was_minted_is_one_of_the_hub() -> None:
    token = mint(KEY, publish=["/a/{b}"], subscribe=["*"], subject="7", payload={"name": "A"})
    bearer = Verifier(KEY, "HS256", lambda: 0).verify(token)
    assert (list(bearer.publish), list(bearer.subscribe)) == (["/a/{b}"], ["*"])
    header, claims = unverified(token)
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert (claims["sub"], claims["mercure"]["payload"]) == ("7", {"name": "A"})
    assert "exp" not in unverified(mint(KEY, seconds=None))[1]


def test_an_access_token_that_was_minted_is_one_of_the_hub() -> None:
    resource = f"https://hub.example{PATH}"
    token = mint(
        KEY,
        publish=["/a"],
        subscribe_patterns=["/b/:c"],
        protocol="1.0",
        issuer="https://i.example",
        audience=resource,
        payload={"name": "A"},
        key_id="k",
    )
    keys = {"https://i.example": StaticKeys(Keys(KEY, "HS256"))}
    verifier = AccessVerifier(keys, Patterns(HubUrl(resource), 10), lambda: 0)
    bearer = verifier.verify(token, resource)
    assert (list(bearer.publish), list(bearer.subscribe)) == (["/a"], ["/b/:c"])
    assert unverified(token)[0] == {"alg": "HS256", "typ": "at+jwt", "kid": "k"}


def test_a_private_key_signs_too() -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    token = mint(pem, publish=["a"], algorithm="EdDSA")
    assert list(Verifier(public.decode(), "EdDSA", lambda: 0).verify(token).publish) == ["a"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": "short"}, "needs at least 32"),
        ({"key": KEY, "protocol": "1.0"}, "needs issuer, audience and seconds"),
        ({"key": KEY, "publish_patterns": ["/a/:b"]}, "are of Mercure 1.0"),
    ],
)
def test_a_token_that_no_hub_would_take_is_not_minted(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mint(**options)


def test_a_cookie_has_the_attributes_that_keep_its_token() -> None:
    zero = mint(KEY, subscribe=["*"])
    assert cookie(zero, seconds=60, domain="example.com") == (
        f"{COOKIE_OF_0_X}={zero}; Path={PATH}; Domain=example.com; Max-Age=60; Secure; HttpOnly; "
        "SameSite=Strict"
    )
    one = mint(KEY, protocol="1.0", issuer="i", audience="a")
    assert cookie(one).startswith(f"{COOKIE_OF_1_0}={one}; ")
    assert "Secure;" not in cookie(one, name="mercure_access_token", secure=False)
    with pytest.raises(ValueError, match="over TLS alone"):
        cookie(one, secure=False)


def test_the_names_are_those_of_the_hub() -> None:
    assert address.PATH == PATH
    assert minting.DETAIL_TYPE == DETAIL_TYPE


def test_the_package_of_the_client_is_of_the_version_of_the_service() -> None:
    root = Path(barestream_client.__file__).parents[2]
    service, client = (
        tomllib.loads((root / folder / "pyproject.toml").read_text())["project"]
        for folder in ("", "client-python")
    )
    assert client["version"] == service["version"]
    assert set(client["dependencies"]) < set(service["dependencies"])


def test_the_client_needs_nothing_but_httpx() -> None:
    program = (
        "import sys; import barestream_client as c; assert 'httpx' not in sys.modules; "
        "c.Hub, c.SyncHub; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(barestream_client.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert "httpx" in roots
    assert roots & {"barestream", "barestream_load", "jwt", "pydantic", "valkey"} == set()
