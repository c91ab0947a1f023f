"""A stream as the registry of subscriptions knows it: one subscription for each selector. Pure."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from barestream.history.subscriptions import Announcement, Notice, Subscription
from barestream.mercure.identity import Identity
from barestream.mercure.matchers import EXACT, Matcher
from barestream.mercure.reserved import MERCURE_TYPE
from barestream.mercure.subscription_topics import (
    BEFORE_FLAG,
    document,
    member_data,
    occupancy_data,
    occupancy_topic,
    presence_topic,
    subscription_topic,
)
from barestream.mercure.topics import EVERYTHING, PATH
from barestream.mercure.version import Version

# A payload is repeated in the texts of each subscription, up to four times, and sub twice: with 100
# selectors, so long a payload takes 1.6 MB of the history.
MOST_CHARACTERS = 4096


class Attendee(NamedTuple):
    """A stream.

    Attributes:
        subscriber: Its id, ``urn:uuid:…``.
        selectors: What it subscribes to, each once.
        identity: Who the token of its request was given to.
        client: The page's own name; empty for none.
        since_ms: When it began, in milliseconds of the worker's wall clock.
    """

    subscriber: str
    selectors: tuple[Matcher, ...]
    identity: Identity
    client: str
    since_ms: int

    @property
    def ids(self) -> list[str]:
        """The ids of its subscriptions."""
        return [subscription_id(selector, self.subscriber) for selector in self.selectors]

    @property
    def is_too_long(self) -> bool:
        """Whether the sub or a payload of its token has more than MOST_CHARACTERS."""
        texts = (self.identity.subject, *(payload.value for payload in self.identity.payloads))
        return max(map(len, texts)) > MOST_CHARACTERS

    def subscriptions(self, versions: Collection[Version]) -> Iterator[Subscription]:
        """Yield its subscriptions, announced to clients of the versions that the hub speaks."""
        for selector in self.selectors:
            payload = self.identity.payload(selector.match)
            member = self.identity.member(payload)
            yield Subscription(
                subscription_id(selector, self.subscriber),
                self.subscriber,
                selector_text(selector),
                self.identity.key(payload),
                member,
                self.client,
                self.since_ms,
                _announcement(selector, self.subscriber, versions, member, payload),
            )


def subscription_id(selector: Matcher, subscriber: str) -> str:
    """Return the id of a subscription in the registry: that of Mercure 1.0, in which it is unique.

    In 0.x it does not have the type of its selector.
    """
    return subscription_topic(Version.ONE, selector, subscriber)


def selector_text(selector: Matcher) -> str:
    """Return the text of a selector with its type, which is that of both versions."""
    return f"{selector.match_type}:{selector.match}"


def _announcement(
    selector: Matcher, subscriber: str, versions: Collection[Version], member: str, payload: str
) -> Announcement:
    # The versions ask for another id, and another type of the event. So there is one for each.
    notices = tuple(
        Notice(
            (subscription_topic(version, selector, subscriber),),
            BEFORE_FLAG,
            document(version, selector, subscriber, payload),
            MERCURE_TYPE if version is Version.ONE else "",
        )
        for version in Version
        if version in versions
    )
    topic = selector.match
    if selector.match_type != EXACT or topic == EVERYTHING or topic.startswith(f"{PATH}/"):
        # The members of the hub's own topics are those who look at the members of others.
        return Announcement(notices)
    return Announcement(
        notices,
        presence_topic(topic),
        member_data(topic, member, payload) if member else "",
        occupancy_topic(topic),
        occupancy_data(topic),
    )
