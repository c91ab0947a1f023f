"""The subscription API of both versions: the reference hub's own tests, as requests and answers.

Each test names those of dunglas/mercure that it is: of v0.24.2 (0.x) or of draft 08 (1.0).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from hub_in_use import Hub, serve
from people import Headers, encoded, of_0, of_1
from support.clients.publisher import PATH
from support.clients.sse_client import SseClient
from support.servers.served import reading, until

ROOT = f"{PATH}/subscriptions"
FOO, BAR = "https://example.com/foo", "https://example.com/bar"
TEMPLATE, PATTERN = "https://example.com/{foo}", "https://example.com/:id"
ALL_OF_0 = f"{ROOT}{{/topic}}{{/subscriber}}"
ALL_OF_1 = f"{ROOT}/:match_type/:match/:subscriber"


@pytest.fixture
def api() -> Iterator[Hub]:
    """Return a hub with the subscription API and an empty history."""
    with serve("direct", None, subscriptions=True, presence_grace_seconds=0.1) as hub:
        yield hub


def of_either(version: str, *readable: str, **claims: Any) -> Headers:
    return (of_0 if version == "0.x" else of_1)(None, *readable, **claims)


def streaming(hub: Hub, *pairs: str, **headers: str) -> SseClient:
    return SseClient(hub.served.address, f"{PATH}?{'&'.join(pairs)}", headers)


def with_streams(
    hub: Hub, streams: list[SseClient], act: Callable[[list[dict[str, Any]]], Awaitable[None]]
) -> None:
    """Do something once each stream's subscriptions are in the list, which it is given in 0.x."""

    async def main() -> None:
        opened: AbstractAsyncContextManager[None] = reading(*streams)
        async with opened, httpx.AsyncClient(base_url=hub.url) as http:
            count = sum(each.path.count("match") + each.path.count("topic=") for each in streams)
            while True:
                answer = await http.get(ROOT, headers=of_0(None, ROOT))
                found: list[dict[str, Any]] = answer.json()["subscriptions"]
                if len(found) == count:
                    break
                await asyncio.sleep(0.01)
            await act(found)

    asyncio.run(main())


@pytest.mark.parametrize("version", ["0.x", "1.0"])
@pytest.mark.parametrize("path", ["", "/bar", "/bar/baz", "/exact/bar/baz"])
def test_access_is_denied(api: Hub, version: str, path: str) -> None:
    """TestSubscriptionsHandlerAccessDenied and TestSubscriptionHandlerAccessDenied of both.

    The hub of 0.x answers 401 where the token is good and does not suffice; here that is 403, as
    for publishes.
    """
    url = f"{ROOT}{path}"
    assert api.http.get(url).status_code == 401
    other = of_either(version, f"{ROOT}/foo{{/subscriber}}" if version == "0.x" else f"{ROOT}/foo")
    denied = api.http.get(url, headers=other)
    assert denied.status_code == 403
    assert 'error="insufficient_scope"' in denied.headers["www-authenticate"]
    cookie = "mercureAuthorization" if version == "0.x" else "__Secure-mercure_access_token"
    token = other["Authorization"].removeprefix("Bearer ")
    assert api.http.get(url, headers={"Cookie": f"{cookie}={token}"}).status_code == 403


def test_a_challenge_says_what_is_wrong(api: Hub) -> None:
    """TestBearerChallengeNoToken, TestBearerErrorInvalidToken (1.0)."""
    challenge = api.http.get(ROOT).headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    assert "error=" not in challenge
    assert "resource_metadata=" in challenge
    broken = {"Authorization": of_1(None, ROOT)["Authorization"][:-6] + "123456"}
    refused = api.http.get(ROOT, headers=broken)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize("version", ["0.x", "1.0"])
def test_the_query_is_no_part_of_what_is_allowed(api: Hub, version: str) -> None:
    """TestSubscriptionsHandlerAuthorizesAgainstPath (1.0); the hub of 0.x answers 401."""
    answer = api.http.get(f"{ROOT}?last_event_id=foo", headers=of_either(version, ROOT))
    assert answer.status_code == 200
    assert answer.json()["id"] == ROOT


