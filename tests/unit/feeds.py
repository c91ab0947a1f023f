"""Feeds of a few records, and what their streams were sent."""

import json
import re

from barestream.delivery.feed import Feed, HandOver
from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscription import Subscription
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.telemetry.metrics import Metrics
from fake_writer import SPENT, FakeClock, FakeWriter, flush

FLOOR = Place(100, 0)


QUIET = Subscription(Selectors(["quiet"]), Selectors(()))


def place(ms: int) -> Place:
    return Place(ms, 0)


def record(ms: int, topic: str = "a", *, private: bool = False) -> Record:
    return Record(place(ms), b"<%d>" % ms, (topic,), private)


def send(feed: Feed, event: Record) -> None:
    feed.append(event)
    flush(feed)


def feed_of(*events: int, capacity: int = 10) -> Feed:
    feed = Feed(Ring(capacity, FLOOR), Metrics(), FakeClock())
    for ms in events:
        send(feed, record(ms))
    return feed


class Handed(list[Subscriber]):
    """Stands for the replay: it takes subscribers over and leaves them where they are."""

    def __call__(self, _: Feed, subscriber: Subscriber) -> None:
        self.append(subscriber)


def spent_feed(replay: HandOver | None = None) -> Feed:
    """Return a feed that yields wherever it can."""
    feed = Feed(Ring(10, FLOOR), Metrics(), FakeClock(), replay=replay)
    feed.budget = SPENT
    return feed


class SpentAt:
    """A budget whose slice is over from the nth question on."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def begin(self) -> float:
        return 0.0

    def is_over(self) -> bool:
        self._left -= 1
        return self._left < 0


def restart(feed: Feed, floor: Place) -> None:
    for _ in feed.restart(floor):
        pass


def gaps(writer: FakeWriter) -> list[dict[str, object]]:
    told = re.findall(r"(?m)^event: barestream.gap\ndata: (.*)\nid: (.*)$", writer.body.decode())
    gaps = [json.loads(data) for data, _ in told]
    assert [gap["to"] for gap in gaps] == [event_id for _, event_id in told]
    return gaps
