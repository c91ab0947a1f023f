"""Why does somebody not get an update? Asked of a real Gunicorn, in memory and with Valkey."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import jsonschema
import pytest

from barestream.app import create_app
from barestream.mercure.signatures import version_of
from barestream.mercure.tokens import sign
from barestream.mercure.version import Version
from barestream.settings.settings import Settings
from barestream.web.pages import PAGES_FOLDER
from hub_in_use import Hub, Serving
from people import Headers, of_0, of_1, stream
from support.clients.operator import Operator, bearing, claiming
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token, token
from support.servers.bound import Bound
from support.servers.served import Served, reading, until
from support.servers.service import PATIENCE_SECONDS, wait_for
from support.servers.valkey_server import ValkeyServer

WHY = f"{PATH}/why"
OPERATOR = sign(KEY, "HS256", (), (), None, operate=True)
SECRET_DATA = "what only its readers may know"
EXPLANATION = json.loads((PAGES_FOLDER / "openapi.json").read_text())["components"]["schemas"][
    "Explanation"
]
SETTINGS = {"token_key": KEY, "issuer": ISSUER, "resource_identifier": RESOURCE}


@pytest.fixture(scope="module", params=["memory", "valkey"])
def bound(request: pytest.FixtureRequest) -> Iterator[Bound]:
    settings: dict[str, object] = {**SETTINGS, "subscriptions": True}
    with ExitStack() as stack:
        if request.param == "valkey":
            valkey = stack.enter_context(ValkeyServer())
            settings |= {"broker_url": valkey.url, "broker_password": valkey.password}
            settings["workers"] = 2
        running = stack.enter_context(Bound(**settings))
        wait_for("the hub", lambda: httpx.get(f"{running.url}/readyz").is_success)
        yield running


def text_of(headers: Headers) -> str:
    """Return the token that a user's headers have."""
    return headers["Authorization"].removeprefix("Bearer ")


def publish(hub: Bound, *topics: str, **fields: str) -> str:
    form = {"topic": list(topics), "data": SECRET_DATA, **fields}
    answer = httpx.post(hub.url + PATH, data=form, headers=bearing(token()))
    assert answer.status_code == 200, answer.text
    return answer.text


def asked(url: str, event: str, as_token: str | None = None, **fields: Any) -> dict[str, Any]:
    content = {"event": event, "token": as_token, **fields}
    answer = httpx.post(url + WHY, json=content, headers=bearing(OPERATOR))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert SECRET_DATA not in answer.text
    if as_token:
        assert as_token not in answer.text
    found: dict[str, Any] = answer.json()
    jsonschema.validate(found, EXPLANATION)
    return found


def verdict(hub: Bound, event: str, as_token: str | None = None, **fields: Any) -> tuple[str, str]:
    """Return the verdict, and the state of the token."""
    found = asked(hub.url, event, as_token, **fields)
    return found["verdict"], found["token"]["state"]


def is_sent(hub: Bound, event: str, as_token: str | None, fields: dict[str, Any]) -> bool:
    """Return whether the hub itself sends an update to whom the question is about."""
    of_1_0 = as_token is not None and version_of(as_token) is Version.ONE
    asked_for = fields or {"match" if of_1_0 else "topic": "*"}
    cursor = "lastEventID" if "topic" in asked_for else "last_event_id"
    headers = {"Accept": "application/json", **({} if as_token is None else bearing(as_token))}
    params = {**asked_for, cursor: "earliest", "limit": 1000}
    answer = httpx.get(hub.url + PATH, params=params, headers=headers)
    if answer.status_code == 401:
        return False
    page = answer.raise_for_status().json()
    assert not page["more"]
    return event in {each["place"] for each in page["events"]}