@pytest.mark.parametrize("version", ["0.x", "1.0"])
def test_an_etag_tells_that_nothing_has_changed(api: Hub, version: str) -> None:
    """TestSubscriptionHandlersETag of both.

    There the ETag of a hub without any event is "earliest", which here is a place too.
    """
    single = f"{ROOT}/foo/bar" if version == "0.x" else f"{ROOT}/exact/foo/bar"
    headers = of_either(version, ROOT, single)
    etag = api.http.get(ROOT, headers=headers).headers["etag"]
    # The hub of 0.x sends the bare id.
    known = {**headers, "If-None-Match": etag.strip('"') if version == "0.x" else etag}
    for path in (ROOT, single):
        same = api.http.get(path, headers=known)
        assert (same.status_code, same.headers["etag"], same.content) == (304, etag, b"")
    weak = {**headers, "If-None-Match": f'"another", W/{etag}'}
    assert api.http.get(ROOT, headers=weak).status_code == 304
    api.publish("x")
    other = api.http.get(ROOT, headers=known)
    assert other.status_code == 200
    assert other.headers["etag"] != etag
    assert api.http.get(single, headers=known).status_code == 404


def test_the_list_of_0_has_all_subscriptions(api: Hub) -> None:
    """TestSubscriptionsHandler of 0.x."""

    async def act(_: list[dict[str, Any]]) -> None:
        answer = api.http.get(ROOT, headers=of_0(None, ROOT))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/ld+json"
        listed = answer.json()
        assert listed["@context"] == "https://mercure.rocks/"
        assert (listed["id"], listed["type"]) == (ROOT, "Subscriptions")
        assert f'"{listed["lastEventID"]}"' == answer.headers["etag"]
        found = listed["subscriptions"]
        assert {each["topic"] for each in found} == {FOO, BAR, TEMPLATE, PATTERN}
        for each in found:
            assert each.keys() == {"id", "type", "subscriber", "topic", "active"}
            assert (each["type"], each["active"]) == ("Subscription", True)
            assert each["subscriber"].startswith("urn:uuid:")
            id_ = f"{ROOT}/{encoded(each['topic'])}/{encoded(each['subscriber'])}"
            assert each["id"] == id_

    streams = [
        streaming(api, f"topic={FOO}"),
        streaming(api, f"topic={BAR}", f"topic={TEMPLATE}"),
        streaming(api, f"match_urlpattern={PATTERN}"),
    ]
    with_streams(api, streams, act)


def test_the_list_of_1_has_all_subscriptions(api: Hub) -> None:
    """TestSubscriptionsHandler of 1.0."""

    async def act(of_zero: list[dict[str, Any]]) -> None:
        answer = api.http.get(ROOT, headers=of_1(None, ROOT))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "@context" not in answer.text
        assert "last_event_id" not in answer.text
        cursor = answer.headers["etag"].strip('"')
        assert answer.headers["link"] == (
            f'<{PATH}>; rel="mercure"; last-event-id="{cursor}"; type="mercure"; '
            'content-type="application/json"'
        )
        listed = answer.json()
        assert (listed["id"], listed["type"]) == (ROOT, "subscriptions")
        found = listed["subscriptions"]
        assert {(each["match_type"], each["match"]) for each in found} == {
            ("exact", FOO),
            ("exact", BAR),
            ("uritemplate", TEMPLATE),
            ("urlpattern", PATTERN),
        }
        for each in found:
            assert each.keys() == {"id", "type", "subscriber", "match", "match_type", "active"}
            assert (each["type"], each["active"]) == ("subscription", True)
            ends = f"{encoded(each['match'])}/{encoded(each['subscriber'])}"
            assert each["id"] == f"{ROOT}/{each['match_type']}/{ends}"
        assert {each["subscriber"] for each in found} == {each["subscriber"] for each in of_zero}

    streams = [
        streaming(api, f"match={FOO}", f"match_urlpattern={PATTERN}"),
        streaming(api, f"topic={BAR}", f"topic={TEMPLATE}"),
    ]
    with_streams(api, streams, act)


def test_the_list_of_one_topic_has_no_others(api: Hub) -> None:
    """TestSubscriptionsHandlerForTopic of 0.x, and the same of 1.0."""

    async def act(_: list[dict[str, Any]]) -> None:
        of_bar = f"{ROOT}/{encoded(BAR)}"
        zero = api.http.get(of_bar, headers=of_0(None, of_bar)).json()
        assert (zero["@context"], zero["id"]) == ("https://mercure.rocks/", of_bar)
        assert [each["topic"] for each in zero["subscriptions"]] == [BAR]
        exact = f"{ROOT}/exact/{encoded(BAR)}"
        one = api.http.get(exact, headers=of_1(None, exact)).json()
        assert one["id"] == exact
        assert [each["match"] for each in one["subscriptions"]] == [BAR]
        pattern = f"{ROOT}/urlpattern/{encoded(BAR)}"
        assert api.http.get(pattern, headers=of_1(None, "*")).json()["subscriptions"] == []

    streams = [streaming(api, f"topic={FOO}"), streaming(api, f"match={BAR}")]
    with_streams(api, streams, act)


