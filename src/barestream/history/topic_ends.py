"""The ends of topics, in the memory of one process. Pure."""

from barestream.history.record import Known, Record
from barestream.history.sorted_list import SortedList
from barestream.history.topic_state import End
from barestream.history.update import Update


class TopicEnds:
    """The end of each topic that has ended and is not forgotten.

    Args:
        most_topics: How many there may be.
    """

    def __init__(self, most_topics: int) -> None:
        self._most_topics = most_topics
        self._by_topic: dict[str, End] = {}
        # Their times and topics: the first is the next that is over.
        self._until: SortedList[tuple[int, str]] = SortedList()

    def __bool__(self) -> bool:
        return bool(self._by_topic)

    def __contains__(self, topic: str) -> bool:
        return topic in self._by_topic

    def until(self, now_ms: float) -> dict[str, End]:
        """Return the ends by topic, without those whose time is over."""
        return {topic: end for topic, end in self._by_topic.items() if end.until_ms > now_ms}

    def next_over(self, now_ms: float) -> str | None:
        """Return a topic that is to be forgotten; None if there is none."""
        if self._until and self._until.first[0] <= now_ms:
            return self._until.first[1]
        return None

    def next_beyond(self) -> str | None:
        """Return a topic that is to be forgotten early; None if there is none."""
        return self._until.first[1] if len(self._by_topic) > self._most_topics else None

    def take(self, update: Update, record: Record, now_ms: float) -> None:
        """End an update's first topic, as the update says."""
        assert update.end_seconds is not None  # noqa: S101 (only then it is called)
        topic = update.topics[0]
        known = Known(record.place, record.topics, record.private)
        end = End(known, int(now_ms + 1000 * update.end_seconds))
        self._by_topic[topic] = end
        self._until.add((end.until_ms, topic))

    def remove(self, topic: str) -> None:
        """Forget the end of a topic, if it has one."""
        end = self._by_topic.pop(topic, None)
        if end is not None:
            self._until.discard((end.until_ms, topic))
