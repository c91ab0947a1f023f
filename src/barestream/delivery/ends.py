"""The topics that have ended, in a worker's memory. Pure."""

from collections.abc import Callable, Mapping

from barestream.delivery.subscription import Subscription
from barestream.history.record import Known, Place, Record
from barestream.history.topic_state import End
from barestream.mercure.time_budget import UNBOUNDED, at_once


class Ends:
    """The ends that the worker knows of, and which subscriptions are over.

    Args:
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends: dict[str, End] = {}

    def __bool__(self) -> bool:
        return bool(self._ends)

    def refresh(self, ends: Mapping[str, End], since: Place) -> None:
        """Continue with the ends that the history knows.

        Args:
            ends: The ends, by topic.
            since: The worker's place when it asked for them. Later ends that the worker knows stay.
        """
        later = {topic: end for topic, end in self._ends.items() if end.known.place > since}
        self._ends = {**ends, **later}

    def replace(self, ends: Mapping[str, End]) -> None:
        """Continue with the ends of another history."""
        self._ends = dict(ends)

    def note(self, record: Record) -> None:
        """Take an update into account: it may end its first topic, or begin a topic anew."""
        if self._ends:
            for topic in record.topics:
                end = self._ends.get(topic)
                if end is not None and record.place > end.known.place:
                    del self._ends[topic]
        if record.end_ms is not None:
            known = Known(record.place, record.topics, record.private)
            self._ends[record.topics[0]] = End(known, record.place.ms + record.end_ms)

    def is_of(self, record: Record) -> bool:
        """Return whether an update's first topic has ended with it."""
        end = self.of_topic(record.topics[0])
        return end is not None and end.known.place == record.place

    def of_topic(self, topic: str) -> End | None:
        """Return the end of a topic; None if it has not ended, or is forgotten."""
        end = self._ends.get(topic)
        return None if end is None or end.until_ms <= self._now() * 1000 else end

    def are_over(self, subscription: Subscription, place: Place) -> bool:
        """Return whether nothing will come for a subscription after a place.

        That is so if it has only exact topics, and the ends of all of them are at the place or
        before. An end that the bearer may not read does not count.
        """
        wanted = subscription.topics
        if not self._ends or not wanted.is_exact or wanted.is_empty:
            return False
        return all(self._is_over(subscription, topic, place) for topic in wanted.exact)

    def _is_over(self, subscription: Subscription, topic: str, place: Place) -> bool:
        end = self.of_topic(topic)
        if end is None or end.known.place > place:
            return False
        return at_once(subscription.may_read(end.known, UNBOUNDED))