def test_one_subscription_is_found_by_its_id(api: Hub) -> None:
    """TestSubscriptionHandler of 0.x."""

    async def act(found: list[dict[str, Any]]) -> None:
        reader = of_0(None, ALL_OF_0)
        [of_template] = [each for each in found if each["topic"] == TEMPLATE]
        answer = api.http.get(of_template["id"], headers=reader)
        assert answer.status_code == 200
        assert answer.json() == {
            "@context": "https://mercure.rocks/",
            "lastEventID": answer.headers["etag"].strip('"'),
            **of_template,
        }
        subscriber = encoded(of_template["subscriber"])
        assert api.http.get(f"{ROOT}/notexist/{subscriber}", headers=reader).status_code == 404

    streams = [
        streaming(api, "topic=https://example.com/other"),
        streaming(api, "topic=https://example.com/other", f"topic={TEMPLATE}"),
    ]
    with_streams(api, streams, act)


def test_one_subscription_of_1_is_found_by_its_id(api: Hub) -> None:
    """TestSubscriptionHandlerMatchRoute of 1.0."""

    async def act(found: list[dict[str, Any]]) -> None:
        [each] = found
        path = f"{ROOT}/urlpattern/{encoded(PATTERN)}/{encoded(each['subscriber'])}"
        answer = api.http.get(path, headers=of_1(None, path))
        assert answer.status_code == 200
        assert 'last-event-id="' in answer.headers["link"]
        assert answer.json() == {
            "id": path,
            "type": "subscription",
            "match": PATTERN,
            "match_type": "urlpattern",
            "subscriber": each["subscriber"],
            "active": True,
        }
        exact = path.replace("urlpattern", "exact")
        assert api.http.get(exact, headers=of_1(None, exact)).status_code == 404

    with_streams(api, [streaming(api, f"match_urlpattern={PATTERN}")], act)


@pytest.mark.parametrize(
    "topic",
    [
        *("https://example.com/foo", "foo+bar", "foo bar", "a:b", "x?y&z=1"),
        *("https://example.com/{id}", "100%", "a%2Fb", "é"),
    ],
)
def test_the_segment_of_a_topic_is_encoded_once(api: Hub, topic: str) -> None:
    """TestEscapeSubscriptionSegmentRoundTrip of 1.0."""

    async def act(found: list[dict[str, Any]]) -> None:
        [each] = found
        segment = each["id"].removeprefix(f"{ROOT}/").partition("/")[0]
        assert re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})+", segment)
        answer = api.http.get(f"{ROOT}/exact/{segment}", headers=of_1(None, "*"))
        assert [one["match"] for one in answer.json()["subscriptions"]] == [topic]
        # A "+" of a client that encodes a path stands for itself.
        if "+" in topic:
            bare = api.http.get(f"{ROOT}/exact/{topic}", headers=of_1(None, "*"))
            assert len(bare.json()["subscriptions"]) == 1

    with_streams(api, [streaming(api, f"match={encoded(topic)}")], act)


def test_the_first_detail_that_matches_has_the_payload(api: Hub) -> None:
    """TestSubscriptionPayloadFromMatchingClaim of 1.0."""
    kinds = {"exact": {"tag": "exact"}, "urlpattern": {"tag": "pattern"}}
    details = [
        {
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["subscribe"],
            "topics": [{"match": match, "match_type": kind}],
            "payload": kinds[kind] if match != "https://other.example.com/x" else {"tag": "x"},
        }
        for kind, match in (
            ("exact", "https://other.example.com/x"),
            ("urlpattern", PATTERN),
            ("exact", BAR),
        )
    ]
    headers = of_1(None, authorization_details=details)

    async def act(found: list[dict[str, Any]]) -> None:
        assert [each["payload"] for each in found] == [{"tag": "pattern"}] * 2

    with_streams(api, [streaming(api, f"match={FOO}", f"match={BAR}", **headers)], act)


