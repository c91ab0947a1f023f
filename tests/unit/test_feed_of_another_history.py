"""A feed whose history begins anew, or is replaced by another one."""

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

from barestream.delivery.subscription import EVERYTHING_PUBLIC, Subscription
from barestream.history.record import Record
from barestream.mercure.sse import frame
from barestream.mercure.time_budget import UNBOUNDED, Budget
from fake_writer import fake_stream
from feeds import FLOOR, Handed, feed_of, gaps, place, record, restart, send, spent_feed


def test_a_history_that_begins_anew_sends_a_gap_to_its_subscribers() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    with feed.follow(stream, None):
        restart(feed, place(500))
        send(feed, record(501))
    assert gaps(writer) == [{"from": "#101-0", "to": "#500-0", "missed": None}]
    assert writer.body.endswith(b"<501>")


def test_another_history_continues_after_a_gap_from_the_newest_common_event() -> None:
    feed = feed_of(101, 102, 103)
    live, live_writer = fake_stream()
    slow, slow_writer = fake_stream()
    with feed.follow(live, place(103)), feed.follow(slow, place(101)):
        slow_writer.body = b""
        # 103 is lost; 104 was published to the older copy.
        for _ in feed.leap(FLOOR, [record(101), record(102), record(104)], place(102)):
            pass
        send(feed, record(105))
    for writer in (live_writer, slow_writer):
        assert gaps(writer) == [{"from": "#103-0", "to": "#102-0", "missed": None}]
        assert writer.body.endswith(b"\n\n<104><105>")


def test_another_history_sends_its_gap_first_to_subscribers_that_resume_meanwhile() -> None:
    feed = spent_feed()
    for ms in (101, 102, 103):
        send(feed, record(ms))
    streams = [fake_stream() for _ in range(3)]
    with ExitStack() as following:
        for stream, writer in streams:
            following.enter_context(feed.follow(stream, None))
            writer.take_bytes = 0
        slow = streams[-1][1]
        streams[-1][0].write(frame(b"x\n"))
        leaping = feed.leap(FLOOR, [record(101), record(104)], place(101))
        next(leaping)
        slow.drain()
        assert slow.body == b"x\n"
        for _ in leaping:
            pass
        for _ in range(3):
            for _, writer in streams:
                writer.drain()
    for _, writer in streams:
        assert gaps(writer) == [{"from": "#103-0", "to": "#101-0", "missed": None}]
        assert writer.body.endswith(b"<104>")
        assert b"<101>" not in writer.body


def test_a_history_with_nothing_in_common_is_sent_whole_even_if_its_places_were_sent() -> None:
    feed = feed_of(101, 102, 103)
    stream, writer = fake_stream()
    with feed.follow(stream, place(103)):
        for _ in feed.leap(place(50), [record(60), record(102)], place(50)):
            pass
    assert gaps(writer) == [{"from": "#103-0", "to": "#50-0", "missed": None}]
    assert writer.body.endswith(b"\n\n<60><102>")


def test_a_restart_yields_between_any_two_streams_and_includes_a_stream_opened_meanwhile() -> None:
    feed = spent_feed()
    send(feed, record(101))
    streams = [fake_stream() for _ in range(3)]
    late, late_writer = fake_stream()
    with ExitStack() as following:
        for stream, _ in streams:
            following.enter_context(feed.follow(stream, None))
        restarting = feed.restart(place(500))
        next(restarting)
        assert [len(gaps(writer)) for _, writer in streams] == [1, 0, 0]
        following.enter_context(feed.follow(late, None))
        assert sum(1 for _ in restarting) == 2
        send(feed, record(501))
    for _, writer in streams:
        assert gaps(writer) == [{"from": "#101-0", "to": "#500-0", "missed": None}]
        assert writer.body.endswith(b"<501>")
    assert late_writer.body == b"<501>"


def test_a_subscriber_ahead_of_the_ring_is_sent_a_gap_when_the_history_begins_anew() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    with feed.follow(stream, place(110)):
        restart(feed, place(120))
        send(feed, record(121))
    assert gaps(writer) == [{"from": "#110-0", "to": "#120-0", "missed": None}]
    assert writer.body.endswith(b"<121>")


class Halfway:
    """A subscription to everything that takes a step before it accepts an event."""

    topics = EVERYTHING_PUBLIC.topics
    names_topics = False

    def covers(self, record: Record, _: Budget) -> Generator[None, None, bool]:
        if record.place == place(103):
            yield
        return True


class Left:
    """A subscriber to a history from 101 on, suspended between its steps."""

    def __init__(self, newest: int, subscription: Subscription = EVERYTHING_PUBLIC) -> None:
        handed = Handed()
        self.feed = spent_feed(handed)
        for ms in range(101, newest + 1):
            send(self.feed, record(ms))
        self._subscription = subscription
        self._handed = handed
        self._stream, self.writer = fake_stream()

    @contextmanager
    def since(self, ms: int) -> Iterator[None]:
        """Follow from a place; then take the rest of the steps, as the replay does."""
        with self.feed.follow(self._stream, place(ms), self._subscription):
            [subscriber] = self._handed
            self.subscriber, self.steps = subscriber, self.feed.steps(subscriber)
            yield
            self.feed.budget = UNBOUNDED
            for _ in self.steps:
                pass
            if subscriber.place < self.feed.ring.floor:
                self.feed.miss(subscriber, str(subscriber.place), self.feed.ring.floor)
            for _ in self.feed.steps(subscriber):
                pass

    def come_to(self, ms: int) -> None:
        while self.subscriber.place < place(ms):
            next(self.steps)

    def leap(self, other: list[Record], common: int) -> None:
        for _ in self.feed.leap(FLOOR, other, place(common)):
            pass

    @property
    def got(self) -> list[bytes]:
        return re.findall(rb"<\w+>|barestream.gap", self.writer.body)


def test_a_step_suspended_at_the_end_of_a_history_sends_a_gap_before_the_next_history() -> None:
    left = Left(102)
    with left.since(100):
        left.come_to(102)
        restart(left.feed, place(120))
        send(left.feed, record(121))
    assert b'"from": "#102-0", "to": "#120-0"' in left.writer.body
    assert left.got == [b"<101>", b"<102>", b"barestream.gap", b"<121>"]


def test_a_step_suspended_at_an_event_of_both_histories_sends_no_event_twice() -> None:
    left = Left(103)
    with left.since(102):
        left.come_to(103)
        left.leap([record(ms) for ms in range(101, 106)], 103)
    assert left.got == [b"<103>", b"barestream.gap", b"<104>", b"<105>"]


def test_a_step_suspended_before_a_write_sends_nothing_of_a_lost_history() -> None:
    left = Left(103, cast("Subscription", Halfway()))
    with left.since(100):
        left.feed.budget = UNBOUNDED
        next(left.steps)
        assert left.writer.body == b""
        other = [record(101), *(Record(place(ms), b"<other>", ("a",)) for ms in (102, 103))]
        left.leap(other, 101)
    assert left.got == [b"barestream.gap", b"<101>", b"<other>", b"<other>"]
