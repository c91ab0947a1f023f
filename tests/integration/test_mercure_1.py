"""Mercure 1.0 through the hub: what streams get, and what requests are refused."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token, token
from support.clients.sse_client import SseClient
from support.servers.served import Served, reading, until

METADATA = "/.well-known/oauth-protected-resource/.well-known/mercure"
COOKIE = "__Secure-mercure_access_token"
BOOK = "https://example.com/books/1"
BOOKS = "https://example.com/books/:id"
TOPICS = [BOOK, "news", "/shelf/1", "https://hub.example/shelf/2", "a/{b}", "é ☃", "a&b=c+d%"]

Pairs = list[tuple[str, str]]


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


SETTINGS = Settings(token_key=KEY, issuer=ISSUER, resource_identifier=RESOURCE)


@pytest.fixture(scope="module", params=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(create_app(SETTINGS), ours=request.param == "direct") as server:
        yield server


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@asynccontextmanager
async def streaming(
    server: Served, pairs: Pairs, headers: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[SseClient]:
    client = SseClient(server.address, f"{PATH}?{urlencode(pairs)}", headers or {}, **options)
    async with reading(client):
        assert client.status == 200
        yield client


def publish(http: httpx.Client, bearer: str, **fields: Any) -> httpx.Response:
    return http.post(PATH, data=fields, headers=bearing(bearer))


async def data_after(client: SseClient, http: httpx.Client, *updates: dict[str, str]) -> list[str]:
    """Publish updates, and one that every stream of these tests gets; return what came before."""
    for update in (*updates, {"topic": "last"}):
        sent = publish(http, access_token("*"), **{"data": update["topic"], **update})
        assert sent.status_code == 200, sent.text
    await until(lambda: any(event.data == "last" for event in client.events))
    return [event.data for event in client.events if event.data != "last"]


@pytest.mark.parametrize(
    ("matchers", "got"),
    [
        ([("match", BOOK)], [BOOK]),
        ([("match_exact", "news")], ["news"]),
        ([("match_urlpattern", BOOKS)], [BOOK]),
        ([("match_urlpattern", "/shelf/*")], ["/shelf/1", "https://hub.example/shelf/2"]),
        ([("match", "*")], TOPICS),
        ([("match_urlpattern", "*")], TOPICS),
        # A matcher of 1.0 is no URI template.
        ([("match", "a/{b}")], ["a/{b}"]),
        ([("match", "https://example.com/books/{id}")], []),
        ([("match", "news"), ("match_urlpattern", BOOKS)], [BOOK, "news"]),
        ([("match", "é ☃"), ("match", "a&b=c+d%")], ["é ☃", "a&b=c+d%"]),
    ],
)
def test_a_stream_gets_what_its_matchers_match(
    server: Served, http: httpx.Client, matchers: Pairs, got: list[str]
) -> None:
    async def act() -> list[str]:
        async with streaming(server, [*matchers, ("match", "last")]) as client:
            return await data_after(client, http, *({"topic": topic} for topic in TOPICS))

    assert asyncio.run(act()) == got


def test_a_private_update_is_read_by_a_token_that_matches_one_of_its_topics(
    server: Served, http: httpx.Client
) -> None:
    async def act(headers: dict[str, str]) -> list[str]:
        async with streaming(server, [("match", "*")], headers) as client:
            private = {"topic": [BOOK, "/users/42/books/1"], "data": "secret", "private": ""}
            assert publish(http, access_token("*"), **private).status_code == 200
            return await data_after(client, http)

    assert asyncio.run(act(bearing(access_token("/users/42/books/1")))) == ["secret"]
    assert asyncio.run(act({"Cookie": f"{COOKIE}={access_token(BOOK)}"})) == ["secret"]
    assert asyncio.run(act(bearing(access_token("/users/43/books/1")))) == []
    # The cookie of the other version is not read.
    assert asyncio.run(act({"Cookie": f"mercureAuthorization={token()}"})) == []
    assert asyncio.run(act({})) == []


def test_updates_of_publishers_of_one_version_reach_streams_of_the_other(
    server: Served, http: httpx.Client
) -> None:
    async def act() -> None:
        async with (
            streaming(server, [("topic", "https://example.com/books/{id}")]) as zero,
            streaming(server, [("match_urlpattern", BOOKS)]) as one,
        ):
            publish(http, access_token(BOOK), topic=BOOK, data="of 1.0")
            publish(http, token(), topic=BOOK, data="of 0.x")
            for client in (zero, one):
                await until(lambda client=client: len(client.events) == 2)
                assert [event.data for event in client.events] == ["of 1.0", "of 0.x"]

    asyncio.run(act())


REFUSED_STREAMS: list[tuple[Pairs, str]] = [
    ([], "at least one parameter topic or match"),
    ([("topic", "a"), ("match", "a")], "both topic, a parameter of Mercure 0.x, and match"),
    ([("matchurlpattern", "a")], "names that begin with match are reserved"),
    ([("Match", "a")], "names that begin with match are reserved"),
    ([("MATCH_EXACT", "a")], "names that begin with match are reserved"),
    ([("match", "a"), ("matched", "1")], "names that begin with match are reserved"),
    ([("match_regexp", "a")], "names that begin with match are reserved"),
    ([("match", "")], "a matcher is empty"),
    ([("match", "a\0")], "character U+0000"),
    ([("match", "a\u200b")], "character U+200B"),
    ([("match_urlpattern", "/a\x85")], "character U+0085"),
    ([("match", "a" * 2049)], "at most 2048"),
    ([("match_urlpattern", "(")], "has no end"),
    ([("match_urlpattern", "{")], "not a valid URL Pattern"),
    ([("match_urlpattern", r"/(\w{500})")], "too large"),
    ([("match", "a")] * 101, "101 topics; at most 100"),
    ([("match_urlpattern", f"/{n}/:a") for n in range(11)], "11 URL Patterns; at most 10"),
    ([("match", "a"), ("access_token", "x")], "Mercure 1.0 reads none there"),
    ([("match", "a"), ("authorization", "x")], "Mercure 1.0 reads none there"),
]


@pytest.mark.parametrize(("pairs", "told"), REFUSED_STREAMS)
def test_a_malformed_subscription_is_refused_with_the_reason(
    http: httpx.Client, pairs: Pairs, told: str
) -> None:
    form = urlencode(pairs)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        http.get(f"{PATH}?{form}"),
        http.request("QUERY", PATH, content=form, headers=kind),
    ):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert told in answer.json()["detail"]


def test_as_many_matchers_as_the_limit_are_accepted(server: Served, http: httpx.Client) -> None:
    pairs = [("match", f"topic {n}") for n in range(90)]
    pairs += [("match_urlpattern", f"/{n}/:a") for n in range(9)]

    async def act() -> list[str]:
        async with streaming(server, [*pairs, ("match", "last")]) as client:
            return await data_after(client, http, {"topic": "/8/x"}, {"topic": "topic 89"})

    assert asyncio.run(act()) == ["/8/x", "topic 89"]


def test_a_query_subscribes_to_the_matchers_of_its_url_and_of_its_body(
    server: Served, http: httpx.Client
) -> None:
    async def act() -> list[str]:
        body = urlencode([("match", "news"), ("match_urlpattern", BOOKS)])
        async with streaming(server, [("match", "last")], method="QUERY", form=body) as client:
            return await data_after(client, http, *({"topic": topic} for topic in TOPICS))

    assert asyncio.run(act()) == [BOOK, "news"]


def test_a_query_resumes_from_the_header_else_its_url_else_its_body(
    server: Served, http: httpx.Client
) -> None:
    ids = [publish(http, access_token("*"), topic="row", data=str(n)).text for n in range(4)]

    async def act(pairs: Pairs, form: Pairs, headers: dict[str, str]) -> tuple[list[str], str]:
        async with streaming(
            server, pairs, headers, method="QUERY", form=urlencode(form)
        ) as client:
            await until(lambda: client.events and client.events[-1].data == "3")
            anchor = client.response_headers["mercure-last-event-id"]
            return [event.data for event in client.events], anchor

    body = [("match", "row"), ("last_event_id", ids[2])]
    assert asyncio.run(act([], body, {})) == (["3"], ids[2])
    url = [("last_event_id", ids[1])]
    assert asyncio.run(act(url, body, {})) == (["2", "3"], ids[1])
    headers = {"Last-Event-ID": ids[0]}
    assert asyncio.run(act(url, body, headers)) == (["1", "2", "3"], ids[0])
    for spelling in ("lastEventID", "lastEventId", "Last-Event-ID"):
        body = [("match", "row"), ("last_event_id", ""), (spelling, ids[2])]
        assert asyncio.run(act([], body, {})) == (["3"], ids[2])


def test_an_empty_id_in_the_body_of_a_query_is_none(server: Served, http: httpx.Client) -> None:
    async def act() -> list[str]:
        form = urlencode([("match", "last"), ("last_event_id", "")])
        async with streaming(server, [], method="QUERY", form=form) as client:
            assert "mercure-last-event-id" not in client.response_headers
            return await data_after(client, http)

    assert asyncio.run(act()) == []


def test_a_token_of_0_x_may_be_in_the_body_of_a_query(server: Served, http: httpx.Client) -> None:
    async def act(bearer: str) -> list[str]:
        form = urlencode([("topic", BOOK), ("topic", "last"), ("authorization", bearer)])
        async with streaming(server, [], method="QUERY", form=form) as client:
            return await data_after(client, http, {"topic": BOOK, "private": "on"})

    assert asyncio.run(act(token())) == [BOOK]
    assert asyncio.run(act(token(subscribe=()))) == []


def test_a_query_with_a_body_that_is_no_form_or_too_large_is_refused(http: httpx.Client) -> None:
    path = f"{PATH}?match=a"
    as_json = http.request("QUERY", path, json={"match": "b"})
    assert as_json.status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    large = http.request("QUERY", path, content=b"x" * 300_000, headers=form)
    assert large.status_code == 413
    broken = http.request("QUERY", path, content=b"match=%ff", headers=form)
    assert broken.status_code == 400


@pytest.mark.parametrize(
    ("asked", "anchor"), [({}, None), ({"last_event_id": "earliest"}, "earliest"),
                          ({"lastEventID": "unknown"}, "earliest")]
)  # fmt: skip
def test_the_answer_names_the_event_before_the_first_one(
    http: httpx.Client, asked: dict[str, str], anchor: str | None
) -> None:
    with http.stream("GET", PATH, params={"match": "a", **asked}) as answer:
        assert answer.headers.get("mercure-last-event-id") == anchor
        assert "last-event-id" not in answer.headers


def test_a_publish_beyond_its_scope_is_refused_by_the_codes_of_oauth(http: httpx.Client) -> None:
    metadata = f'resource_metadata="https://hub.example{METADATA}"'
    for bearer, status, challenge in (
        (access_token("a"), 403, f'Bearer error="insufficient_scope", {metadata}'),
        (access_token("a", seconds=-1), 401, f'Bearer error="invalid_token", {metadata}'),
        (access_token("a", aud="x"), 401, f'Bearer error="invalid_token", {metadata}'),
    ):
        answer = publish(http, bearer, topic=["a", "b"])
        assert answer.status_code == status
        assert answer.headers["www-authenticate"] == challenge
    nobody = http.post(PATH, data={"topic": "a"})
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, f"Bearer {metadata}")


def test_unknown_fields_of_a_publish_are_ignored(http: httpx.Client) -> None:
    answer = publish(http, access_token("a"), topic="a", keep="1", future="x", match="y")
    assert answer.status_code == 200


def test_the_metadata_name_the_hub(http: httpx.Client) -> None:
    answer = http.get(METADATA)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_details_types_supported": ["https://mercure.rocks/authorization-detail"],
        "bearer_methods_supported": ["header"],
        "mercure_cookie": COOKIE,
        "mercure_matcher_types_supported": ["exact", "urlpattern"],
    }
    assert http.head(METADATA).status_code == 200


def test_the_metadata_are_those_of_the_requests_origin_if_that_is_a_public_one() -> None:
    settings = Settings(public_urls="https://one.example,http://two.example:8080")
    with Served(create_app(settings), ours=True) as server:
        for host, scheme, status in (
            ("one.example", "https", 200),
            ("two.example:8080", "http", 200),
            ("one.example", "http", 404),
            ("evil.example", "https", 404),
        ):
            headers = {"Host": host, "X-Forwarded-Proto": scheme}
            answer = httpx.get(server.url + METADATA, headers=headers)
            assert answer.status_code == status
            if status == 200:
                assert answer.json()["resource"] == f"{scheme}://{host}{PATH}"


@pytest.mark.parametrize(
    ("protocols", "off", "on"), [("0.x", "match", "topic"), ("1.0", "topic", "match")]
)
def test_a_version_that_is_off_is_not_spoken(protocols: str, off: str, on: str) -> None:
    settings = SETTINGS.model_copy(update={"protocols": protocols})
    with Served(create_app(settings), ours=True) as server:
        refused = httpx.get(server.url + PATH, params={off: "a"})
        assert refused.status_code == 400
        assert "is off: see BARESTREAM_PROTOCOLS" in refused.json()["detail"]
        with httpx.stream("GET", server.url + PATH, params={on: "a"}) as answer:
            assert answer.status_code == 200
        has_metadata = httpx.get(server.url + METADATA).status_code == 200
        assert has_metadata is (protocols == "1.0")


@pytest.mark.parametrize(("life_seconds", "token_seconds"), [(1, 300), (300, 1)])
def test_a_stream_ends_with_its_token_or_after_the_longest_life(
    life_seconds: float, token_seconds: float
) -> None:
    settings = SETTINGS.model_copy(update={"token_stream_seconds": life_seconds})
    with Served(create_app(settings), ours=True) as server:
        bearer = bearing(access_token("a", seconds=token_seconds))
        client = SseClient(server.address, f"{PATH}?match=a", bearer)
        asyncio.run(client.run(seconds=30))
        assert client.clean


def test_streams_beyond_the_patterns_of_a_worker_come_back_and_leave_room_for_tokens() -> None:
    settings = SETTINGS.model_copy(update={"url_patterns": 1})
    with Served(create_app(settings), ours=True) as server:
        url = server.url + PATH

        async def act() -> None:
            async with streaming(server, [("match_urlpattern", "/a/:b")]):
                async with streaming(server, [("match_urlpattern", "/a/:b")]) as same:
                    assert "barestream-turned-away" not in same.response_headers
                other = await asyncio.to_thread(
                    httpx.get, url, params={"match_urlpattern": "/b/:c"}
                )
                assert other.status_code == 200
                assert other.headers["barestream-turned-away"]
                assert other.text.startswith("retry: ")
                bearer = access_token(patterns=["/c/:d"])
                answer = await asyncio.to_thread(
                    httpx.post, url, data={"topic": "/c/1"}, headers=bearing(bearer)
                )
                assert answer.status_code == 200

        asyncio.run(act())


def test_a_token_with_more_patterns_than_a_worker_may_hold_is_told_to_come_back() -> None:
    settings = SETTINGS.model_copy(update={"url_patterns": 1})
    bearer = bearing(access_token(patterns=["/a/:x", "/b/:x"]))
    with Served(create_app(settings), ours=True) as server:
        answer = httpx.post(server.url + PATH, data={"topic": "/a/1"}, headers=bearer)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        stream = httpx.get(f"{server.url}{PATH}?match=a", headers=bearer)
        assert stream.headers["barestream-turned-away"]


def form_request(body: str, *fields: str) -> bytes:
    lines = (
        *(f"POST {PATH} HTTP/1.1", "Host: test"),
        *("Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"),
        *fields,
    )
    return "\r\n".join([*lines, "", body]).encode()


def whole_answer(server: Served, sent: bytes) -> bytes:
    """Return all that comes after the bytes were sent and the sending half was closed."""
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_head_of_a_stream_whose_client_sends_no_more_is_not_lost() -> None:
    with Served(create_app(SETTINGS), ours=True) as server:
        authorization = f"Authorization: Bearer {access_token('a')}"
        stream = f"GET {PATH}?match=a HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        answer = whole_answer(server, form_request("topic=a", authorization) + stream)
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert answer.endswith(b"\r\n0\r\n\r\n")


def test_the_body_behind_an_upgrade_ends_where_its_length_says() -> None:
    with Served(create_app(SETTINGS), ours=True) as server:
        bearer = f"Authorization: Bearer {access_token('*')}"
        upgrade = ("Connection: upgrade", "Upgrade: h2c")
        first = form_request("topic=a", bearer, *upgrade)

        async def act() -> list[str]:
            async with streaming(server, [("match", "b"), ("match", "last")]) as client:
                await asyncio.to_thread(whole_answer, server, first + form_request("&topic=b"))
                with httpx.Client(base_url=server.url) as http:
                    return await data_after(client, http)

        assert asyncio.run(act()) == []
