"""The rights of tokens: each carrier of a token, each fault of a token, each kind of update."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import urlencode

import httpx
import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, Publisher
from support.clients.sse_client import SseClient
from support.servers.served import Served, following, until
from support.servers.service import Service, wait_for

TOPIC = "https://example.com/books/1"
ELSEWHERE = "https://example.com/elsewhere"

# A page of the hub's own origin, and a page of an origin that the settings allow.
ALLOWED = "https://shop.example"
FOREIGN = "https://evil.example"

CARRIERS = ("header", "query", "cookie")
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}


def jws(claims: dict[str, object], algorithm: str = "HS256", key: str = KEY) -> str:
    """Return a token of any content, also of one that our own signing refuses."""
    parts = (json.dumps(part).encode() for part in ({"typ": "JWT", "alg": algorithm}, claims))
    signed = b".".join(map(_base64url, parts))
    signature = b""
    if algorithm in _HASHES:
        signature = hmac.digest(key.encode(), signed, _HASHES[algorithm])
    return b".".join((signed, _base64url(signature))).decode()


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def claims(*selectors: str, **others: object) -> dict[str, object]:
    return {"mercure": {"publish": [*selectors], "subscribe": [*selectors]}, **others}


# Made when they are used: times count from then.
TOKENS: dict[str, Callable[[], str | None]] = {
    "none": lambda: None,
    "bad signature": lambda: jws(claims(TOPIC), key="another key, as long as the hub's own is"),
    "wrong alg": lambda: jws(claims(TOPIC), "HS384"),
    "alg none": lambda: jws(claims(TOPIC), "none"),
    "expired": lambda: jws(claims(TOPIC, exp=int(time.time()) - 1)),
    "not yet valid": lambda: jws(claims(TOPIC, nbf=int(time.time()) + 3600)),
    "wrong selector": lambda: jws(claims(ELSEWHERE)),
    "right": lambda: jws(claims(TOPIC)),
}
INVALID = {"bad signature", "wrong alg", "alg none", "expired", "not yet valid"}


@dataclass
class Carried:
    """The part of a request that carries a token."""

    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


def carried(token: str | None, carrier: str, origin: str | None = ALLOWED) -> Carried:
    """Return a token in its carrier; with a cookie, a browser sends the origin of the page too."""
    if carrier == "cookie":
        headers = {} if origin is None else {"Origin": origin}
        if token is not None:
            headers["Cookie"] = f"theme=dark; mercureAuthorization={token}"
        return Carried(headers)
    if token is None:
        return Carried()
    if carrier == "header":
        return Carried({"Authorization": f"Bearer {token}"})
    return Carried(query={"authorization": token})


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    settings = Settings(token_key=KEY, cors_origins=ALLOWED)
    with Served(create_app(settings), ours=True) as served:
        yield served


@pytest.fixture(scope="module")
def closed_server() -> Iterator[Served]:
    settings = Settings(token_key=KEY, anonymous=False, cors_origins=ALLOWED)
    with Served(create_app(settings), ours=True) as served:
        yield served


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(workers=1, token_key=KEY, cors_origins=ALLOWED) as running:
        yield running


def update(data: str, *, private: bool = False) -> dict[str, str]:
    return {"topic": TOPIC, "data": data} | ({"private": "on"} if private else {})


async def publishes(
    target: Served | Service, request: Carried, *, private: bool
) -> tuple[httpx.Response, list[str]]:
    """Publish; return the answer, and the events that a reader with all rights got."""
    everything = {"Authorization": f"Bearer {jws(claims('*'))}"}
    async with (
        following(target.address, TOPIC, headers=everything) as reader,
        Publisher(target.url) as publisher,
        httpx.AsyncClient(base_url=target.url) as client,
    ):
        answer = await client.post(
            PATH,
            data=update("tried", private=private),
            params=request.query,
            headers=request.headers,
        )
        await publisher.publish(TOPIC, data="later", private="on")
        await until(lambda: reader.events and reader.events[-1].data == "later")
        return answer, [event.data for event in reader.events[:-1]]


def assert_publishes(
    target: Served | Service, request: Carried, status: int, *, private: bool
) -> httpx.Response:
    answer, got = asyncio.run(publishes(target, request, private=private))
    assert answer.status_code == status
    assert got == (["tried"] if status == 200 else [])
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    return answer


def assert_subscribes(
    target: Served | Service, request: Carried, *, private: bool, reads: bool
) -> None:
    async def act() -> None:
        async with (
            following(
                target.address, TOPIC, headers=request.headers, **request.query
            ) as subscriber,
            Publisher(target.url) as publisher,
        ):
            assert subscriber.status == 200
            await publisher.post(**update("tried", private=private))
            await publisher.publish(TOPIC, data="later")
            await until(lambda: subscriber.events and subscriber.events[-1].data == "later")
        expected = ["tried", "later"] if reads else ["later"]
        assert [event.data for event in subscriber.events] == expected

    asyncio.run(act())


def assert_unauthorized(target: Served | Service, request: Carried, *, challenge: str) -> None:
    query = {"topic": TOPIC, **request.query}
    answer = httpx.get(target.url + PATH, params=query, headers=request.headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


KINDS = pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
EACH = pytest.mark.parametrize(
    ("carrier", "kind"),
    list(product(CARRIERS, TOKENS)),
    ids=["-".join(pair) for pair in product(CARRIERS, TOKENS)],
)
CHALLENGE = "Bearer"
CHALLENGE_INVALID = 'Bearer error="invalid_token"'


@KINDS
@EACH
def test_a_token_decides_whether_a_publish_is_accepted_by_each_carrier(
    server: Served, carrier: str, kind: str, *, private: bool
) -> None:
    status = {"right": 200, "wrong selector": 403}.get(kind, 401)
    answer = assert_publishes(server, carried(TOKENS[kind](), carrier), status, private=private)
    if status == 401:
        expected = CHALLENGE if kind == "none" else CHALLENGE_INVALID
        assert answer.headers["www-authenticate"] == expected


@KINDS
@EACH
def test_a_token_decides_which_updates_a_stream_gets_by_each_carrier(
    server: Served, carrier: str, kind: str, *, private: bool
) -> None:
    request = carried(TOKENS[kind](), carrier)
    if kind in INVALID:
        assert_unauthorized(server, request, challenge=CHALLENGE_INVALID)
    else:
        assert_subscribes(server, request, private=private, reads=kind == "right" or not private)


@KINDS
@EACH
def test_a_token_decides_which_updates_a_stream_gets_where_anonymous_streams_are_refused(
    closed_server: Served, carrier: str, kind: str, *, private: bool
) -> None:
    request = carried(TOKENS[kind](), carrier)
    if kind == "none":
        assert_unauthorized(closed_server, request, challenge=CHALLENGE)
    elif kind in INVALID:
        assert_unauthorized(closed_server, request, challenge=CHALLENGE_INVALID)
    else:
        assert_subscribes(
            closed_server, request, private=private, reads=kind == "right" or not private
        )


@pytest.mark.parametrize("kind", ["none", "bad signature", "wrong selector", "right"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_token_decides_whether_a_publish_is_accepted_through_nginx(
    hub: Service, carrier: str, kind: str
) -> None:
    status = {"right": 200, "wrong selector": 403}.get(kind, 401)
    assert_publishes(hub, carried(TOKENS[kind](), carrier), status, private=True)


@pytest.mark.parametrize("kind", ["none", "bad signature", "wrong selector", "right"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_token_decides_whether_a_stream_gets_private_updates_through_nginx(
    hub: Service, carrier: str, kind: str
) -> None:
    request = carried(TOKENS[kind](), carrier)
    if kind in INVALID:
        assert_unauthorized(hub, request, challenge=CHALLENGE_INVALID)
    else:
        assert_subscribes(hub, request, private=True, reads=kind == "right")


@pytest.mark.parametrize("origin", [None, "null", FOREIGN, f"{ALLOWED}.evil.example"])
def test_a_cookie_publishes_only_from_an_allowed_origin(server: Served, origin: str | None) -> None:
    request = carried(TOKENS["right"](), "cookie", origin)
    answer = assert_publishes(server, request, 403, private=False)
    assert "cookie" in answer.json()["detail"]


def test_a_cookie_publishes_from_the_origin_of_the_hub_by_origin_or_referer(
    server: Served, hub: Service
) -> None:
    for target in (server, hub):
        own = carried(TOKENS["right"](), "cookie", target.url)
        assert_publishes(target, own, 200, private=False)
        by_referer = carried(TOKENS["right"](), "cookie", None)
        by_referer.headers["Referer"] = f"{target.url}/some/page?x=1"
        assert_publishes(target, by_referer, 200, private=False)
        by_referer.headers["Referer"] = f"{FOREIGN}/?{target.url}"
        assert_publishes(target, by_referer, 403, private=False)


def test_a_bad_token_is_refused_even_if_a_later_carrier_has_a_good_one(server: Served) -> None:
    bad, right = TOKENS["bad signature"](), TOKENS["right"]()
    by_header, by_query = carried(bad, "header"), carried(bad, "query")
    good_query, good_cookie = carried(right, "query"), carried(right, "cookie")
    for request in (
        Carried({**good_cookie.headers, **by_header.headers}, good_query.query),
        Carried(good_cookie.headers, by_query.query),
    ):
        assert_publishes(server, request, 401, private=False)
        assert_unauthorized(server, request, challenge=CHALLENGE_INVALID)


@pytest.mark.parametrize(
    ("selector", "alternate", "reads"),
    [
        ("https://example.com/books/{id}", None, True),
        ("https://example.com/authors/{id}", None, False),
        # The example of the specification for rights by an alternate topic.
        (
            "https://example.com/users/foo/{?topic}",
            "https://example.com/users/foo/?topic=https%3A%2F%2Fexample.com%2Fbooks%2F1",
            True,
        ),
        (
            "https://example.com/users/bar/{?topic}",
            "https://example.com/users/foo/?topic=https%3A%2F%2Fexample.com%2Fbooks%2F1",
            False,
        ),
    ],
)
def test_a_right_to_one_topic_of_an_update_is_enough_to_read_it(
    server: Served, selector: str, alternate: str | None, *, reads: bool
) -> None:
    async def act() -> list[str]:
        headers = {"Authorization": f"Bearer {jws(claims(selector))}"}
        async with (
            following(server.address, TOPIC, headers=headers) as subscriber,
            Publisher(server.url) as publisher,
        ):
            topics = [TOPIC, alternate] if alternate else [TOPIC]
            await publisher.publish(*topics, data="tried", private="on")
            await publisher.publish(TOPIC, data="later")
            await until(lambda: subscriber.events and subscriber.events[-1].data == "later")
        return [event.data for event in subscriber.events]

    assert asyncio.run(act()) == (["tried", "later"] if reads else ["later"])


def test_a_right_to_some_topics_of_an_update_is_not_enough_to_publish_it(server: Served) -> None:
    async def act() -> None:
        async with (
            following(server.address, "*") as reader,
            Publisher(server.url) as publisher,
            httpx.AsyncClient(base_url=server.url) as client,
        ):
            answer = await client.post(
                PATH,
                data={"topic": [TOPIC, ELSEWHERE], "data": "tried"},
                headers={"Authorization": f"Bearer {TOKENS['right']()}"},
            )
            assert answer.status_code == 403
            await publisher.publish(TOPIC, data="later")
            await until(lambda: reader.events)
        assert [event.data for event in reader.events] == ["later"]

    asyncio.run(act())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_stream_ends_when_its_token_expires(
    server: Served, carrier: str, caplog: pytest.LogCaptureFixture
) -> None:
    # After 3 to 4 s: enough to subscribe and to publish on a loaded machine.
    expires_at = int(time.time()) + 4
    request = carried(jws(claims(TOPIC, exp=expires_at)), carrier)

    async def act() -> SseClient:
        async with (
            following(
                server.address, TOPIC, headers=request.headers, **request.query
            ) as subscriber,
            Publisher(server.url) as publisher,
        ):
            await publisher.publish(TOPIC, data="still", private="on")
            await until(lambda: subscriber.clean is not None)
            assert time.time() >= expires_at
        return subscriber

    with caplog.at_level(logging.INFO):
        subscriber = asyncio.run(act())
        assert subscriber.clean is True
        assert [event.data for event in subscriber.events] == ["still"]
        wait_for(
            "the log",
            lambda: "token expired" in [vars(record).get("reason") for record in caplog.records],
        )
    assert_unauthorized(server, request, challenge=CHALLENGE_INVALID)
    assert_publishes(server, request, 401, private=False)


def test_a_stream_ends_cleanly_through_nginx_when_its_token_expires_between_two_seconds(
    hub: Service,
) -> None:
    expires_at = time.time() + 3.3
    request = carried(jws(claims(TOPIC, exp=expires_at)), "header")

    async def act() -> SseClient:
        async with following(hub.address, TOPIC, headers=request.headers) as subscriber:
            await until(lambda: subscriber.clean is not None)
            assert time.time() >= expires_at
        return subscriber

    request.headers["User-Agent"] = "has a token for a moment"
    assert asyncio.run(act()).clean is True
    assert hub.end_of("has a token for a moment")["reason"] == "token expired"
    assert_unauthorized(hub, request, challenge=CHALLENGE_INVALID)


# Beside the hub's own path: others by which nginx leads there, and those of the protocol's
# subscription API, which clients of other hubs ask with tokens too.
OTHER_PATHS = ("/" + PATH, "/x/.." + PATH, PATH + "/", PATH + "/subscriptions")


def ask_with_tokens(service: Service, right: str, others: list[str]) -> None:
    """Send every kind of request with every token in every carrier."""
    asked = [*product([right, *others], [PATH]), *product([right], OTHER_PATHS)]
    with httpx.Client(timeout=5) as client:
        for (token, path), carrier in product(asked, CARRIERS):
            request = carried(token, carrier)
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "POST"):
                # Of a size that nginx buffers in a file, and warns of.
                data = update("x" * 20_000) if method == "POST" else None
                with client.stream(
                    method,
                    service.url + path,
                    params={"topic": TOPIC, **request.query},
                    headers=request.headers,
                    data=data,
                ):
                    pass


def send_odd_requests(service: Service, token: str) -> None:
    """Send requests that are too long or malformed, with the token in them."""
    query = urlencode({"topic": TOPIC, "authorization": token})
    long = "a" * 33_000
    for request in (
        f"GET {PATH}?{query}&topic={long} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {PATH}?topic={long}&authorization={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {PATH}?{query} HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n",
        f"GET {PATH}?topic=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}{long}\r\n\r\n",
        f"GET {PATH}?topic=x HTTP/1.1\r\nHost: x\r\nCookie: mercureAuthorization={token};{long}"
        "\r\n\r\n",
        f"POST {PATH}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
        f"POST {PATH}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        f"GET {PATH}?{query} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        f"GET {PATH}?{query} HTTP/1.1\r\nHost: x\r\nAuthorization\0: Bearer {token}\r\n\r\n",
        f"GET {PATH}?{query} HTTP/1.1\r\n\r\n",
        f"GET {PATH}?{query} HTTP/3.0\r\nHost: x\r\n\r\n",
        f"GET {PATH}?{query} and more HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {PATH}?{query}&topic=\x7f\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        f"G@T {PATH}?{query} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"authorization={token}\r\n\r\n",
    ):
        with socket.create_connection(service.address, timeout=5) as connection:
            connection.sendall(request.encode())
            refusals = (b"HTTP/1.1 4", b"HTTP/1.1 505")
            assert connection.recv(65536).startswith(refusals), request


def lose_the_app_under_a_stream(service: Service, token: str) -> None:
    """Kill the worker of a stream that has the token in its query."""

    async def act() -> None:
        async with following(service.address, TOPIC, authorization=token) as stream:
            os.kill(service.workers()[0], signal.SIGKILL)
            await until(lambda: stream.clean is not None)

    asyncio.run(act())


def test_no_token_is_written_to_a_log() -> None:
    right = jws(claims("*", exp=int(time.time()) + 3600))
    others = [
        jws(claims(TOPIC), key="another key, as long as the hub's own is"),
        jws(claims(TOPIC, exp=1)),
        jws(claims(ELSEWHERE)),
        right.replace(".", ".~", 1),
    ]
    with Service(workers=1, token_key=KEY, publish_rate=1, log_level="debug") as service:
        ask_with_tokens(service, right, others)
        limited = [
            httpx.post(service.url + PATH, params={"authorization": right}).status_code
            for _ in range(10)
        ]
        assert 429 in limited
        send_odd_requests(service, right)
        lose_the_app_under_a_stream(service, right)
        wait_for("the worker", lambda: httpx.get(f"{service.url}/readyz").status_code == 200)
        service.end_app()
        ask_with_tokens(service, right, others)
        send_odd_requests(service, right)
        httpx.get(f"{service.url}/the-last-one")
        nginx_log, app_log = service.folder / "nginx.log", service.folder / "app.log"
        wait_for("nginx's last line", lambda: '"/the-last-one"' in nginx_log.read_text())
        secrets = [part for token in (right, *others) for part in (token, token[-40:])]
        found = [
            line
            for line in (nginx_log.read_text() + app_log.read_text()).splitlines()
            if any(secret in line for secret in secrets)
        ]
    assert not found, "\n".join(found)
