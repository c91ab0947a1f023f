"""What the hub has of an update that somebody names by its id."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from barestream.delivery.cursor import Named
from barestream.delivery.resume import MOST_SEARCHES
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.history.broker import MOST_FOUND
from barestream.history.record import BEGIN, Known, Place, Record
from barestream.history.topic_state import End, Rewind


class Whereabouts(NamedTuple):
    """What the hub has of an update.

    Attributes:
        place: The place that its id names, or that it has; None if neither is known.
        update: What is known of it; None if nothing is.
        is_in_history: Whether the history has it.
        kept_for: The topic whose kept value it is; None if it is none.
        updates_with_id: How many updates the history has with the id, as far as it was searched:
            up to MOST_SEARCHES times MOST_FOUND. The newest of them is meant.
        floor: The newest place of what has left the history.
        oldest: The oldest place in the history; None if the history is empty.
        topic_floors: By topic of the update, or of the stream if the update is not known: the
            newest place of a public update that has left the topic, and that of a private one.
        ends: The ends of those topics that have ended.
    """

    place: Place | None
    update: Known | None
    is_in_history: bool
    kept_for: str | None
    updates_with_id: int
    floor: Place
    oldest: Place | None
    topic_floors: Mapping[str, tuple[Place, Place]]
    ends: Mapping[str, End]

    @property
    def has_left(self) -> bool:
        """Whether what was at its place has left the history."""
        return not self.is_in_history and self.place is not None and self.place <= self.floor

    @property
    def left_alone(self) -> bool:
        """Whether it has left although older updates are there: it left for its topic."""
        return self.has_left and self.oldest is not None and self.oldest < (self.place or BEGIN)


async def whereabouts(tail: Tail, event_id: str, topics: Sequence[str] | None) -> Whereabouts:
    """Find out what the hub has of an update.

    Args:
        tail: What reads the history into the worker's feed.
        event_id: An id of the hub, as any client may get it, or the id of the update's publisher.
        topics: The exact topics of the stream that it is asked for; None if the stream may have
            others.

    Raises:
        BrokerAwayError: The history cannot be reached.
    """
    # So the worker knows the ends of topics that the history knows.
    await tail.catch_up()
    broker = tail.broker
    oldest = await tail.ask(partial(broker.read, BEGIN, 1))
    place = named_place(event_id)
    if place is None:
        found = await _with_own_id(tail, event_id)
    else:
        records = await tail.ask(partial(broker.at, [place]))
        # A mark that updates were lost has no topics.
        found = [_known(record) for record in records if record.topics]
    update = found[-1] if found else None
    asked = update.topics if update else topics
    state = await tail.ask(
        partial(
            broker.rewound, asked or (), Rewind(events=0), 1, all_kept=update is None and not asked
        )
    )
    kept_for = None
    for topic, record in state.kept.items():
        named = update.place if update else place
        if record.place == named or (named is None and record.own_id == event_id):
            kept_for = topic
            update = update or _known(record)
    ends = {topic: tail.feed.ends.of_topic(topic) for topic in asked or ()}
    return Whereabouts(
        update.place if update else place,
        update,
        bool(found),
        kept_for,
        len(found),
        oldest.floor,
        oldest.records[0].place if oldest.records else None,
        {topic: newest.floors for topic, newest in state.newest.items()},
        {topic: end for topic, end in ends.items() if end is not None},
    )


async def is_in_lanes(tail: Tail, subscription: Subscription, update: Known) -> bool:
    """Return whether a replay of a subscription has an update that is in the history.

    An update of several topics leaves one of them earlier, where that topic has too many.

    Raises:
        BrokerAwayError: The history cannot be reached.
    """
    reader = await tail.slices.work(subscription.finding_reader(tail.slices))
    page = await tail.ask(partial(tail.broker.read, update.place.just_before, 1, reader=reader))
    return any(record.place == update.place for record in page.records)


def named_place(event_id: str) -> Place | None:
    """Return the place of the update that an id of the hub is of; None for a publisher's id."""
    try:
        return Named.parse(event_id).place
    except ValueError:
        return None


async def _with_own_id(tail: Tail, own_id: str) -> list[Known]:
    """Return the updates with an id of their publisher, oldest first."""
    found: list[Known] = []
    for _ in range(MOST_SEARCHES):
        after = found[-1].place if found else BEGIN
        page = await tail.ask(partial(tail.broker.find, own_id, after))
        found += page
        if len(page) < MOST_FOUND:
            break
    return found


def _known(record: Record) -> Known:
    return Known(record.place, record.topics, record.private)
