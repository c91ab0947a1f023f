"""Updates that come as JSON, one or several, and those that keep a value or end a topic."""

import asyncio
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from barestream.app import create_app
from barestream.history.update import MOST_UPDATES
from barestream.settings.settings import Settings
from barestream.web.json_body import MOST_DEPTH
from support.clients.publisher import KEY, PATH, Publisher, token
from support.clients.sse_client import Received
from support.servers.served import Served, following, until
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer

DATA_BYTES = 1000
BODY_BYTES = 3 * DATA_BYTES + 65536
AUTHORIZATION = {"Authorization": f"Bearer {token()}"}
JSON = {"Content-Type": "application/json"}
SETTINGS = Settings(
    token_key=KEY,
    data_bytes=DATA_BYTES,
    topics_per_event=3,
    kept_values=2,
    kept_bytes=1500,
    ended_seconds=60,
)

T = {"topic": "t"}


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(create_app(SETTINGS), ours=request.param) as served:
        yield served


@pytest.fixture(scope="module")
def strict() -> Iterator[httpx.Client]:
    """Return a client of a server that no test has an update accepted by."""
    with (
        Served(create_app(SETTINGS), ours=True) as served,
        httpx.Client(base_url=served.url, headers=AUTHORIZATION) as client,
    ):
        yield client
        figures = client.get("/metrics").text
        assert "barestream_updates_published_total 0.0" in figures


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=AUTHORIZATION) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, detail: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (status, HTTPStatus(status).phrase)
    assert detail in problem["detail"]


