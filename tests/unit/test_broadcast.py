"""Live events reach each subscriber that keeps up in one write, in any order of arrival."""

import re
from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from barestream.delivery.feed import Feed
from barestream.delivery.subscription import Subscription
from barestream.delivery.writer import MARK_BYTES
from barestream.history.record import Place, Record
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.telemetry.metrics import Metrics
from fake_writer import SPENT, FakeClock, fake_stream, flush

FLOOR = Place(100, 0)
TOPICS = ("a", "b", "c")


def feed_of(ring_events: int = 1000) -> Feed:
    """Return a feed each of whose steps is one write."""
    feed = Feed(Ring(ring_events, FLOOR), Metrics(), FakeClock())
    feed.budget = SPENT
    return feed


def append(feed: Feed, *numbers: int, topic: str = "a", private: bool = False) -> None:
    for ms in numbers:
        feed.append(Record(Place(ms, 0), b"<%d>" % ms, (topic,), private))


class Client:
    """A client of a stream: it must get the events that it wants once, in order, from its place."""

    def __init__(
        self, feed: Feed, topic: str = "a", place: Place | None = None, readable: str = "none"
    ) -> None:
        self.topic = topic
        self.since = feed.ring.last if place is None else place
        self.stream, self.writer = fake_stream()
        self.writer.take_bytes = 10**9
        self.context = ExitStack()
        wanted = Subscription(Selectors([topic]), Selectors([readable]))
        self.context.enter_context(feed.follow(self.stream, place, wanted, heartbeat_events=True))

        # Without its cursor from the start.
        self.writer.body = self.writer.body.partition(b"event: barestream.heartbeat")[0]
        self.writer.writes = 0

    @property
    def got(self) -> list[int]:
        return [int(number) for number in re.findall(rb"<([0-9]+)>", self.writer.body)]

    def due(self, published: dict[int, str]) -> list[int]:
        wanted = (ms for ms, topic in published.items() if topic == self.topic)
        return [ms for ms in wanted if ms > self.since.ms]


def test_pending_events_reach_each_stream_in_one_write() -> None:
    feed = feed_of()
    clients = [Client(feed) for _ in range(3)]
    append(feed, 101, 102, 103)
    assert all(client.writer.writes == 0 for client in clients)
    flush(feed)
    assert all(client.writer.body == b"<101><102><103>" for client in clients)
    assert all(client.writer.writes == 1 for client in clients)


def test_events_that_arrive_during_a_broadcast_are_sent_by_the_next_one() -> None:
    feed = feed_of()
    clients = [Client(feed) for _ in range(10)]
    append(feed, 101)
    feed.step()
    append(feed, 102, 103)
    assert feed.pending_bytes == len(b"<102><103>")
    flush(feed)
    assert feed.pending_bytes == 0
    assert all(client.writer.body == b"<101><102><103>" for client in clients)
    assert all(client.writer.writes == 2 for client in clients)


def test_a_write_holds_at_most_the_mark() -> None:
    feed = feed_of()
    client = Client(feed)
    writer = client.writer
    writer.take_bytes = writer.pending_bytes = 0
    for ms in range(101, 111):
        feed.append(Record(Place(ms, 0), b"x" * (MARK_BYTES // 4), ("a",)))
    flush(feed)
    assert len(writer.body) == MARK_BYTES
    for _ in range(9):
        writer.drain()
        assert writer.pending_bytes <= MARK_BYTES
    assert len(writer.body) == 10 * (MARK_BYTES // 4)


def test_each_subscriber_gets_the_events_of_a_batch_that_it_wants_and_may_read() -> None:
    feed = feed_of()
    clients = [
        Client(feed, wanted, readable=readable)
        for wanted, readable in (("a", "none"), ("b", "b"), ("*", "b"), ("*", "*"))
    ]
    append(feed, 101)
    append(feed, 102, topic="b")
    append(feed, 103, topic="b", private=True)
    append(feed, 104, private=True)
    flush(feed)
    assert [client.got for client in clients] == [
        [101],
        [102, 103],
        [101, 102, 103],
        [101, 102, 103, 104],
    ]
    assert all(client.writer.writes == 1 for client in clients)


def test_a_subscriber_that_leaves_during_a_broadcast_is_sent_no_more_of_it() -> None:
    feed = feed_of()
    clients = [Client(feed) for _ in range(2)]
    append(feed, 101)
    feed.step()
    clients[-1].context.close()
    flush(feed)
    assert [client.got for client in clients] == [[101], []]


def test_the_readers_of_a_private_event_are_determined_in_steps() -> None:
    feed = feed_of()
    clients = [Client(feed, readable="a" if n % 2 else "none") for n in range(10)]
    append(feed, 101, private=True)
    # No client is written to before all have been checked.
    for _ in range(10):
        assert feed.step()
        assert all(client.writer.writes == 0 for client in clients)
    flush(feed)
    assert [client.got for client in clients] == [[], [101]] * 5


def test_a_heartbeat_during_a_broadcast_names_no_place_after_the_last_event_sent() -> None:
    feed = feed_of()
    clients = [Client(feed) for _ in range(2)]
    append(feed, 101, 102)
    feed.step()
    assert clients[0].stream.heartbeat().body.endswith(b"\nid: #102-0\n\n")
    assert clients[-1].stream.heartbeat().body.endswith(b"\nid: #100-0\n\n")
    flush(feed)
    assert clients[-1].stream.heartbeat().body.endswith(b"\nid: #102-0\n\n")


class Comings(RuleBasedStateMachine):
    """Events arrive, and clients come, pause and leave, in any order at any step of a broadcast."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.feed = feed_of()
        self.published: dict[int, str] = {}
        # So that a broadcast takes two steps.
        self.crowd = [Client(self.feed, "a", None) for _ in range(2)]

    @rule(topic=st.sampled_from(TOPICS))
    def append(self, topic: str) -> None:
        ms = self.feed.ring.last.ms + 1
        self.published[ms] = topic
        append(self.feed, ms, topic=topic)

    @rule()
    def step(self) -> None:
        self.feed.step()

    @rule(target=clients, topic=st.sampled_from(TOPICS))
    def join(self, topic: str) -> Client:
        return Client(self.feed, topic, None)

    # A place of another worker, which may be behind this one or ahead of it.
    @rule(target=clients, topic=st.sampled_from(TOPICS), further=st.integers(-3, 3))
    def come_back(self, topic: str, further: int) -> Client:
        return Client(self.feed, topic, max(FLOOR, Place(self.feed.ring.last.ms + further, 0)))

    @rule(client=clients)
    def pause(self, client: Client) -> None:
        client.writer.take_bytes = 0

    @rule(client=clients)
    def resume(self, client: Client) -> None:
        while client.writer.pending_bytes:
            client.writer.drain()
        client.writer.take_bytes = 10**9

    @rule(client=consumes(clients))
    def leave(self, client: Client) -> None:
        client.context.close()
        got = client.got
        flush(self.feed)
        assert client.got == got == client.due(self.published)[: len(got)]

    @rule(client=clients)
    def beat(self, client: Client) -> None:
        [place] = re.findall(rb"id: #([0-9]+)-0", client.stream.heartbeat().body)
        due = client.due(self.published)
        assert client.got == [ms for ms in due if ms <= int(place)]

    @rule(clients=st.lists(clients))
    def settle(self, clients: list[Client]) -> None:
        flush(self.feed)
        for client in [*self.crowd, *clients]:
            self.resume(client)
            assert client.got == client.due(self.published)


TestComings = Comings.TestCase
TestComings.settings = settings(max_examples=200, stateful_step_count=40)
