"""The form of subscriptions in Valkey (lua/registry.lua)."""

import hashlib
import json
from typing import Any

from barestream.history.subscriptions import Announcement, Notice, Subscription
from barestream.history.update import topics_json

_NAME_BYTES = 16
_DIGEST_BYTES = 12


def name(subscription_id: str) -> bytes:
    """Return the name of a subscription: a digest of its id."""
    return _digest(subscription_id)[:_NAME_BYTES]


def digest(text: str) -> bytes:
    """Return a digest of a selector or a member; empty for an empty text."""
    return _digest(text)[:_DIGEST_BYTES] if text else b""


def person(identity: str, client: str) -> bytes:
    """Return a digest of who can end a subscription by ``leave``: an identity, else a page."""
    return digest(f"identity {identity}" if identity else client and f"client {client}")


def arguments(new: Subscription) -> list[bytes]:
    """Return a subscription that begins as arguments of the script (lua/change.lua)."""
    return [
        *(name(new.id), digest(new.selector), digest(new.member)),
        *(person(new.identity, new.client), b"1" if new.identity else b""),
        *(new.client.encode(errors="replace"), texts(new)),
    ]


def texts(new: Subscription) -> bytes:
    """Return what stays of a subscription, as one text."""
    told = new.announcement
    notices = [[_topics(each.topics), *each[1:]] for each in told.notices]
    presence, occupancy = (
        _topics((topic,)) if topic else "" for topic in (told.presence_topic, told.occupancy_topic)
    )
    whole = [*new[:-1], notices, presence, told.member_data, occupancy, told.occupancy_data]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def subscription(written: bytes, client: bytes) -> Subscription:
    """Return a subscription from its texts, with the name of the page that came back to it."""
    whole: list[Any] = json.loads(written)
    subscription_id, subscriber, selector, identity, member, _, since_ms = whole[:7]
    notices, presence, member_data, occupancy, occupancy_data = whole[7:]
    told = Announcement(
        tuple(Notice(tuple(json.loads(topics)), *rest) for topics, *rest in notices),
        *(_first(presence), member_data, _first(occupancy), occupancy_data),
    )
    first = (subscription_id, subscriber, selector, identity, member)
    return Subscription(*first, client.decode(), since_ms, told)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _topics(topics: tuple[str, ...]) -> str:
    return topics_json(topics).decode()


def _first(written: str) -> str:
    topics: list[Any] = json.loads(written or '[""]')
    return str(topics[0])