def test_each_kind_of_token_is_judged_as_its_stream_would_be(bound: Bound) -> None:
    private = publish(bound, "/orders/1", "/all", private="on")
    public = publish(bound, "/orders/1")
    covering = token(subscribe=("/orders/{id}",))
    other = token(subscribe=("/users/{id}",))
    of_1_0, other_of_1_0 = access_token(patterns=["/orders/:id"]), access_token("/users/1")
    delivered, valid = "delivered", "valid"
    cases: list[tuple[str, str | None, dict[str, Any], tuple[str, str]]] = [
        (public, None, {}, (delivered, "none")),
        (public, None, {"topic": "/orders/{id}"}, (delivered, "none")),
        (public, None, {"topic": ["/a", "/b"]}, ("not_matched", "none")),
        (public, other, {"topic": "/orders/1"}, (delivered, valid)),
        (public, other_of_1_0, {"match": "/orders/1"}, (delivered, valid)),
        (private, None, {"topic": "/orders/1"}, ("not_allowed", "none")),
        (private, covering, {}, (delivered, valid)),
        (private, covering, {"topic": "/all"}, (delivered, valid)),
        (private, covering, {"topic": "/users/1"}, ("not_matched", valid)),
        (private, other, {"topic": "*"}, ("not_allowed", valid)),
        (private, of_1_0, {}, (delivered, valid)),
        (private, of_1_0, {"match_urlpattern": "/:a/1"}, (delivered, valid)),
        (private, of_1_0, {"match": "/x", "match_exact": "/all"}, (delivered, valid)),
        (private, of_1_0, {"match": "/x"}, ("not_matched", valid)),
        (private, other_of_1_0, {"match": "/orders/1"}, ("not_allowed", valid)),
        # A stream by topic takes no access token, and one by match no other.
        (public, of_1_0, {"topic": "/orders/1"}, ("not_allowed", "invalid")),
        (public, covering, {"match": "/orders/1"}, ("not_allowed", "invalid")),
    ]
    for event, as_token, fields, expected in cases:
        assert verdict(bound, event, as_token, **fields) == expected, fields
        assert is_sent(bound, event, as_token, fields) is (expected[0] == delivered), fields


def test_the_answer_names_what_matches_and_what_is_needed(bound: Bound) -> None:
    place = publish(bound, "/needs/1", "/needs/all", private="on")
    found = asked(bound.url, place, token(subscribe=("/x",)), topic=["/needs/{id}", "/z"])
    assert found["event"] == {
        "place": place,
        "topics": ["/needs/1", "/needs/all"],
        "private": True,
        "published_at": int(place[1:].partition("-")[0]) / 1000,
        "updates_with_id": 1,
    }
    matched = [{"selector": "/needs/{id}", "topic": "/needs/1"}]
    assert found["stream"] == {"basis": "request", "matched": matched, "is_over": False}
    assert found["token"] == {
        "state": "valid",
        "detail": None,
        "expires_at": None,
        "may_read": ["/x"],
        "covered": [],
        "needed": ["/needs/1", "/needs/all"],
    }
    assert found["history"]["has_event"]
    assert [each["topic"] for each in found["history"]["topics"]] == ["/needs/1", "/needs/all"]
    by_own_id = publish(bound, "/needs/1", id="urn:uuid:own")
    assert asked(bound.url, by_own_id)["event"]["topics"] == ["/needs/1"]


def test_a_token_that_the_hub_refuses_is_a_verdict_and_no_error(bound: Bound) -> None:
    place = publish(bound, "/refused")
    past = time.time() - 5
    expired = sign(KEY, "HS256", (), ("*",), past)
    early = claiming(nbf=time.time() + 3600)
    foreign = sign("another key of as many bytes as HS256", "HS256", (), ("*",), None)
    operator = Operator(bound.url)
    revoked = claiming(jti=f"revoked {bound.port}")
    revocation = operator.revoke(jti=f"revoked {bound.port}")
    for as_token, state, words in (
        (expired, "expired", "has expired"),
        (early, "not_valid_yet", "not valid yet"),
        (foreign, "wrong_key", "signature"),
        (access_token("*", key="another key of as many bytes as HS256"), "wrong_key", "signature"),
        (access_token("*", seconds=-5), "expired", "has expired"),
        (access_token("*", aud="https://other.example"), "invalid", "aud"),
        (access_token("*", iss="https://other.example"), "invalid", "issuers"),
        (revoked, "revoked", revocation["id"]),
        ("nonsense", "invalid", "not a JWT"),
        ("", "invalid", "not a JWT"),
        ("é", "invalid", "not a JWT"),
    ):
        found = asked(bound.url, place, as_token)
        told = found["token"]
        assert (found["verdict"], told["state"]) == ("not_allowed", state), found
        assert words in found["why"]
        assert told["detail"] in found["why"]
    assert asked(bound.url, place, expired)["token"]["expires_at"] == int(past)
    # It holds at once, also where it was made by another worker.
    assert operator.take_back(revocation["id"]) == 204
    assert asked(bound.url, place, revoked)["verdict"] == "delivered"
    operator.close()


def test_an_update_that_came_before_the_end_of_the_token_could_be_sent(bound: Bound) -> None:
    place = publish(bound, "/before-the-end", private="on")
    published_at = int(place[1:].partition("-")[0]) / 1000
    short = claiming(exp=published_at + 0.01)

    def has_expired() -> bool:
        return asked(bound.url, place, short)["token"]["state"] == "expired"

    wait_for("the token's end", has_expired)
    found = asked(bound.url, place, short)
    assert "published before that" in found["why"]
    assert found["token"]["expires_at"] == published_at + 0.01
    late = asked(bound.url, place, claiming(exp=published_at - 0.01))
    assert late["why"] == "The token has expired."


