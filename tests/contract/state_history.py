"""All that a history ever had, by naive rules, at each of its moments."""

from barestream.history.broker import HistoryBounds
from barestream.history.record import Place, Record
from barestream.history.topic_state import Reader
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from topic_model import Held, TopicModel


class Wanted:
    """Which updates a client gets, by the rules of Mercure.

    Args:
        topics: Its selectors.
        readable: Those of its token.
    """

    def __init__(self, topics: tuple[str, ...], readable: tuple[str, ...]) -> None:
        self.topics = Selectors(topics)
        self.readable = Selectors(readable)
        self.exact = tuple(self.topics.exact)
        self.is_exact = not self.topics.everything and not self.topics.expressions
        self.has_rights = bool(readable)
        self.covered = frozenset(filter(self.readable.match, self.exact))

    @property
    def reader(self) -> Reader:
        if not self.is_exact:
            return Reader(None, has_rights=self.has_rights)
        return Reader(self.exact, self.covered, self.has_rights)

    def may_read(self, record: Record) -> bool:
        return not record.private or any(map(self.readable.match, record.topics))

    def gets(self, record: Record) -> bool:
        return any(map(self.topics.match, record.topics)) and self.may_read(record)

    def topic_of(self, record: Record) -> str:
        return next(filter(self.topics.match, record.topics))


class Moment(TopicModel):
    """The state of a history between two changes.

    Args:
        model: The history.
        now_ms: The time.
    """

    def __init__(self, model: TopicModel, now_ms: float) -> None:
        super().__init__(model.bounds, model.gone[False])
        self.now_ms = now_ms
        self.log = [Held(each.record, each.update, {*each.topics}) for each in model.log]
        self.floors = {**model.floors}
        self.unknown = {**model.unknown}
        self.gone = {**model.gone}
        self.gone_several = model.gone_several
        self.kept = {**model.kept}
        self.ends = {**model.ends}
        self.expire(now_ms)
        self.here = {held.place: held for held in self.log}

    def has(self, record: Record, wanted: Wanted) -> bool:
        """Return whether a client that wants an update can still be sent it."""
        held = self.here.get(record.place)
        if held is None:
            return False
        return not wanted.is_exact or not held.topics.isdisjoint(wanted.exact)

    def values(self, wanted: Wanted) -> dict[str, Record]:
        """Return the kept values that a client gets, by topic."""
        return {
            topic: held.record
            for topic, (held, _) in self.kept.items()
            if wanted.topics.match(topic) and wanted.may_read(held.record)
        }

    def floor_of(self, topic: str, private: bool) -> Place:
        return self.floors.get((topic, private), self.unknown[private])

    @property
    def last(self) -> Place:
        """The place of the newest update, or of the newest one that has left."""
        return max([self.floor(None), *(held.place for held in self.log[-1:])])


class StateHistory(TopicModel):
    """A history that forgets nothing.

    Args:
        bounds: Its bounds.
        begin: Its first floor.

    Attributes:
        updates: The records of all updates that were ever accepted, oldest first.
        ended: Each end that there ever was, with the time until which it held.
        moments: Its state after each change.
    """

    def __init__(self, bounds: HistoryBounds, begin: Place) -> None:
        super().__init__(bounds, begin)
        self.begin = begin
        self.updates: list[Record] = []
        self.by_data: dict[str, Record] = {}
        self.ended: list[tuple[Record, float]] = []
        self.moments: list[Moment] = []

    def add(self, record: Record, update: Update, now_ms: float) -> None:
        super().add(record, update, now_ms)
        self.updates.append(record)
        self.by_data[update.event.data] = record
        if update.end_seconds is not None:
            self.ended.append((record, self.ends[update.topics[0]][1]))

    def note(self, now_ms: float) -> None:
        """Keep the state as a moment."""
        self.moments.append(Moment(self, now_ms))

    def is_over(self, topic: str, now_ms: float) -> bool:
        """Return whether a topic has ended, and is to be forgotten."""
        return topic in self.ends and self.ends[topic][1] <= now_ms

    @property
    def last(self) -> Place:
        """The newest place that was ever given."""
        return self.updates[-1].place if self.updates else self.begin

    def with_id(self, own_id: str, wanted: Wanted) -> list[Place]:
        """Return the places of all updates with an id that a client may read."""
        return [
            each.place for each in self.updates if each.own_id == own_id and wanted.may_read(each)
        ]
