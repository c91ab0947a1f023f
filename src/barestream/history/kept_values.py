"""The kept values of topics, in the memory of one process. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from barestream.history.broker import TooMuchKeptError
from barestream.history.record import Record
from barestream.history.sorted_list import SortedList
from barestream.history.update import Update


class _Kept(NamedTuple):
    """A kept value.

    Attributes:
        record: The update's record.
        size_bytes: The update's size.
        until_ms: The last millisecond of the history's clock at which it is kept; may be infinite.
    """

    record: Record
    size_bytes: int
    until_ms: float


class KeptValues:
    """The kept value of each topic that has one.

    Args:
        most_values: How many there may be.
        most_bytes: How large they may be together (Update.size_bytes).
    """

    def __init__(self, most_values: int, most_bytes: int) -> None:
        self._most_values = most_values
        self._most_bytes = most_bytes
        self._by_topic: dict[str, _Kept] = {}
        # Their times and topics: the first is the next that is over.
        self._until: SortedList[tuple[float, str]] = SortedList()
        self._size_bytes = 0

    def get(self, topic: str, now_ms: float) -> Record | None:
        """Return the kept value of a topic, unless it is too old."""
        kept = self._by_topic.get(topic)
        return kept.record if kept and kept.until_ms >= now_ms else None

    def all(self, now_ms: float) -> dict[str, Record]:
        """Return the kept values of all topics, without those that are too old."""
        return {
            topic: kept.record for topic, kept in self._by_topic.items() if kept.until_ms >= now_ms
        }

    def expired(self, now_ms: float) -> Iterator[int]:
        """Remove the values that are too old; yield 1 for each of them."""
        while self._until and self._until.first[0] < now_ms:
            self.remove(self._until.first[1])
            yield 1

    def room(self) -> "Room":
        """Return the room for the values of updates that are to be accepted together."""
        return Room(self._most_values, self._most_bytes, self._by_topic, self._size_bytes)

    def __bool__(self) -> bool:
        return bool(self._by_topic)

    def take(self, update: Update, record: Record, now_ms: float) -> None:
        """Do with the kept value of an update's first topic what the update says."""
        topic = update.topics[0]
        self.remove(topic)
        if update.keep_seconds:
            kept = _Kept(record, update.size_bytes, now_ms + 1000 * update.keep_seconds)
            self._by_topic[topic] = kept
            self._until.add((kept.until_ms, topic))
            self._size_bytes += kept.size_bytes

    def remove(self, topic: str) -> None:
        """Remove the kept value of a topic, if it has one."""
        kept = self._by_topic.pop(topic, None)
        if kept is not None:
            self._until.discard((kept.until_ms, topic))
            self._size_bytes -= kept.size_bytes


class Room:
    """The room for kept values, as updates that are to be accepted one after the other leave it.

    Args:
        most_values: See KeptValues.
        most_bytes: See KeptValues.
        by_topic: The kept values before these updates.
        size_bytes: How large they are together.
    """

    def __init__(
        self, most_values: int, most_bytes: int, by_topic: Mapping[str, _Kept], size_bytes: int
    ) -> None:
        self._most_values = most_values
        self._most_bytes = most_bytes
        self._by_topic = by_topic
        self._values = len(by_topic)
        self._size_bytes = size_bytes
        # The sizes of the values that the updates change; 0 is no value.
        self._changed_bytes: dict[str, int] = {}

    def take(self, update: Update, at: int = 0) -> None:
        """Give an update the room that it needs.

        Args:
            update: The update.
            at: Its number among those that are to be accepted together.

        Raises:
            TooMuchKeptError: There is not so much.
        """
        if update.keep_seconds is None:
            return
        topic = update.topics[0]
        before_bytes = self._changed_bytes.get(topic)
        if before_bytes is None:
            before_bytes = self._by_topic[topic].size_bytes if topic in self._by_topic else 0
        # No update has a size of 0: its topics count.
        after_bytes = update.size_bytes if update.keep_seconds else 0
        self._values += bool(after_bytes) - bool(before_bytes)
        self._size_bytes += after_bytes - before_bytes
        self._changed_bytes[topic] = after_bytes
        if not after_bytes:
            return
        if self._values > self._most_values:
            raise TooMuchKeptError(f"there are {self._most_values} kept values already", at)
        if self._size_bytes > self._most_bytes:
            raise TooMuchKeptError(f"kept values may take {self._most_bytes} bytes together", at)