@pytest.mark.parametrize("version", ["0.x", "1.0"])
def test_the_events_of_a_subscription_reach_who_may_read_them(api: Hub, version: str) -> None:
    """TestSubscriptionEvents of both, TestE2EPresenceViaSubscriptionEvents of 1.0.

    And TestSubscriptionEventReachesTheSubscriberItDescribes: the watcher sees its own arrival. A
    subscriber of one version is told to watchers of both.
    """
    query = f"topic={encoded(ALL_OF_0)}" if version == "0.x" else f"match_urlpattern={ALL_OF_1}"
    allowed = of_0(None, ALL_OF_0) if version == "0.x" else of_1(None, patterns=[ALL_OF_1])
    watching = streaming(api, query, **allowed)
    denied = streaming(api, query, **of_either(version))

    async def main() -> None:
        async with reading(watching):
            await until(lambda: len(watching.events) == 1)
            async with reading(denied):
                await until(lambda: len(watching.events) == 2)
                # One for each version that a subscriber may speak.
                users = [
                    streaming(api, "topic=https://example.com", **of_0(payload={"foo": "bar"})),
                    streaming(
                        api,
                        "match=https://example.com",
                        **of_1(None, "https://example.com", payload={"foo": "bar"}),
                    ),
                ]
                async with reading(*users):
                    await until(lambda: len(watching.events) == 4)
                await until(lambda: len(watching.events) == 6)
                api.publish("x", "https://example.com/x", id="x")

    asyncio.run(main())
    assert denied.events == []
    documents = [json.loads(event.data) for event in watching.events]
    assert {event.type for event in watching.events} == {
        "message" if version == "0.x" else "mercure"
    }
    assert [each["active"] for each in documents] == [True] * 4 + [False] * 2
    for each in documents[2:]:
        type_ = "" if version == "0.x" else "exact/"
        subscriber = encoded(each["subscriber"])
        assert each["id"] == f"{ROOT}/{type_}https%3A%2F%2Fexample.com/{subscriber}"
        assert each["payload"] == {"foo": "bar"}
        if version == "0.x":
            assert (each["@context"], each["type"]) == ("https://mercure.rocks/", "Subscription")
            assert each["topic"] == "https://example.com"
        else:
            assert each["type"] == "subscription"
            assert (each["match"], each["match_type"]) == ("https://example.com", "exact")


@pytest.mark.parametrize(
    ("version", "path", "status"),
    [
        # A path of two parts is the list of a type and a match in 1.0, and one of 0.x.
        ("1.0", "/unknown/a", 400),
        ("1.0", "/unknown/a/b", 400),
        ("1.0", "/exact", 404),
        ("1.0", "/exact/a/b/c", 404),
        ("0.x", "/exact/a/b", 404),
        ("0.x", "/unknown/a", 404),
        ("0.x", "/a", 200),
        ("1.0", "/uritemplate/a", 200),
    ],
)
def test_the_token_says_which_version_a_path_is_of(
    api: Hub, version: str, path: str, status: int
) -> None:
    answer = api.http.get(f"{ROOT}{path}", headers=of_either(version, "*"))
    assert answer.status_code == status, answer.text
    content_type = {200: "application/json", 400: "application/problem+json"}
    if version == "1.0" and status in content_type:
        assert answer.headers["content-type"] == content_type[status]


def test_the_metadata_advertise_the_api(api: Hub) -> None:
    """TestProtectedResourceMetadataAdvertisesSubscriptions of 1.0."""
    metadata = "/.well-known/oauth-protected-resource/.well-known/mercure"
    assert api.http.get(metadata).json()["mercure_subscriptions"] is True
    with serve("direct", None) as without:
        assert "mercure_subscriptions" not in without.http.get(metadata).json()


def test_pages_of_allowed_origins_may_read_the_cursor() -> None:
    """TestSecurityHeaders of both, for the API."""
    origin = "https://page.example"
    with serve("direct", None, subscriptions=True, cors_origins=origin) as hub:
        headers = {**of_1(None, "*"), "Origin": origin}
        answer = hub.http.get(ROOT, headers=headers)
        assert answer.headers["access-control-allow-origin"] == origin
        assert "link" in answer.headers["access-control-expose-headers"]
        for path in (ROOT, f"{ROOT}/exact/a", f"{PATH}/presence", f"{PATH}/leave"):
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            preflight = hub.http.request("OPTIONS", path, headers=asked)
            assert preflight.status_code == 204
            assert preflight.headers["access-control-allow-credentials"] == "true"
