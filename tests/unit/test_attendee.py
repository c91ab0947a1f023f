"""The subscriptions of a stream: their ids, their documents, and what is announced of them."""

import json
from typing import Any

import pytest

from barestream.delivery.attendee import Attendee
from barestream.history.subscriptions import Subscription
from barestream.mercure.identity import NOBODY, Identity, Payload
from barestream.mercure.matchers import Matcher
from barestream.mercure.selectors import Selectors
from barestream.mercure.subscription_topics import alone, listed, selector_of_0
from barestream.mercure.version import Version

BOTH = tuple(Version)
ALICE = Identity("https://issuer.example", "alice", (Payload(Selectors(["*"]), '{"a":1}'),))
SUBSCRIBER = "urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6"
ROOT = "/.well-known/mercure"
ENCODED_SUBSCRIBER = "urn%3Auuid%3Abb3de268-05b0-4c65-b44e-8f9acefc29d6"


def subscriptions(
    *selectors: Matcher, identity: Identity = ALICE, versions: tuple[Version, ...] = BOTH
) -> list[Subscription]:
    attendee = Attendee(SUBSCRIBER, selectors, identity, "page", 5)
    found = list(attendee.subscriptions(versions))
    assert [each.id for each in found] == attendee.ids
    return found


def told(subscription: Subscription, *, begins: bool) -> list[tuple[tuple[str, ...], str, Any]]:
    updates = subscription.announcement.updates(begins=begins, of_member=True, of_topic=True)
    assert all(each.private for each in updates)
    return [(each.topics, each.event.type or "", json.loads(each.event.data)) for each in updates]


def test_each_version_has_an_event_of_its_own_with_its_own_id() -> None:
    topic = "https://example.com/{x}?y=é z"
    encoded = "https%3A%2F%2Fexample.com%2F%7Bx%7D%3Fy%3D%C3%A9%20z"
    [subscription] = subscriptions(Matcher(topic, "uritemplate"))
    of_0 = f"{ROOT}/subscriptions/{encoded}/{ENCODED_SUBSCRIBER}"
    of_1 = f"{ROOT}/subscriptions/uritemplate/{encoded}/{ENCODED_SUBSCRIBER}"
    common = {"active": True, "subscriber": SUBSCRIBER, "payload": {"a": 1}}
    context = {"@context": "https://mercure.rocks/"}
    assert told(subscription, begins=True) == [
        ((of_0,), "", {**common, **context, "id": of_0, "type": "Subscription", "topic": topic}),
        (
            (of_1,),
            "mercure",
            {
                **common,
                "id": of_1,
                "type": "subscription",
                "match": topic,
                "match_type": "uritemplate",
            },
        ),
    ]
    assert [data["active"] for _, _, data in told(subscription, begins=False)] == [False, False]


@pytest.mark.parametrize("version", Version)
def test_a_version_that_is_off_has_no_event(version: Version) -> None:
    [subscription] = subscriptions(Matcher("a"), versions=(version,))
    kinds = [kind for _, kind, _ in told(subscription, begins=True)]
    assert kinds[:-2] == (["mercure"] if version is Version.ONE else [""])


def test_a_member_is_told_with_its_payload_and_a_topic_without() -> None:
    [subscription] = subscriptions(Matcher("/orders/1"))
    member = {"topic": "/orders/1", "member": {"id": "alice", "payload": {"a": 1}}}
    presence, occupancy = f"{ROOT}/presence/%2Forders%2F1", f"{ROOT}/occupancy/%2Forders%2F1"
    for begins, kinds in ((True, ("joined", "occupied")), (False, ("left", "vacated"))):
        assert told(subscription, begins=begins)[-2:] == [
            ((presence,), f"barestream.{kinds[0]}", member),
            ((occupancy,), f"barestream.{kinds[1]}", {"topic": "/orders/1"}),
        ]


def test_a_member_without_a_payload_has_none() -> None:
    [subscription] = subscriptions(Matcher("a"), identity=Identity("", "bob"))
    assert told(subscription, begins=True)[-2][2] == {"topic": "a", "member": {"id": "bob"}}
    assert "payload" not in told(subscription, begins=True)[0][2]


def test_who_has_no_name_is_no_member_and_cannot_come_back() -> None:
    [subscription] = subscriptions(Matcher("a"), identity=NOBODY)
    assert (subscription.identity, subscription.member) == ("", "")
    assert subscription.announcement.member_data == ""
    assert subscription.announcement.occupancy_topic == f"{ROOT}/occupancy/a"


@pytest.mark.parametrize(
    "selector",
    [
        Matcher("*"),
        Matcher("/x/{y}", "uritemplate"),
        Matcher("/x/:y", "urlpattern"),
        Matcher(f"{ROOT}/presence/a"),
    ],
)
def test_a_selector_of_many_topics_or_of_the_hubs_own_has_no_members(selector: Matcher) -> None:
    [subscription] = subscriptions(selector)
    assert subscription.announcement.presence_topic == ""
    assert subscription.announcement.occupancy_topic == ""


@pytest.mark.parametrize(
    ("topic", "kind"),
    [("*", "exact"), ("a", "exact"), ("a{b}", "uritemplate"), ("a{", "exact"), ("{", "exact")],
)
def test_a_selector_of_0_is_exact_unless_it_is_a_template(topic: str, kind: str) -> None:
    assert selector_of_0(topic) == Matcher(topic, kind)


def test_the_same_topic_has_the_same_selector_in_both_versions() -> None:
    [of_0], [of_1] = subscriptions(selector_of_0("a")), subscriptions(Matcher("a"))
    assert of_0.selector == of_1.selector == "exact:a"


def test_the_payload_of_each_subscription_is_its_own() -> None:
    payloads = (Payload(Selectors(["a"]), "1"), Payload(Selectors(["b{x}"]), "2"))
    found = subscriptions(
        Matcher("a"), Matcher("bc"), Matcher("d"), identity=Identity("", "", payloads)
    )
    assert [each.member for each in found] == ["1", "2", ""]
    assert len({each.identity for each in found}) == 3


def test_a_list_has_the_documents_and_the_cursor_as_its_version_says() -> None:
    [subscription] = subscriptions(Matcher("a"))
    of_0, of_1 = (notice.after for notice in subscription.announcement.notices)
    path = f"{ROOT}/subscriptions"
    zero = json.loads(listed(Version.ZERO, path, [of_0, of_0], "#1-2"))
    assert {name: zero[name] for name in zero if name != "subscriptions"} == {
        "@context": "https://mercure.rocks/",
        "id": path,
        "type": "Subscriptions",
        "lastEventID": "#1-2",
    }
    assert [each.keys() & {"@context"} for each in zero["subscriptions"]] == [set(), set()]
    assert all(each["active"] is True for each in zero["subscriptions"])
    one = json.loads(listed(Version.ONE, path, [of_1], "#1-2"))
    assert one.keys() == {"id", "type", "subscriptions"}
    assert one["type"] == "subscriptions"
    assert json.loads(listed(Version.ONE, path, [], "#1-2"))["subscriptions"] == []
    assert json.loads(alone(Version.ZERO, of_0, "#1-2"))["lastEventID"] == "#1-2"
    assert "lastEventID" not in json.loads(alone(Version.ONE, of_1, "#1-2"))
