"""The requests of a subscriber, and the events that it gets: live, and of the history."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlencode

import httpx
import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, Publisher, token
from support.clients.sse_client import Received, SseClient
from support.servers.served import Served, following, until
from support.servers.service import PATIENCE_SECONDS, free_port, wait_for
from support.servers.valkey_server import ValkeyServer

AUTHORIZATION = {"Authorization": f"Bearer {token()}"}
LAST = "the last one"


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Return a server with an empty history."""
    with Served(create_app(Settings(token_key=KEY)), ours=request.param) as served:
        yield served


def with_publisher(server: Served, scenario: Callable[[Publisher], Awaitable[None]]) -> None:
    async def act() -> None:
        async with Publisher(server.url) as publisher:
            await scenario(publisher)

    asyncio.run(act())


async def data_to_the_last(publisher: Publisher, client: SseClient, *topics: str) -> list[str]:
    """Publish a last event to the client's topic, and return the data that it got before."""
    await publisher.publish(*topics, data=LAST)
    await until(lambda: client.events and client.events[-1].data == LAST)
    return [event.data for event in client.events[:-1]]


async def first_data(client: SseClient, count: int) -> list[str]:
    """Return the data of the client's first events, as soon as there are so many."""
    await until(lambda: len(client.events) >= count)
    return [event.data for event in client.events]


def gap_of(event: Received) -> dict[str, object]:
    assert event.type == "barestream.gap"
    told = json.loads(event.data)
    assert told["to"] == event.id
    return told


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "at least one parameter topic"),
        ("Topic=a", "at least one parameter topic"),
        (urlencode([("topic", str(n)) for n in range(101)]), "101 topics; at most 100 are allowed"),
        (urlencode([("topic", "a" * 2049)]), "2049 characters"),
        (urlencode([("topic", "{a}" * 700)]), "2100 characters"),
        ("topic=%ff", "not UTF-8"),
        ("topic=a&lastEventID=%ff", "not UTF-8"),
        ("topic=a&%ff=a", "not UTF-8"),
    ],
)
def test_a_refused_query_is_answered_with_the_reason(
    server: Served, query: str, detail: str
) -> None:
    for headers in ({}, AUTHORIZATION):
        answer = httpx.get(f"{server.url}{PATH}?{query}", headers=headers)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 400
        assert detail in answer.json()["detail"]