def test_without_topics_the_registered_streams_of_the_user_count(bound: Bound) -> None:
    user = {f"user {bound.port}": ("/mine/1", "/mine/{x}/y"), f"other {bound.port}": ("/else",)}
    [alice, bob] = [of_0(name, "/mine/1", "/secret") for name in user]
    carol = of_1(f"third {bound.port}", "/mine/1")
    here, there, secret = (
        publish(bound, topic, private="on") for topic in ("/mine/1", "/other", "/secret")
    )
    template = publish(bound, "/mine/5/y")

    async def act() -> None:
        clients = [
            stream(bound.address, alice, user[f"user {bound.port}"]),
            stream(bound.address, bob, user[f"other {bound.port}"]),
        ]
        async with reading(*clients):
            await until(lambda: all(client.status == 200 for client in clients))

            def ask(event: str, of: Headers) -> tuple[str, str, Any]:
                found = asked(bound.url, event, text_of(of))
                told = found["stream"]
                return found["verdict"], told["basis"], told["matched"]

            async def is_registered() -> bool:
                answers = [await asyncio.to_thread(ask, here, each) for each in (alice, bob)]
                return [basis for _, basis, _ in answers] == ["subscriptions"] * 2

            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await is_registered():
                    await asyncio.sleep(0.02)
            answers = await asyncio.to_thread(
                lambda: [
                    ask(*each)
                    for each in (
                        (here, alice),
                        (template, alice),
                        (there, alice),
                        (secret, alice),
                        (here, bob),
                        (here, carol),
                    )
                ]
            )
        by = [{"selector": "/mine/1", "topic": "/mine/1"}]
        by_template = [{"selector": "/mine/{x}/y", "topic": "/mine/5/y"}]
        assert answers == [
            ("delivered", "subscriptions", by),
            ("delivered", "subscriptions", by_template),
            ("not_matched", "subscriptions", []),
            ("not_matched", "subscriptions", []),
            ("not_matched", "subscriptions", []),
            # Who has no stream is judged by the token.
            ("delivered", "token", None),
        ]

    asyncio.run(act())


def test_unknown_ids_and_ended_topics_are_told_apart(bound: Bound) -> None:
    last = publish(bound, "/ending", end="true")
    assert verdict(bound, "never published", topic="/other") == ("unknown", "none")
    ended = asked(bound.url, "never published", topic="/ending")
    assert ended["verdict"] == "ended"
    assert last in ended["why"]
    assert [each["place"] for each in ended["history"]["ends"]] == [last]
    of_last = asked(bound.url, last, topic="/ending")
    assert (of_last["verdict"], of_last["stream"]["is_over"]) == ("delivered", True)
    assert "204" in of_last["why"]
    future = f"#{int(time.time() * 1000) + 10_000_000}-0"
    assert verdict(bound, future) == ("unknown", "none")
    assert verdict(bound, future, topic="/ending") == ("ended", "none")
    assert verdict(bound, "#1-0") == ("trimmed", "none")


def test_nobody_learns_anything_without_the_right_to_operate(bound: Bound) -> None:
    place = publish(bound, "/hidden", private="on")
    content = {"event": place, "token": token()}
    statuses = []
    for headers in ({}, bearing(token()), bearing(access_token("*")), bearing("nonsense")):
        for sent in (content, {"event": "unknown"}, []):
            answer = httpx.post(bound.url + WHY, json=sent, headers=headers)
            assert "/hidden" not in answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            statuses.append(answer.status_code)
    assert statuses == [401] * 3 + [403] * 6 + [401] * 3
    # A token that may operate gives the asker's right, where the question names it, to nobody.
    answer = httpx.post(
        bound.url + WHY, json={**content, "token": OPERATOR}, headers=bearing(token())
    )
    assert answer.status_code == 403
    # Nor does the one who it is about need the right.
    assert verdict(bound, place, OPERATOR) == ("not_allowed", "valid")


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ([], 400, "Expected an object with the fields event, token, topic"),
        ({}, 400, "event: expected the id"),
        ({"event": ""}, 400, "event: expected the id"),
        ({"event": 5}, 400, "event: expected a string"),
        ({"event": "#5"}, 400, "#milliseconds-sequence"),
        ({"event": "a", "token": 5}, 400, "token: expected a string"),
        ({"event": "a", "topics": "b"}, 400, "Expected an object with the fields"),
        ({"event": "a", "topic": [5]}, 400, "topic: expected a string, or an array"),
        ({"event": "a", "topic": {"b": 1}}, 400, "topic: expected a string, or an array"),
        ({"event": "a", "topic": ["b"] * 101}, 400, "at most 100"),
        ({"event": "a", "topic": ["b"] * 1001}, 400, "at most 1000"),
        ({"event": "a", "topic": "b" * 2049}, 400, "2048"),
        ({"event": "a", "topic": "b", "match": "c"}, 400, "both topic"),
        ({"event": "a", "match_urlpattern": "/:"}, 400, "URL Pattern"),
        ({"event": "a", "token": "b" * 300_000}, 413, "larger than"),
    ],
)
@pytest.mark.parametrize("bound", ["memory"], indirect=True)
def test_a_malformed_question_is_told_what_is_wrong(
    bound: Bound, content: Any, status: int, words: str
) -> None:
    answer = httpx.post(bound.url + WHY, json=content, headers=bearing(OPERATOR))
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


