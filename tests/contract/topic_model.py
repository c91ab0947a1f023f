"""What a history promises of topics, by naive rules: a list of updates, and no index."""

from dataclasses import dataclass

from barestream.history.broker import HistoryBounds, TooMuchKeptError, TopicEndedError
from barestream.history.record import Place, Record
from barestream.history.topic_state import Reader, Rewind
from barestream.history.update import Update

# A topic, and whether its private updates are meant.
Lane = tuple[str, bool]


@dataclass(eq=False)
class Held:
    """An update that the history has, or that is a kept value or an end.

    Attributes:
        record: Its record.
        update: The update.
        topics: Those of its topics that it has not left.
    """

    record: Record
    update: Update
    topics: set[str]

    @property
    def place(self) -> Place:
        return self.record.place


class TopicModel:
    """A history.

    The bounds of bytes and of topic_seconds (0) are not modelled. Times are in milliseconds.

    Args:
        bounds: Its bounds.
        begin: The floor that it begins with.
    """

    def __init__(self, bounds: HistoryBounds, begin: Place) -> None:
        self.bounds = bounds
        self.log: list[Held] = []
        self.floors: dict[Lane, Place] = {}
        self.unknown = {False: begin, True: begin}
        self.gone = {False: begin, True: begin}
        self.gone_several = begin
        self.kept: dict[str, tuple[Held, float]] = {}
        self.ends: dict[str, tuple[Held, int]] = {}

    def lane(self, topic: str, private: bool) -> list[Held]:
        return [
            held for held in self.log if held.update.private == private and topic in held.topics
        ]

    # Publishing

    def judge(self, updates: list[Update], now_ms: float) -> list[tuple[Update, bool]]:
        """Return which of the updates are new, and whether each repeats an id.

        Raises the error that the history raises.
        """
        self.forget_over(now_ms)
        self.expire(now_ms)
        sizes = {topic: held.update.size_bytes for topic, (held, _) in self.kept.items()}
        ended = {*self.ends}
        new: list[tuple[Update, bool]] = []
        for update in updates:
            own_id = update.event.id
            before = [held.update for held in self.log] + [each for each, _ in new]
            same = [each for each in before if own_id and each.event.id == own_id]
            if same and same[-1] == update:
                continue
            for topic in update.topics:
                if topic in ended:
                    raise TopicEndedError(topic)
            if update.end_seconds is not None:
                ended.add(update.topics[0])
            if update.keep_seconds is not None:
                sizes.pop(update.topics[0], None)
            if update.keep_seconds:
                sizes[update.topics[0]] = update.size_bytes
                if (
                    len(sizes) > self.bounds.kept_values
                    or sum(sizes.values()) > self.bounds.kept_bytes
                ):
                    raise TooMuchKeptError
            new.append((update, bool(same)))
        return new

    def add(self, record: Record, update: Update, now_ms: float) -> None:
        held = Held(record, update, {*update.topics})
        self.log.append(held)
        for topic in held.topics:
            self.floors.setdefault((topic, update.private), self.unknown[update.private])
        topic = update.topics[0]
        if update.keep_seconds is not None:
            self.kept.pop(topic, None)
        if update.keep_seconds:
            self.kept[topic] = (held, now_ms + 1000 * update.keep_seconds)
        if update.end_seconds is not None:
            self.ends[topic] = (held, int(now_ms + 1000 * update.end_seconds))
        for topic in update.topics:
            self.crowd_out(topic, update.private)

    # Leaving

    def expire(self, now_ms: float) -> None:
        self.kept = {topic: each for topic, each in self.kept.items() if each[1] >= now_ms}

    def forget_over(self, now_ms: float) -> None:
        for topic, (_, until_ms) in [*self.ends.items()]:
            if until_ms <= now_ms:
                self.forget(topic)

    def forget(self, topic: str) -> None:
        for held in [held for held in self.log if held.update.topics[0] == topic]:
            self.leave(held)
        self.kept.pop(topic, None)
        del self.ends[topic]

    def leave(self, held: Held) -> None:
        private = held.update.private
        self.log.remove(held)
        for topic in [*held.topics]:
            self.leave_lane(held, topic)
        self.gone[private] = max(self.gone[private], held.place)
        if private and len(held.update.topics) > 1:
            self.gone_several = max(self.gone_several, held.place)

    def leave_lane(self, held: Held, topic: str) -> None:
        held.topics.discard(topic)
        lane = (topic, held.update.private)
        self.floors[lane] = max(self.floors[lane], held.place)

    def crowd_out(self, topic: str, private: bool) -> None:
        while len(lane := self.lane(topic, private)) > self.bounds.topic_events:
            oldest = lane[0]
            if oldest.update.topics[0] == topic:
                self.leave(oldest)
            else:
                self.leave_lane(oldest, topic)
                if private:
                    self.gone_several = max(self.gone_several, oldest.place)

    def trim(self, now_ms: float) -> None:
        while True:
            emptied = [
                (floor, private, topic)
                for (topic, private), floor in self.floors.items()
                if not self.lane(topic, private)
            ]
            too_many_lanes = len(self.floors) > self.bounds.topics
            if too_many_lanes and emptied:
                floor, private, topic = min(emptied)
                del self.floors[topic, private]
                self.unknown[private] = max(self.unknown[private], floor)
            elif self.log and (
                len(self.log) > self.bounds.events
                or self.log[0].place.ms < now_ms - 1000 * self.bounds.seconds
                or (too_many_lanes and len(self.log) > 1)
            ):
                self.leave(self.log[0])
            else:
                break

    def trim_later(self, now_ms: float) -> None:
        """Do what the history does without a publish."""
        self.expire(now_ms)
        self.forget_over(now_ms)
        self.trim(now_ms)

    # Reading

    def gets(self, reader: Reader | None) -> list[Record]:
        """Return all updates that a page for a reader may have."""
        if reader is None or reader.topics is None:
            return [held.record for held in self.log]
        lanes = [(topic, False) for topic in reader.topics]
        lanes += [(t, True) for t in reader.topics if reader.has_rights or t in reader.covered]
        return [
            held.record
            for held in self.log
            if any((topic, held.update.private) in lanes for topic in held.topics)
        ]

    def floor(self, reader: Reader | None) -> Place:
        if reader is None or (reader.topics is None and reader.has_rights):
            return max(self.gone.values())
        if reader.topics is None:
            return self.gone[False]
        floors = []
        for topic in reader.topics:
            floors.append(self.floors.get((topic, False), self.unknown[False]))
            if topic in reader.covered:
                floors.append(self.floors.get((topic, True), self.unknown[True]))
            elif reader.has_rights:
                floors.append(self.gone_several)
        return max(floors)

    def newest(
        self, topic: str, private: bool, rewind: Rewind, most_events: int, now_ms: float
    ) -> list[Place]:
        """Return the newest places of a lane."""
        places = [held.place for held in self.lane(topic, private)]
        if rewind.events is not None:
            asked = places[-rewind.events :] if rewind.events else []
        elif rewind.seconds is not None:
            asked = [each for each in places if each.ms >= now_ms - 1000 * rewind.seconds]
        elif topic in self.kept:
            asked = [each for each in places if each > self.kept[topic][0].place]
        else:
            asked = []
        return asked[-most_events:]