def test_as_many_topics_as_the_limit_and_unusual_ones_are_accepted(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        odd = ["", " ", "{", "{}", "{a", "é{x}", "\u2028", "*a", "{+a}{+b}{+c}", "%", "%zz"]
        topics = [*odd, *map(str, range(100 - len(odd)))]
        async with following(server.address, *topics) as client:
            assert client.status == 200
            # An update needs a topic; a space is a reference to the hub's own path.
            for topic in odd[2:]:
                await publisher.publish(topic, data=ascii(topic))
            got = await data_to_the_last(publisher, client, "0")
        assert got == [ascii(topic) for topic in odd[2:]]

    with_publisher(server, scenario)


def test_the_number_of_templates_of_a_stream_is_limited(server: Served) -> None:
    topics = [f"a/{{v}}/{number}" for number in range(11)]
    answer = httpx.get(f"{server.url}{PATH}", params={"topic": topics})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The request has 11 URI templates; at most 10 are allowed."


def test_the_total_size_of_the_templates_of_a_stream_is_limited(server: Served) -> None:
    answer = httpx.get(f"{server.url}{PATH}", params={"topic": ["{+a}" * 100, "{+b}" * 100]})
    assert answer.status_code == 400
    assert "too large together" in answer.json()["detail"]


def test_a_client_resumes_from_an_id_beyond_ascii_that_another_writer_gave() -> None:
    with ValkeyServer() as valkey:
        settings = Settings(broker_url=valkey.url, broker_password=valkey.password)
        with Served(create_app(settings), ours=True) as served:
            wait_for("the hub", lambda: httpx.get(f"{served.url}/readyz").status_code == 200)
            fields = ("v", "1", "topics", '["a"]', "data", "x", "id", "é1")
            valkey.ask("XADD", "{barestream}:log", "*", *fields)
            query = {"topic": "a", "lastEventID": "é1"}
            with httpx.stream("GET", served.url + PATH, params=query) as answer:
                assert answer.status_code == 200
                assert dict(answer.headers.raw)[b"last-event-id"] == "é1".encode()


def test_the_answer_is_a_stream_that_no_cache_keeps(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        async with following(server.address, "a") as client:
            assert await data_to_the_last(publisher, client, "a") == []
        headers = client.response_headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert len(client.retries_ms) == 1

    with_publisher(server, scenario)


def test_the_answer_to_a_request_with_an_id_names_the_id_that_it_resumes_from(
    server: Served,
) -> None:
    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", id="own")
        place = await publisher.publish("a")
        for asked, told in (
            (None, None),
            ("own", "own"),
            (place, place),
            ("earliest", "earliest"),
            ("unknown", "earliest"),
            ("#1-", "earliest"),
            ("#99999999999999-0", "earliest"),
        ):
            query = {} if asked is None else {"lastEventID": asked}
            async with following(server.address, "a", **query) as client:
                assert client.response_headers.get("last-event-id") == told
            headers = {} if asked is None else {"Last-Event-ID": asked}
            async with following(server.address, "a", headers=headers) as client:
                assert client.response_headers.get("last-event-id") == told

    with_publisher(server, scenario)


@pytest.mark.parametrize("carrier", ["header", "query"])
def test_an_empty_id_counts_as_no_id(server: Served, carrier: str) -> None:
    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", data="before")
        headers = {"Last-Event-ID": ""} if carrier == "header" else {}
        query = {"lastEventID": ""} if carrier == "query" else {}
        async with following(server.address, "a", headers=headers, **query) as client:
            assert await data_to_the_last(publisher, client, "a") == []
        assert "last-event-id" not in client.response_headers

    with_publisher(server, scenario)


@pytest.mark.parametrize(
    "spelling", ["lastEventID", "lastEventId", "last_event_id", "Last-Event-ID"]
)
@pytest.mark.parametrize("has_another", [False, True])
def test_each_spelling_in_the_query_means_the_same_and_the_newest_place_counts(
    server: Served, spelling: str, has_another: bool
) -> None:
    async def scenario(publisher: Publisher) -> None:
        ids = [await publisher.publish("a", data=str(number)) for number in range(4)]
        older = "lastEventId" if spelling == "lastEventID" else "lastEventID"
        query = {older: ids[0], spelling: ids[2]} if has_another else {spelling: ids[2]}
        async with following(server.address, "a", **query) as client:
            assert await data_to_the_last(publisher, client, "a") == ["3"]
            assert client.response_headers["last-event-id"] == ids[2]

    with_publisher(server, scenario)


@pytest.mark.parametrize("no_id", ["0", "null", "undefined"])
def test_the_placeholder_of_a_client_without_an_id_starts_live_without_a_gap(
    server: Served, no_id: str
) -> None:
    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", data="before")
        async with following(server.address, "a", headers={"Last-Event-ID": no_id}) as client:
            assert await data_to_the_last(publisher, client, "a") == []
        assert "barestream.gap" not in [event.type for event in client.events]

    with_publisher(server, scenario)


def test_the_header_takes_precedence_over_the_query(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        ids = [await publisher.publish("a", data=str(number)) for number in range(4)]
        headers = {"Last-Event-ID": ids[2]}
        async with following(server.address, "a", headers=headers, lastEventID=ids[0]) as client:
            assert await data_to_the_last(publisher, client, "a") == ["3"]
            assert client.response_headers["last-event-id"] == ids[2]

    with_publisher(server, scenario)


def test_a_client_resumes_from_a_publishers_id_and_from_a_place(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        own = ["urn:uuid:1", "with space", "ä".encode().hex(), "!~"]
        for event_id in own:
            await publisher.publish("a", data=event_id, id=event_id)
        place = await publisher.publish("a", data="a place")
        everything = [*own, "a place"]
        for seen, event_id in enumerate([*own, place], 1):
            for headers, query in (
                ({"Last-Event-ID": event_id}, {}),
                ({}, {"lastEventID": event_id}),
            ):
                async with following(server.address, "a", headers=headers, **query) as client:
                    rest = everything[seen:]
                    assert await first_data(client, len(rest)) == rest
        async with following(server.address, "a", lastEventID=own[0]) as client:
            got = await data_to_the_last(publisher, client, "a")
        assert got == everything[1:]

    with_publisher(server, scenario)


def test_earliest_replays_the_whole_history_without_a_gap(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        for number in range(5):
            await publisher.publish("ab"[number % 2], data=str(number))
        async with following(server.address, "a", lastEventID="earliest") as client:
            assert await data_to_the_last(publisher, client, "a") == ["0", "2", "4"]

    with_publisher(server, scenario)


def test_without_an_id_a_client_gets_nothing_of_the_history(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", data="before")
        async with following(server.address, "a") as client:
            assert await data_to_the_last(publisher, client, "a") == []

    with_publisher(server, scenario)


def test_an_unknown_id_is_answered_with_a_gap_and_the_whole_history(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", data="1")
        await publisher.publish("a", data="2")
        for unknown in ("unknown", "é☃", "#", "#1-", "#99999999999999-0", "a\0b\nc", "x" * 5000):
            async with following(server.address, "a", lastEventID=unknown) as client:
                await until(lambda: len(client.events) == 3)
            gap, *events = client.events
            assert gap_of(gap)["from"] == unknown
            assert [event.data for event in events] == ["1", "2"]

    with_publisher(server, scenario)


def test_the_id_of_a_private_event_is_unknown_to_a_client_that_may_not_read_it(
    server: Served,
) -> None:
    async def answered(
        headers: dict[str, str], asked: str
    ) -> tuple[dict[str, str], list[tuple[object, ...]]]:
        async with following(
            server.address, "a", headers={**headers, "Last-Event-ID": asked}
        ) as client:
            await until(lambda: client.events and client.events[-1].data == "2")
        head = {name: value for name, value in client.response_headers.items() if name != "date"}
        events = [(event.id, event.type, event.data.replace(asked, "?")) for event in client.events]
        return head, events

    async def scenario(publisher: Publisher) -> None:
        await publisher.publish("a", data="1")
        await publisher.publish("a", data="secret", private="on", id="private")
        await publisher.publish("a", data="2")
        elsewhere = {"Authorization": f"Bearer {token(subscribe=('b',))}"}
        for headers in ({}, elsewhere):
            answer = await answered(headers, "private")
            assert answer == await answered(headers, "unknown")
            assert answer[0]["last-event-id"] == "earliest"
            assert [event[2] for event in answer[1][1:]] == ["1", "2"]
        head, events = await answered(AUTHORIZATION, "private")
        assert head["last-event-id"] == "private"
        assert [event[2] for event in events] == ["2"]

    with_publisher(server, scenario)


def test_private_events_of_the_history_go_only_to_clients_that_may_read_them(
    server: Served,
) -> None:
    async def scenario(publisher: Publisher) -> None:
        place = await publisher.publish("b", data="another topic's", private="on")
        await publisher.publish("a", data="1")
        await publisher.publish("a", data="secret", private="on")
        await publisher.publish("a", data="2")
        for headers, expected in (({}, ["1", "2"]), (AUTHORIZATION, ["1", "secret", "2"])):
            for seen in ("earliest", place):
                async with following(
                    server.address, "a", headers=headers, lastEventID=seen
                ) as client:
                    await until(lambda: client.events and client.events[-1].data == "2")
                assert [event.data for event in client.events] == expected

    with_publisher(server, scenario)


def test_several_topics_in_one_stream_keep_the_order_of_the_history(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        first = await publisher.publish("a", data="0")
        async with following(server.address, "c", "a", "b") as live:
            for number in range(1, 60):
                await publisher.publish("abcd"[number % 4], data=str(number))
            expected = [str(number) for number in range(1, 60) if number % 4 != 3]
            assert await data_to_the_last(publisher, live, "a") == expected
        async with following(server.address, "b", "c", "a", lastEventID=first) as replayed:
            await until(lambda: len(replayed.events) == len(live.events))
        assert [event.id for event in replayed.events] == [event.id for event in live.events]

    with_publisher(server, scenario)


def test_an_event_that_matches_by_templates_and_alternates_is_sent_once(server: Served) -> None:
    book, user = "https://example.com/books/1", "https://example.com/users/2/"
    selectors = ("https://example.com/books/{id}", book, user, "https://example.com/users/{+x}")

    async def scenario(publisher: Publisher) -> None:
        async with following(server.address, *selectors) as live:
            first = await publisher.publish(book, user, data="both")
            await publisher.publish(book + "/2", data="neither")
            await publisher.publish(user, "other", data="alternate")
            got = await data_to_the_last(publisher, live, book)
        assert got == ["both", "alternate"]
        async with following(server.address, *selectors, lastEventID="earliest") as replayed:
            await until(lambda: len(replayed.events) == 3)
        assert replayed.events[0].id == first
        assert [event.data for event in replayed.events] == ["both", "alternate", LAST]

    with_publisher(server, scenario)


def test_the_star_selects_every_topic(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        async with (
            following(server.address, "*") as everything,
            following(server.address, "a") as one,
        ):
            await publisher.publish("é☃ {", data="odd")
            assert await data_to_the_last(publisher, everything, "a") == ["odd"]
            await until(lambda: one.events)
        assert [event.data for event in one.events] == [LAST]

    with_publisher(server, scenario)


@pytest.mark.parametrize("ring_events", [2, 100], ids=["out of Valkey", "out of the ring"])
def test_a_long_history_is_replayed_in_order_and_goes_on_live(ring_events: int) -> None:
    settings = Settings(token_key=KEY, ring_events=ring_events, history_events=100)

    async def scenario(publisher: Publisher) -> None:
        ids = [await publisher.publish("a", data=str(number)) for number in range(50)]
        async with following(server.address, "a", lastEventID=ids[9]) as client:
            got = await data_to_the_last(publisher, client, "a")
            assert client.response_headers["last-event-id"] == ids[9]
        assert got == [str(number) for number in range(10, 50)]

    with Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)


@pytest.mark.parametrize("with_own_ids", [True, False], ids=["own ids", "places"])
def test_a_client_that_was_away_for_longer_than_the_history_is_sent_a_gap(
    *, with_own_ids: bool
) -> None:
    settings = Settings(token_key=KEY, history_events=3, ring_events=3)

    async def scenario(publisher: Publisher) -> None:
        ids = [
            await publisher.publish(
                "ab"[number % 2],
                data=str(number),
                **({"id": f"own-{number}"} if with_own_ids else {}),
            )
            for number in range(8)
        ]
        async with following(server.address, "a", "b", lastEventID=ids[0]) as client:
            assert client.response_headers["last-event-id"] == "earliest"
            got = await data_to_the_last(publisher, client, "a")
        assert gap_of(client.events[0])["from"] == ids[0]
        assert got[1:] == ["5", "6", "7"]
        if not with_own_ids:
            # The event just before the history: nothing is missing.
            async with following(server.address, "a", "b", lastEventID=ids[5]) as client:
                await until(lambda: len(client.events) == 3)
            assert [event.data for event in client.events] == ["6", "7", LAST]
            assert client.response_headers["last-event-id"] == ids[5]

    with Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)


def test_a_client_resumes_from_the_id_of_a_gap_without_another_gap() -> None:
    settings = Settings(token_key=KEY, history_events=3, ring_events=3)

    async def scenario(publisher: Publisher) -> None:
        ids = [await publisher.publish("a", data=str(number)) for number in range(8)]
        async with following(server.address, "a", lastEventID=ids[0]) as client:
            await until(lambda: len(client.events) == 4)
        gap = client.events[0].id
        assert gap is not None
        async with following(server.address, "a", lastEventID=gap) as client:
            await until(lambda: len(client.events) == 3)
        assert [event.data for event in client.events] == ["5", "6", "7"]

    with Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)


@pytest.mark.parametrize("ours", [True, False], ids=["direct", "asgi"])
def test_heartbeats_can_be_events_that_move_the_cursor_of_the_client(*, ours: bool) -> None:
    async def scenario(publisher: Publisher) -> None:
        async with following(server.address, "quiet", heartbeat="event") as client:
            await until(lambda: client.events)
            other = await publisher.publish("loud", data="unheard")
            await until(lambda: client.events[-1].id == other)
        kinds = {(event.type, event.data) for event in client.events}
        assert kinds == {("barestream.heartbeat", "")}
        assert all(re.fullmatch("#[0-9]+-[0-9]+", event.id or "") for event in client.events)
        assert client.heartbeats == 0
        await publisher.publish("quiet", data="missed")
        async with following(
            server.address, "quiet", headers={"Last-Event-ID": client.events[-1].id or ""}
        ) as client:
            await until(lambda: client.events)
        assert [event.data for event in client.events] == ["missed"]

    settings = Settings(token_key=KEY, heartbeat_seconds=0.2)
    with Served(create_app(settings), ours=ours) as server:
        with_publisher(server, scenario)


@pytest.mark.parametrize("query", [{}, {"heartbeat": "x"}, {"heartbeat": ""}])
def test_heartbeats_are_comments_by_default(query: dict[str, str]) -> None:
    async def scenario(publisher: Publisher) -> None:
        async with following(server.address, "quiet", **query) as client:
            await until(lambda: client.heartbeats)
            assert await data_to_the_last(publisher, client, "quiet") == []

    settings = Settings(token_key=KEY, heartbeat_seconds=0.2)
    with Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)


def test_a_stream_above_the_limit_of_the_worker_gets_a_retry_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(publisher: Publisher) -> None:
        async with following(server.address, "a") as first:
            async with following(server.address, "a") as second:
                await until(lambda: second.clean is not None)
            assert (second.status, second.clean, second.events) == (200, True, [])
            assert len(second.retries_ms) == 1
            assert await data_to_the_last(publisher, first, "a") == []
        await until(lambda: server.is_idle or metric(server, "barestream_streams") == 0)
        async with following(server.address, "a") as third:
            assert await data_to_the_last(publisher, third, "a") == []

    settings = Settings(token_key=KEY, streams_per_worker=1)
    with caplog.at_level(logging.INFO), Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)
    reasons = [vars(record).get("reason") for record in caplog.records]
    assert reasons.count("worker full") == 1


def test_without_valkey_a_stream_gets_a_retry_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings(token_key=KEY, broker_url=f"redis://127.0.0.1:{free_port()}")
    with caplog.at_level(logging.INFO), Served(create_app(settings), ours=True) as server:
        client = asyncio.run(SseClient(server.address, f"{PATH}?topic=a").run(PATIENCE_SECONDS))
    assert (client.status, client.clean, client.events) == (200, True, [])
    assert client.retries_ms
    reasons = [vars(record).get("reason") for record in caplog.records]
    assert reasons.count("worker unready") == 1


def test_head_is_answered_with_the_newest_cursor_and_ends(server: Served) -> None:
    url = f"{server.url}{PATH}?topic=a&lastEventID=earliest"
    with httpx.Client() as client:
        for _ in range(2):
            head = client.head(url)
            assert head.status_code == 200
            assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert re.fullmatch("#[0-9]+-[0-9]+", head.headers["last-event-id"])
            assert head.content == b""
        assert client.head(server.url + PATH).status_code == 400
        refused = client.head(url, headers={"Authorization": "Bearer x"})
        assert refused.status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_answered_with_the_allowed_ones(server: Served, method: str) -> None:
    answer = httpx.request(method, f"{server.url}{PATH}?topic=a")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST, QUERY"
    assert answer.headers["content-type"] == "application/problem+json"


PAGE, OTHER_PAGE, FOREIGN = "https://shop.example", "http://localhost:3000", "https://evil.example"


def asked_from(
    server: Served, origin: str | None, method: str = "POST", **headers: str
) -> httpx.Headers:
    """Return the headers of the answers to a page: for a stream, a publish and their errors."""
    sent = {**AUTHORIZATION, **headers, **({"Origin": origin} if origin else {})}
    with httpx.Client(base_url=server.url, headers=sent) as client:
        if method == "OPTIONS":
            return client.options(PATH).headers
        found = []
        for request, status in (
            (client.build_request("POST", PATH, data={"topic": "a"}), 200),
            (client.build_request("POST", PATH, data={"topic": ""}), 400),
            (client.build_request("POST", PATH, headers={"Authorization": "Bearer x"}), 401),
            (client.build_request("GET", f"{PATH}?topic=a"), 200),
            (client.build_request("HEAD", f"{PATH}?topic=a"), 200),
            (client.build_request("GET", PATH), 400),
            (
                client.build_request(
                    "GET", f"{PATH}?topic=a", headers={"Authorization": "Bearer x"}
                ),
                401,
            ),
        ):
            answer = client.send(request, stream=True)
            answer.close()
            assert answer.status_code == status
            found.append({name: answer.headers.get(name) for name in CORS_HEADERS})
    assert found == [found[0]] * len(found)
    return httpx.Headers({name: value for name, value in found[0].items() if value is not None})


CORS_HEADERS = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "vary",
)


def test_pages_of_the_allowed_origins_may_use_the_hub_with_cookies() -> None:
    settings = Settings(token_key=KEY, cors_origins=f"{PAGE}, {OTHER_PAGE}")
    with Served(create_app(settings), ours=True) as server:
        for origin in (PAGE, OTHER_PAGE):
            for method in ("POST", "OPTIONS"):
                headers = asked_from(server, origin, method)
                assert headers["access-control-allow-origin"] == origin
                assert headers["access-control-allow-credentials"] == "true"
                assert headers["access-control-expose-headers"] == (
                    "last-event-id, mercure-last-event-id, producer-epoch, producer-seq, "
                    "producer-expected-seq, producer-received-seq, retry-after, "
                    "barestream-turned-away"
                )
                assert headers["vary"] == "origin"
        for unknown in (None, FOREIGN, "null", PAGE + ".evil.example", PAGE.upper(), f"{PAGE}:443"):
            for method in ("POST", "OPTIONS"):
                headers = asked_from(server, unknown, method)
                assert "access-control-allow-origin" not in headers
                assert "access-control-allow-credentials" not in headers
                assert headers["vary"] == "origin"


def test_pages_of_any_origin_may_use_the_hub_without_cookies() -> None:
    with Served(create_app(Settings(token_key=KEY, cors_origins="*")), ours=True) as server:
        for origin in (PAGE, FOREIGN, "null", None):
            for method in ("POST", "OPTIONS"):
                headers = asked_from(server, origin, method)
                assert headers["access-control-allow-origin"] == "*"
                assert "access-control-allow-credentials" not in headers
        answer = httpx.post(
            server.url + PATH,
            data={"topic": "a"},
            headers={"Cookie": f"mercureAuthorization={token()}", "Origin": FOREIGN},
        )
        assert answer.status_code == 403


# Headers that tracing tools, frameworks and EventSource libraries add.
ADDED = (
    "baggage",
    "pragma",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "x-csrf-token",
    "x-requested-with",
)


def test_a_preflight_allows_the_headers_of_the_protocol_and_of_tools_in_browsers() -> None:
    with Served(create_app(Settings(token_key=KEY, cors_origins=PAGE)), ours=True) as server:
        asked = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": f"authorization,last-event-id,{','.join(ADDED)},a b",
        }
        answer = httpx.options(server.url + PATH, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST, QUERY"
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    needed = {"authorization", "content-type", "last-event-id", "cache-control"}
    assert {*allowed} == needed | {*ADDED}


def test_without_allowed_origins_no_answer_has_cors_headers(server: Served) -> None:
    assert asked_from(server, PAGE) == {}


def test_the_pages_name_the_hub(server: Served) -> None:
    for path in ("/", "/test"):
        for answer in (httpx.get(server.url + path), httpx.head(server.url + path)):
            assert answer.headers["link"] == f'<{PATH[1:]}>; rel="mercure"'


def metrics(server: Served) -> dict[str, float]:
    """Return the metrics by name and labels."""
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def metric(server: Served, name: str) -> float:
    return metrics(server).get(name, 0)


def test_the_metrics_count_streams_publishes_deliveries_and_refusals(server: Served) -> None:
    async def scenario(publisher: Publisher) -> None:
        assert metric(server, "barestream_history_up") == 1
        first = await publisher.publish("a", data="0")
        async with (
            following(server.address, "a") as one,
            following(server.address, "a", "b", lastEventID=first) as other,
            following(server.address, "b", lastEventID="unknown") as third,
        ):
            assert metric(server, "barestream_streams") == 3
            await until(lambda: third.events)
            assert await data_to_the_last(publisher, one, "a") == []
            await until(lambda: other.events)
            await publisher.publish("nobody's")
            assert (await publisher.post("")).status_code == 400
            assert (await publisher.post("a", type="barestream.x")).status_code == 400
            answer = httpx.post(server.url + PATH, data={"topic": "a"})
            assert answer.status_code == 401
            found = metrics(server)
        await until(lambda: metric(server, "barestream_streams") == 0)
        assert found["barestream_updates_published_total"] == 3
        assert found["barestream_events_delivered_total"] == 2
        assert found["barestream_delivered_bytes_total"] == 2 * len(
            f"data: {LAST}\nid: {one.events[0].id}\n\n"
        )
        assert found["barestream_gaps_total"] == 1
        assert found["barestream_streams_resumed_total"] == 2
        assert found["barestream_delivery_lag_seconds_count"] == 1
        assert found["barestream_delivery_lag_seconds_sum"] < 1
        assert found['barestream_publishes_refused_total{status="400"}'] == 2
        assert found['barestream_publishes_refused_total{status="401"}'] == 1
        assert found["barestream_workers_draining"] == found["barestream_streams_paused"] == 0
        assert metric(server, 'barestream_streams_ended_total{reason="client left"}') == 3

    with_publisher(server, scenario)


def test_the_metrics_count_ended_streams_by_reason() -> None:
    settings = Settings(token_key=KEY, streams_per_worker=1)

    async def scenario(_: Publisher) -> None:
        async with following(server.address, "a"), following(server.address, "a") as second:
            await until(lambda: second.clean is not None)
            wait_for("the end", lambda: metric(server, ENDED.format("worker full")) == 1)

    with Served(create_app(settings), ours=True) as server:
        with_publisher(server, scenario)
        wait_for("the end", lambda: metric(server, ENDED.format("client left")) == 1)


ENDED = 'barestream_streams_ended_total{{reason="{}"}}'


def test_the_service_reports_that_it_is_ready(server: Served) -> None:
    wait_for("readiness", lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