@pytest.mark.parametrize("bound", ["memory"], indirect=True)
def test_lone_surrogates_are_refused(bound: Bound) -> None:
    for field in ("event", "token", "topic"):
        content = json.dumps({"event": "a", field: "\ud800"})
        headers = {**bearing(OPERATOR), "Content-Type": "application/json"}
        answer = httpx.post(bound.url + WHY, content=content, headers=headers)
        assert (answer.status_code, "surrogate" in answer.text) == (400, True)


@pytest.mark.parametrize("serving", ["direct", "valkey"], indirect=True)
def test_what_has_left_the_history_is_told_with_its_floor(serving: Serving) -> None:
    with serving(history_events=2) as hub:
        hub.publish("k", "/kept", keep="forever")
        kept = hub.cursor
        places = [hub.publish(f"a{number}", "/a") for number in range(3)]
        gone = asked(hub.url, places[0], topic="/a")
        assert (gone["verdict"], gone["event"]["topics"]) == ("trimmed", None)
        assert gone["history"]["oldest"] == places[1]
        assert gone["history"]["topics"][0]["public_floor"] == places[0]
        of_kept = asked(hub.url, kept, topic="/kept")
        assert (of_kept["verdict"], of_kept["history"]["kept_for"]) == ("trimmed", "/kept")
        assert "a rewind sends" in of_kept["why"]
        assert asked(hub.url, places[2], topic="/a")["verdict"] == "delivered"


@pytest.mark.parametrize("serving", ["direct"], indirect=True)
def test_a_hub_that_lets_in_nobody_without_a_token_says_so(serving: Serving) -> None:
    with serving(anonymous=False, protocols="0.x") as hub:
        place = hub.publish("x", "/a")
        found = asked(hub.url, place, topic="/a")
        assert (found["verdict"], found["token"]["state"]) == ("not_allowed", "missing")
        off = asked(hub.url, place, access_token("*"))
        assert (off["verdict"], "BARESTREAM_PROTOCOLS" in off["why"]) == ("not_allowed", True)
        answer = hub.http.post(WHY, json={"event": place, "match": "/a"}, headers=bearing(OPERATOR))
        assert (answer.status_code, "which is off" in answer.text) == (400, True)


def test_a_token_for_any_origin_of_the_hub_is_judged() -> None:
    origins = "https://one.example,https://two.example"
    settings = Settings(token_key=KEY, issuer=ISSUER, public_urls=origins)
    with Served(create_app(settings), ours=True) as served, Hub(served) as hub:
        place = hub.publish("x", "/a", private="on")
        for origin, expected in (
            ("one", "delivered"),
            ("two", "delivered"),
            ("three", "not_allowed"),
        ):
            as_token = access_token("/a", aud=f"https://{origin}.example{PATH}")
            assert asked(hub.url, place, as_token)["verdict"] == expected


def test_a_history_that_is_away_is_an_error_that_says_so() -> None:
    with ValkeyServer() as valkey:
        settings = {**SETTINGS, "broker_url": valkey.url, "broker_password": valkey.password}
        with Bound(**settings) as hub:
            wait_for("the hub", lambda: httpx.get(f"{hub.url}/readyz").is_success)
            place = publish(hub, "/a")
            assert verdict(hub, place) == ("delivered", "none")
            valkey.stop()
            content = {"event": place}
            answer = httpx.post(hub.url + WHY, json=content, headers=bearing(OPERATOR), timeout=30)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "The history" in answer.json()["detail"]
            valkey.start()

            def answers() -> bool:
                return httpx.post(
                    hub.url + WHY, json=content, headers=bearing(OPERATOR), timeout=30
                ).is_success

            wait_for("the history", answers)
