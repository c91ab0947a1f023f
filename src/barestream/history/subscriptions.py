"""Who is there: the open subscriptions of all workers, and the interface of what keeps them. Pure.

A subscription is one topic selector of one stream. It is *active* while its stream is open, and
then *away*: it is announced as ended once its grace is over, unless its subscriber has come back.
The subscriptions of a worker stay active as long as the worker renews its lease.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from barestream.history.record import Place
from barestream.history.update import Update
from barestream.mercure.sse import Event

# How long a worker's subscriptions stay active without a renewal. A worker renews each 5 s, so two
# renewals may be lost or late.
LEASE_SECONDS = 15.0

JOINED_TYPE = "barestream.joined"
LEFT_TYPE = "barestream.left"
OCCUPIED_TYPE = "barestream.occupied"
VACATED_TYPE = "barestream.vacated"


class Notice(NamedTuple):
    """An update that tells that a subscription has begun, and another that tells its end.

    The data is ``before``, then ``true`` (it begins) or ``false`` (it ends), then ``after``. So one
    text is kept for both.

    Attributes:
        topics: The topics of both updates; the first is the canonical one.
        before: The data before the flag.
        after: The data after the flag.
        type: The type of both events; empty for none.
    """

    topics: tuple[str, ...]
    before: str
    after: str
    type: str = ""

    def update(self, *, is_active: bool) -> Update:
        """Return the private update that tells the beginning or the end."""
        data = f"{self.before}{'true' if is_active else 'false'}{self.after}"
        return Update(self.topics, Event(data, type=self.type or None), private=True)


class Announcement(NamedTuple):
    """The texts of what is published of a subscription; the registry makes no JSON.

    All of it is kept with each subscription, so the texts should be short.

    Attributes:
        notices: Those of the subscription itself, in their order; mostly one.
        presence_topic: The topic of its member's events; empty if the selector is no exact topic.
        member_data: The data of these events, both of joined and of left; empty if the
            subscription has no member.
        occupancy_topic: The topic of the events of its exact topic; empty if it is none.
        occupancy_data: Their data, both of occupied and of vacated.
    """

    notices: tuple[Notice, ...]
    presence_topic: str = ""
    member_data: str = ""
    occupancy_topic: str = ""
    occupancy_data: str = ""

    def updates(self, *, begins: bool, of_member: bool, of_topic: bool) -> list[Update]:
        """Return the updates that tell the beginning or the end.

        Args:
            begins: Whether it begins.
            of_member: Whether it is its member's first one there, or was the last one.
            of_topic: Whether it is the selector's first one, or was the last one.
        """
        updates = [notice.update(is_active=begins) for notice in self.notices]
        if of_member and self.presence_topic:
            event = Event(self.member_data, type=JOINED_TYPE if begins else LEFT_TYPE)
            updates.append(Update((self.presence_topic,), event, private=True))
        if of_topic and self.occupancy_topic:
            event = Event(self.occupancy_data, type=OCCUPIED_TYPE if begins else VACATED_TYPE)
            updates.append(Update((self.occupancy_topic,), event, private=True))
        return updates


class Subscription(NamedTuple):
    """A subscription.

    Attributes:
        id: Its id in the subscription API. It is unique for each stream and selector, also over
            all workers and their restarts; the methods of a registry name a subscription by it.
        subscriber: The id of its stream, ``urn:uuid:…``.
        selector: The canonical text of its selector with the selector's type, such as
            ``topic:/orders/1``. The same exact topic must have the same text in all versions.
        identity: Who has subscribed; empty if nobody can come back as it.
        member: What presence shows as the member's id; empty if it is no member.
        client: The page's own name; empty for none.
        since_ms: When it began, in milliseconds since 1970-01-01 UTC by the worker's clock.
        announcement: What is published of it.
    """

    id: str
    subscriber: str
    selector: str
    identity: str
    member: str
    client: str
    since_ms: int
    announcement: Announcement

    @property
    def characters(self) -> int:
        """How many characters its texts have."""
        first = (self.id, self.subscriber, self.selector, self.identity, self.member, self.client)
        notices, *others = self.announcement
        of_notices = (text for notice in notices for text in (*notice.topics, *notice[1:]))
        return sum(map(len, (*first, *of_notices, *others)))


class Away(NamedTuple):
    """A subscription whose stream has ended.

    Attributes:
        id: The id with which it began.
        grace_ms: How long its subscriber has to come back before its end is announced.
    """

    id: str
    grace_ms: int


class Changed(NamedTuple):
    """What became of a change.

    Attributes:
        was_known: Whether the worker's lease and its changes before were known. If not, the lease
            had run out, or the history was lost or replaced by an older copy: then the worker
            calls ``change`` with all its open subscriptions as begun. (The first change of a
            worker is not known either.) What it does not announce again within LEASE_SECONDS goes
            away.
        refused: How many begun subscriptions there was no room for. They are not registered: their
            events are not published, and a later away or left of them changes nothing.
    """

    was_known: bool
    refused: int


class SweptSubscriptions(NamedTuple):
    """What a sweep has found.

    Attributes:
        now_ms: The time, in milliseconds of the history's clock.
        subscriptions: How many there are, active and away.
        ended: How many the sweep has ended, because they did not come back in time.
        lapsed: The workers whose lease was over, and whose active subscriptions went away. One
            that had none, as after an orderly stop, is not among them.
    """

    now_ms: int
    subscriptions: int
    ended: int
    lapsed: Sequence[str]


class Listing(NamedTuple):
    """Some subscriptions, active and away.

    Attributes:
        subscriptions: They, in no order. One that its subscriber came back to is as it began, but
            for its client.
        place: Who has these, and then the updates after this place, misses no change. (A change
            after the place may be in the list already: its update says the same again.)
    """

    subscriptions: list[Subscription]
    place: Place


class Member(NamedTuple):
    """A member of an exact topic.

    Attributes:
        id: Subscription.member.
        data: Announcement.member_data of one of its subscriptions.
        subscriptions: How many it has there, active and away.
        since_ms: When the earliest of them began.
    """

    id: str
    data: str
    subscriptions: int
    since_ms: int


class Members(NamedTuple):
    """The members of an exact topic.

    Attributes:
        members: They, in no order; none if only their number was asked for.
        member_count: How many there are.
        subscription_count: How many subscriptions there are, also of those who are no members.
        place: See Listing.
    """

    members: list[Member]
    member_count: int
    subscription_count: int
    place: Place


class RegistryBounds(NamedTuple):
    """The bounds of a registry.

    Attributes:
        subscriptions: How many subscriptions there may be, active and away: 10,000 streams with
            10 topics each. In Valkey one takes 0.7 KB and its texts, so 2.0 KB with texts of
            1.3 KB (a topic of 30 characters, a small payload, one notice), and these 200 MB; in
            memory 1.5 KB and its texts. Measured with Redis 7.0 and CPython 3.11.
        bytes: How many bytes the texts of all of them may have together (in memory: characters).
            A topic is in them eleven times, mostly percent-encoded: who needs no token can
            subscribe to 100 topics with texts of 8 MB by a request of 240 KB. So many usual ones
            have as much, and with a full history they fit into the 600 MB that Valkey has by
            default.
    """

    subscriptions: int = 100_000
    bytes: int = 128 * 1024 * 1024


class Registry(Protocol):
    """The subscriptions of all workers.

    Each subscription changes in one step with the updates that tell it: they are private, and in
    the one log. A call with many takes several such steps.

    - It begins: its notices (``true``); then, if it has a presence_topic and a member that had no
      subscription there, joined; then, if it has an occupancy_topic and the selector had no
      subscription, occupied.
    - It ends: its notices (``false``); left, if it was the member's last one there; vacated, if it
      was the selector's last one.

    An away subscription counts as one that is there.

    Each method raises BrokerAwayError if the history cannot be reached, or refuses. Then a part of
    the call may have been done. A repeat of the call does the rest, and nothing twice.
    """

    async def change(
        self,
        worker: str,
        began: Sequence[Subscription] = (),
        away: Sequence[Away] = (),
        left: Sequence[str] = (),
    ) -> Changed:
        """Note which of a worker's subscriptions began and ended, and renew its lease.

        Those of ``away`` are taken first, then those of ``began``, then those of ``left``: so a
        stream that was opened anew takes the place of the one before. No id may be in two of them.

        - away: it ends after its grace, or a longer one that ``leave`` has asked for. One that is
          away already stays as it is; an unknown one is ignored.
        - began: an id that is known changes nothing, but it is active then, and this worker's. Else
          if a subscription with the same identity (not an empty one) and the same selector is
          away, the new one takes its place: its id, subscriber, since and announcement stay,
          nothing is published, and from then on the new id names it in calls of ``change``. Of
          several, the one with the same client is taken, else the one that would end first. Else
          it is added and announced.
        - left: it ends at once, active or away; an unknown one is ignored.

        Args:
            worker: Names one start of a worker. Its calls of ``change`` and ``renew`` come one
                after the other: it waits for an answer or an error.
            began: Those that began.
            away: Those whose stream ended.
            left: The ids of those that end without a grace.
        """

    async def renew(self, worker: str) -> bool:
        """Renew a worker's lease; return whether it was known (Changed.was_known)."""

    async def sweep(self, upto_ms: int, steady_ms: int, grace_ms: int) -> SweptSubscriptions:
        """End the away subscriptions whose grace is over, and let those of lost workers go away.

        The clock is treated as Broker.end_overdue treats it: what began in the future, because the
        clock was set back, begins again.

        Args:
            upto_ms: Leases and graces that end after this time stay, in milliseconds of the
                history's clock.
            steady_ms: Longer ones stay.
            grace_ms: The grace of subscriptions whose worker's lease is over, from the sweep on.
        """

    async def leave(
        self, identity: str, client: str, selectors: Sequence[str] | None, after_ms: int
    ) -> int:
        """End subscriptions of somebody, or set how long they are waited for; return how many.

        With 0 ms they end at once, active or away. Else away ones end so long from now, and active
        ones so long after they have gone away, if that is later than by their grace.

        Args:
            identity: Whose; empty for those without an identity, which need a client.
            client: Only those of this page, or all of the identity if it is empty.
            selectors: Only those with these selectors; None for all.
            after_ms: How long, in milliseconds.
        """

    async def subscriptions(self, selectors: Sequence[str] | None = None) -> Listing:
        """Return the subscriptions with these selectors; with None, all of them."""

    async def of_identity(self, identity: str, most: int) -> list[Subscription]:
        """Return at most so many subscriptions of an identity, active and away."""

    async def subscription(self, subscription_id: str) -> Listing:
        """Return the subscription that the API shows with this id, or none."""

    async def members(self, selector: str, *, counts_only: bool = False) -> Members:
        """Return the members of a selector, or their number alone, which is cheap."""