def post(http: httpx.Client, value: object) -> list[str]:
    """Post a JSON body that must be accepted, and return the ids."""
    answer = http.post(PATH, content=json.dumps(value), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert [*found] == ["ids"]
    ids: list[str] = found["ids"]
    return ids


def read_all(server: Served, count: int) -> list[Received]:
    """Return all events of the history, once there are so many of them."""

    async def act() -> list[Received]:
        cursor = {"Last-Event-ID": "earliest"}
        async with following(server.address, "*", headers={**AUTHORIZATION, **cursor}) as reader:
            await until(lambda: len(reader.events) >= count)
            return reader.events

    return asyncio.run(act())


def test_one_update_is_answered_with_its_id_in_an_array(server: Served, http: httpx.Client) -> None:
    assert post(http, {"topic": "t", "id": "own", "data": "1", "type": "y"}) == ["own"]
    [place] = post(http, {"topic": ["t", "u"], "data": {"n": [1, "é"]}})
    assert re.fullmatch("#[0-9]+-[0-9]+", place)
    told = [(each.id, each.type, each.data) for each in read_all(server, 2)]
    assert told == [("own", "y", "1"), (place, "message", '{"n":[1,"é"]}')]


def test_an_array_is_taken_in_its_order_and_answered_with_the_ids(
    server: Served, http: httpx.Client
) -> None:
    updates = [{"topic": f"t{number % 3}", "data": number} for number in range(MOST_UPDATES)]
    updates[7]["id"] = "seven"
    ids = post(http, updates)
    assert len(ids) == MOST_UPDATES
    assert ids[7] == "seven"
    told = [(each.id, each.data) for each in read_all(server, MOST_UPDATES)]
    assert told == list(zip(ids, map(str, range(MOST_UPDATES)), strict=True))
    assert post(http, [T]) != post(http, [T])
    figures = http.get("/metrics").text
    assert f"barestream_updates_published_total {MOST_UPDATES + 2}.0" in figures


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON ;x=y"])
def test_json_is_accepted_with_any_spelling_of_its_type(http: httpx.Client, kind: str) -> None:
    answer = http.post(PATH, content=b' \n{"topic": "t"}\r\n', headers={"Content-Type": kind})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


def test_an_update_is_the_same_in_a_form_and_in_json(server: Served, http: httpx.Client) -> None:
    form = {"topic": "t", "id": "1", "data": "x", "private": "on", "retry": "5", "keep": "60"}
    assert http.post(PATH, data=form).text == "1"
    value = {"topic": "t", "id": "1", "data": "x", "private": True, "retry": 5, "keep": 60}
    assert post(http, value) == ["1"]
    assert post(http, [value, value]) == ["1", "1"]
    post(http, {"topic": "t", "data": "the last one"})
    assert [each.data for each in read_all(server, 2)] == ["x", "the last one"]


def test_a_private_update_of_an_array_stays_private(server: Served, http: httpx.Client) -> None:
    async def act() -> None:
        async with (
            following(server.address, "t") as anonymous,
            following(server.address, "t", headers=AUTHORIZATION) as reader,
        ):
            updates = [{**T, "data": "hidden", "private": True}, {**T, "data": "shown"}]
            await asyncio.to_thread(post, http, updates)
            await until(lambda: anonymous.events and len(reader.events) == 2)
        assert [event.data for event in anonymous.events] == ["shown"]
        assert [event.data for event in reader.events] == ["hidden", "shown"]

    asyncio.run(act())


REFUSED: list[tuple[bytes, int, str]] = [
    (b"", 400, "The JSON cannot be read: Expecting value"),
    (b"topic=t", 400, "The JSON cannot be read: Expecting value"),
    (b'{"topic": "t"', 400, "The JSON cannot be read: Expecting"),
    (b'{"topic": "t"}]', 400, "The JSON cannot be read: Extra data"),
    (b'{"topic": "t\xff"}', 400, "not UTF-8"),
    (b'\xef\xbb\xbf{"topic": "t"}', 400, "BOM"),
    (b'{"topic": "a\nb"}', 400, "Invalid control character"),
    (b"[]", 400, "Expected at least one update in the array."),
    (b'"t"', 400, "Expected an object"),
    (b"null", 400, "Expected an object"),
    (b"{}", 400, "Expected at least one topic"),
    (b'{"topic": "t", "topic": "u"}', 400, 'An object has the name "topic" more than once.'),
    (b'{"topic": "t", "data": {"a": 1, "a": 2}}', 400, 'data: An object has the name "a" more'),
    (b'{"topic": "t", "data": NaN}', 400, "data: JSON has no number NaN."),
    (b'{"topic": "t", "data": [1e999]}', 400, "data: It has a number that is larger than"),
    (b'{"topic": "t", "retry": 1' + b"0" * 400 + b"}", 400, "more than 400 digits"),
    (b'{"topic": "t", "data": "\\ud800"}', 400, "data has a lone surrogate"),
    (b'{"topic": "\\udfff"}', 400, "A topic has a lone surrogate"),
    (b'{"topic": "t", "datum": 1}', 400, 'Unknown fields: "datum". The fields of an update are'),
    (b'{"topic": "t", "data": ' + b"[" * MOST_DEPTH + b"]" * MOST_DEPTH + b"}", 400, "deep"),
    (b"[" * 30_000, 400, "deep"),
    (b'{"topic": "t", "data": "' + b"x" * (DATA_BYTES + 1) + b'"}', 413, "larger than 1000 bytes"),
    (b'{"topic": "t", "data": "' + b"x" * BODY_BYTES + b'"}', 413, f"larger than {BODY_BYTES}"),
    (json.dumps([T] * (MOST_UPDATES + 1)).encode(), 413, "101 updates; at most 100 are allowed"),
    (json.dumps([{**T, "data": "x" * 990}] * 69).encode(), 413, f"larger than {BODY_BYTES}"),
    (b'[{"topic": "t"}, {"topic": "t"}, 3]', 400, "update 3: Expected an object"),
    (b'[{"topic": "t"}, [{"topic": "t"}]]', 400, "update 2: Expected an object"),
    (b'[{"topic": "t"}, {"topic": "t", "id": "#1"}]', 400, "update 2: id starts with #"),
    (b'[{"topic": "t"}, {"id": 1, "id": 2}]', 400, 'update 2: An object has the name "id" more'),
    (b'[{"topic": "t"}, {"topic": "t", "x": 1}]', 400, 'update 2: Unknown fields: "x"'),
    (b'[{"topic": "t"}, {"topic": "t", "end": false}]', 400, "update 2: end: expected true, or a"),
    (b'[{"topic": "t"}, {"topic": "t", "keep": -1}]', 400, "update 2: keep: expected a number"),
    (b'[{"topic": "t"}, {"topic": ["a", "b", "c", "d"]}]', 413, "update 2: The update has 4"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status", "detail"), REFUSED, ids=[str(number) for number in range(len(REFUSED))]
)
def test_refused_json_is_answered_with_the_reason_and_nothing_is_taken(
    strict: httpx.Client, sent: bytes, status: int, detail: str
) -> None:
    assert_problem(strict.post(PATH, content=sent, headers=JSON), status, detail)


@pytest.mark.parametrize(
    ("field", "value"), [("keep", "tomorrow"), ("keep", ""), ("end", "false"), ("end", "61")]
)
def test_a_form_with_a_wrong_keep_or_end_is_answered_with_the_form(
    strict: httpx.Client, field: str, value: str
) -> None:
    expected = {
        "keep": "keep: expected a number of seconds from 0 to 31536000, or forever.",
        "end": "end: expected true, or a number of seconds from 1 to 60 (BARESTREAM_ENDED",
    }
    answer = strict.post(PATH, data={**T, field: value})
    assert_problem(answer, 400, expected[field])


def test_a_token_must_cover_every_topic_of_every_update(strict: httpx.Client) -> None:
    bearer = {"Authorization": f"Bearer {token(('t', 'a/{id}'))}"}
    one, two = {"topic": ["t", "a/1"]}, {"topic": ["a/2", "other"]}
    for value, detail in (
        (two, "The token does not allow publishing"),
        ([one, one, two], "update 3: The token does not allow publishing"),
    ):
        answer = strict.post(PATH, content=json.dumps(value), headers={**JSON, **bearer})
        assert_problem(answer, 403, detail)
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_publish_to_a_topic_that_has_ended_is_refused_with_its_name(http: httpx.Client) -> None:
    assert http.post(PATH, data={"topic": "run/1", "end": "true", "id": "last"}).text == "last"
    detail = "The topic run/1 has ended. It takes no further updates until"
    assert_problem(http.post(PATH, data={"topic": "run/1"}), 409, detail)
    alternate = {"topic": ["x", "run/1"]}
    answer = http.post(PATH, content=json.dumps(alternate), headers=JSON)
    assert_problem(answer, 409, f"{detail} the hub forgets it, at most")
    answer = http.post(PATH, content=json.dumps([T, alternate]), headers=JSON)
    assert_problem(answer, 409, "The topic run/1 has ended or ends earlier in the array.")
    # A publisher that got no answer sends its update again.
    assert http.post(PATH, data={"topic": "run/1", "end": "true", "id": "last"}).text == "last"
    assert post(http, {"topic": "run/1", "end": True, "id": "last"}) == ["last"]
    figures = http.get("/metrics").text
    assert 'barestream_publishes_refused_total{status="409"} 3.0' in figures
    assert "barestream_publishes_failed_total{" not in figures
    assert http.get("/readyz").status_code == 200


def test_nothing_of_an_array_follows_the_end_of_its_topic(
    server: Served, http: httpx.Client
) -> None:
    after_the_end = [{**T, "data": "1"}, {**T, "data": "2", "end": 30}, {**T, "data": "3"}]
    answer = http.post(PATH, content=json.dumps(after_the_end), headers=JSON)
    assert_problem(answer, 409, "The topic t has ended")
    # Nothing was taken, the end neither.
    assert len(post(http, [*after_the_end[:2], {"topic": "u", "data": "4"}])) == 3
    assert [each.data for each in read_all(server, 3)] == ["1", "2", "4"]


def test_a_value_beyond_the_bounds_of_kept_values_is_refused_with_the_settings(
    http: httpx.Client,
) -> None:
    def kept(topic: str, size: int = 1, **fields: Any) -> dict[str, Any]:
        return {"topic": topic, "data": "x" * size, "keep": "forever", **fields}

    post(http, [kept("a"), kept("b", keep=60)])
    for value in (kept("c"), [T, kept("c")]):
        answer = http.post(PATH, content=json.dumps(value), headers=JSON)
        assert_problem(answer, 507, "BARESTREAM_KEPT_VALUES")
    answer = http.post(PATH, data={"topic": "c", "keep": "1"})
    assert_problem(answer, 507, "Nothing was accepted. Clear the values of other topics")
    post(http, kept("b", 900))
    answer = http.post(PATH, content=json.dumps(kept("a", 900)), headers=JSON)
    assert_problem(answer, 507, "BARESTREAM_KEPT_BYTES")
    http.post(PATH, data={"topic": "b", "keep": "0"})
    post(http, kept("a", 900))
    figures = http.get("/metrics").text
    assert 'barestream_publishes_refused_total{status="507"} 4.0' in figures
    assert "barestream_publishes_failed_total{" not in figures


def test_an_array_without_valkey_is_answered_with_what_became_of_all(server: Served) -> None:
    with ValkeyServer() as valkey:
        settings = Settings(
            token_key=KEY, broker_url=valkey.url, broker_password=SecretStr(valkey.password)
        )
        with Served(create_app(settings), ours=server.is_ours) as hub:
            wait_for("the history", lambda: httpx.get(f"{hub.url}/readyz").status_code == 200)
            valkey.kill()
            # The first one finds the connection broken, when it may have been accepted.
            for _attempt in range(2):
                answer = httpx.post(
                    hub.url + PATH, content=json.dumps([T, T]), headers={**JSON, **AUTHORIZATION}
                )
    assert_problem(answer, 503, "None of the updates was accepted; they can be sent again.")
    assert answer.headers["retry-after"] == "1"


def test_json_may_be_sent_in_chunks(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"topic": "t", "id": '
        yield b'"chunked"}'

    answer = http.post(PATH, content=chunks(), headers=JSON)
    assert answer.json() == {"ids": ["chunked"]}


def test_a_retried_array_is_kept_once(server: Served) -> None:
    updates = [{**T, "id": f"id {number}", "data": number} for number in range(5)]

    async def act() -> list[str]:
        async with (
            following(server.address, "t") as reader,
            Publisher(server.url) as publisher,
            httpx.AsyncClient(base_url=server.url, headers=AUTHORIZATION) as client,
        ):
            for _ in range(3):
                answer = await client.post(PATH, json=updates)
                assert answer.json() == {"ids": [each["id"] for each in updates]}
            await publisher.publish("t", data="the last one")
            await until(lambda: reader.events and reader.events[-1].data == "the last one")
            return [event.data for event in reader.events[:-1]]

    assert asyncio.run(act()) == list("01234")
