import gc
import weakref
from itertools import pairwise

import pytest

from barestream.delivery.feed import Feed
from barestream.delivery.ready import Ready
from barestream.delivery.stream import EndReason
from barestream.delivery.subscriber import Missed, Subscriber
from barestream.delivery.subscription import Subscription
from barestream.delivery.writer import MARK_BYTES
from barestream.history.gap import lost
from barestream.history.record import Record
from barestream.history.ring import Ring
from barestream.mercure.selectors import Selectors
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, fake_stream
from feeds import (
    FLOOR,
    QUIET,
    Handed,
    SpentAt,
    feed_of,
    gaps,
    place,
    record,
    restart,
    send,
    spent_feed,
)


def test_a_subscriber_gets_the_missed_events_and_then_live_ones() -> None:
    feed = feed_of(101, 102, 103)
    stream, writer = fake_stream()
    with feed.follow(stream, place(101)):
        assert writer.body == b"<102><103>"
        send(feed, record(104))
        assert writer.body == b"<102><103><104>"
    send(feed, record(105))
    assert writer.body == b"<102><103><104>"
    assert stream.sent_events == 3


def test_a_subscriber_without_a_place_starts_at_the_end() -> None:
    feed = feed_of(101, 102)
    stream, writer = fake_stream()
    with feed.follow(stream, None):
        send(feed, record(103))
    assert writer.body == b"<103>"


def test_an_event_without_subscribers_is_sent_to_nobody_and_waits_for_no_broadcast() -> None:
    feed = feed_of(101)
    stirred: list[None] = []
    feed.on_append = lambda: stirred.append(None)
    feed.append(record(102))
    assert not stirred
    assert feed.pending_bytes == 0
    live, live_writer = fake_stream()
    returning, returning_writer = fake_stream()
    with feed.follow(live, None), feed.follow(returning, place(101)):
        assert (live_writer.body, returning_writer.body) == (b"", b"<102>")
        send(feed, record(103))
        assert (live_writer.body, returning_writer.body) == (b"<103>", b"<102><103>")


def test_events_of_streams_that_have_left_are_broadcast_before_the_next_one() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    with feed.follow(stream, None):
        feed.append(record(102))
    send(feed, record(103))
    returning, returning_writer = fake_stream()
    with feed.follow(returning, place(101)):
        assert (writer.body, returning_writer.body) == (b"", b"<102><103>")
    assert feed.pending_bytes == 0


def test_a_subscriber_ahead_of_the_ring_waits_for_events_after_its_place() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    with feed.follow(stream, place(103)):
        for ms in (102, 103, 104):
            send(feed, record(ms))
    assert writer.body == b"<104>"


def test_lost_updates_are_reported_to_every_subscriber_live_and_replayed() -> None:
    feed = feed_of(101)
    told = lost(place(102))
    stream, live = fake_stream()
    returning, replayed = fake_stream()
    with feed.follow(stream, None, QUIET):
        send(feed, told)
        with feed.follow(returning, place(101), QUIET):
            pass
    for writer in (live, replayed):
        assert writer.body.startswith(b"event: barestream.gap\n")
        assert gaps(writer) == [{"from": None, "to": "#102-0", "missed": None}]


def test_a_subscriber_gets_the_topics_that_it_wants_live_and_replayed() -> None:
    feed = feed_of()
    send(feed, record(101, "a"))
    send(feed, record(102, "b"))
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR, Subscription(Selectors(["b", "c/{id}"]), Selectors(()))):
        for ms, topic in enumerate(("a", "b", "c/7", "c/7/8"), 103):
            send(feed, record(ms, topic))
    assert writer.body == b"<102><104><105>"


def test_a_private_event_goes_only_to_subscribers_that_may_read_it_live_and_replayed() -> None:
    feed = feed_of()
    send(feed, record(101, private=True))
    bodies = []
    for readable in ((), ("b",), ("a",)):
        stream, writer = fake_stream()
        with feed.follow(stream, FLOOR, Subscription(Selectors(["*"]), Selectors(readable))):
            send(feed, record(feed.ring.last.ms + 1, private=True))
        bodies.append(writer.body)
    assert bodies == [b"", b"", b"<101><102><103><104>"]


def test_a_paused_subscriber_is_not_written_to_and_catches_up_when_it_resumes() -> None:
    feed = feed_of()
    stream, writer = fake_stream()
    with feed.follow(stream, None):
        writer.take_bytes = 0
        for ms in range(101, 106):
            send(feed, record(ms))
        assert writer.body == b"<101>"
        writer.drain()
        assert writer.body == b"<101><102><103><104><105>"
        assert writer.writes == 2
        send(feed, record(106))
        writer.drain()
    assert writer.body == b"<101><102><103><104><105><106>"


def test_a_paused_subscriber_of_a_quiet_topic_is_not_behind() -> None:
    feed = feed_of(capacity=2)
    stream, writer = fake_stream()
    with feed.follow(stream, None, QUIET):
        send(feed, record(101, "quiet"))
        writer.take_bytes = 0
        stream.write(stream.heartbeat())
        for ms in range(102, 110):
            send(feed, record(ms, "loud"))
        writer.drain()
        send(feed, record(110, "quiet"))
    assert writer.body == b"<101>:\n<110>"


def test_a_write_to_catch_up_is_at_most_the_mark() -> None:
    feed = Feed(Ring(100, FLOOR), Metrics(), FakeClock())
    for ms in range(101, 201):
        send(feed, Record(place(ms), b"x" * 10_000, ("a",)))
    stream, writer = fake_stream()
    writer.take_bytes = 0
    sizes = []
    with feed.follow(stream, FLOOR):
        while writer.pending_bytes:
            sizes.append(writer.pending_bytes)
            writer.drain()
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= MARK_BYTES


def test_a_subscriber_behind_the_ring_is_sent_a_gap_and_then_goes_on() -> None:
    feed = feed_of(101, 102, 103, 104, capacity=2)
    stream, writer = fake_stream()
    with feed.follow(stream, place(100)):
        pass
    assert writer.body.startswith(b"event: barestream.gap\n")
    assert gaps(writer) == [{"from": "#100-0", "to": "#102-0", "missed": None}]
    assert writer.body.endswith(b"\n\n<103><104>")


def test_a_client_that_resumes_from_the_id_of_a_gap_is_not_sent_it_again() -> None:
    feed = feed_of(101, 102, 103, 104, capacity=2)
    stream, writer = fake_stream()
    with feed.follow(stream, place(102)):
        pass
    assert writer.body == b"<103><104>"


def test_an_unknown_id_is_answered_with_a_gap_and_then_the_whole_ring() -> None:
    feed = feed_of(101, 102)
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR, missed=Missed("urn:gone", FLOOR)):
        pass
    assert gaps(writer) == [{"from": "urn:gone", "to": "#100-0", "missed": None}]
    assert writer.body.endswith(b"\n\n<101><102>")


def test_a_heartbeat_event_carries_the_place_that_the_client_has_reached() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    with feed.follow(stream, None, QUIET, heartbeat_events=True):
        assert writer.body == b"event: barestream.heartbeat\ndata: \nid: #101-0\n\n"
        send(feed, record(102, "loud"))
        assert stream.heartbeat().body.endswith(b"\nid: #102-0\n\n")


def test_a_subscriber_that_resumes_at_the_end_does_not_fall_behind_by_unwanted_events() -> None:
    feed = feed_of(101, capacity=2)
    stream, writer = fake_stream()
    with feed.follow(stream, place(101), QUIET, heartbeat_events=True):
        assert writer.body == b"event: barestream.heartbeat\ndata: \nid: #101-0\n\n"
        for ms in range(102, 110):
            send(feed, record(ms, "loud"))
        assert stream.heartbeat().body.endswith(b"\nid: #109-0\n\n")
        send(feed, record(110, "quiet"))
    assert gaps(writer) == []
    assert writer.body.endswith(b"\n\n<110>")


def test_a_subscriber_that_has_caught_up_does_not_fall_behind_by_unwanted_events() -> None:
    feed = feed_of(capacity=2)
    send(feed, record(101, "quiet"))
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR, QUIET):
        for ms in range(102, 110):
            send(feed, record(ms, "loud"))
        send(feed, record(110, "quiet"))
    assert writer.body == b"<101><110>"


@pytest.mark.parametrize("ahead", [103, 105, 107])
def test_a_subscriber_ahead_of_the_ring_is_overtaken_by_unwanted_events_and_misses_none(
    ahead: int,
) -> None:
    feed = feed_of(101, capacity=2)
    stream, writer = fake_stream()
    with feed.follow(stream, place(ahead), QUIET):
        for ms in range(102, 120):
            send(feed, record(ms, "quiet" if ms in (103, 106, 119) else "loud"))
    assert gaps(writer) == []
    expected = [b"<%d>" % ms for ms in (103, 106, 119) if ms > ahead]
    assert writer.body == b"".join(expected)


def test_the_matching_of_a_record_with_many_topics_yields_between_any_two_templates() -> None:
    handed = Handed()
    feed = spent_feed(handed)
    topics = tuple(f"{number}/x" for number in range(100))
    send(feed, Record(place(101), b"<101>", topics))
    templates = [f"{{a}}/{number}" for number in range(10)]
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR, Subscription(Selectors([*templates, "99/x"]), Selectors(()))):
        assert sum(1 for _ in feed.steps(handed[0])) == 2
    assert writer.body == b"<101>"
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR, Subscription(Selectors(templates), Selectors(()))):
        assert sum(1 for _ in feed.steps(handed[1])) >= len(topics) * len(templates)
    assert writer.body == b""


def test_a_heartbeat_names_no_place_whose_events_are_still_to_be_written() -> None:
    handed = Handed()
    feed = spent_feed(handed)
    send(feed, record(101))
    send(feed, record(102, "b"))
    stream, writer = fake_stream()
    wanted = Subscription(Selectors(["a", "{x}/{y}"]), Selectors(()))
    with feed.follow(stream, FLOOR, wanted, heartbeat_events=True):
        for _ in feed.steps(handed[0]):
            is_sent = b"<101>" in writer.body
            assert (b"id: #100-0" in stream.heartbeat().body) is not is_sent


@pytest.mark.parametrize("ends_by", ["drained", "left"])
def test_a_gap_that_was_not_sent_does_not_count(ends_by: str) -> None:
    feed = feed_of(101, 102, 103, capacity=1)
    stream, writer = fake_stream()
    if ends_by == "drained":
        stream.end(EndReason.DRAINED)
    else:
        # The stream has not learnt of it yet.
        writer.aborted = True
    with feed.follow(stream, FLOOR, missed=Missed("urn:gone", FLOOR)):
        restart(feed, place(500))
        send(feed, record(501))
    assert b"".join(writer.body.split()) == b""
    assert stream.sent_events == stream.sent_bytes == 0
    text = feed.metrics.text().decode()
    for name in ("gaps", "events_delivered", "delivered_bytes"):
        assert f"barestream_{name}_total 0.0" in text


def test_a_subscriber_far_behind_is_handed_to_the_replay_and_not_advanced_twice() -> None:
    handed = Handed()
    feed = spent_feed(handed)
    for ms in (101, 102):
        send(feed, record(ms))
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR):
        assert len(handed) == 1
        send(feed, record(103))
        assert writer.body == b""
        for _ in feed.steps(handed[0]):
            pass
        assert writer.body == b"<101><102><103>"
    assert len(handed) == 1


@pytest.mark.parametrize("nth", range(8))
def test_a_subscriber_that_reaches_the_end_is_live_wherever_a_slice_ends(nth: int) -> None:
    def bring_on(feed: Feed, subscriber: Subscriber) -> None:
        for _ in feed.steps(subscriber):
            pass

    feed = Feed(Ring(10, FLOOR), Metrics(), FakeClock(), replay=bring_on)
    for ms in (101, 102, 103):
        send(feed, record(ms))
    feed.budget = SpentAt(nth)
    stream, writer = fake_stream()
    with feed.follow(stream, FLOOR):
        send(feed, record(104))
    assert writer.body == b"<101><102><103><104>"


def test_events_that_left_the_ring_are_left_to_the_replay() -> None:
    handed = Handed()
    feed = Feed(Ring(2, FLOOR), Metrics(), FakeClock(), replay=handed)
    for ms in range(101, 106):
        send(feed, record(ms))
    stream, writer = fake_stream()
    with feed.follow(stream, place(101)):
        assert [subscriber.place for subscriber in handed] == [place(101)]
    assert writer.body == b""


def test_a_client_that_leaves_and_resumes_several_times_sees_every_event_once() -> None:
    feed = feed_of(*range(101, 110), capacity=1000)
    seen = b""
    cut_points = [(110, 113), (113, 120), (120, 121), (121, 150)]
    cursor = FLOOR
    for start, end in cut_points:
        stream, writer = fake_stream()
        with feed.follow(stream, cursor):
            for ms in range(start, end):
                send(feed, record(ms))
        seen += writer.body
        cursor = feed.ring.last
    numbers = [int(text) for text in seen.decode()[1:-1].split("><")]
    assert numbers[0] == 101
    assert all(after == before + 1 for before, after in pairwise(numbers))


def test_an_ended_stream_is_freed_without_a_garbage_collection() -> None:
    feed = feed_of(101)
    stream, writer = fake_stream()
    gone = weakref.ref(writer)
    gc.disable()
    try:
        with feed.follow(stream, None, heartbeat_events=True):
            pass
        del stream, writer
        assert gone() is None
    finally:
        gc.enable()


def test_a_topic_whose_event_was_not_written_counts_as_one_that_had_nothing() -> None:
    handed = Handed()
    feed = spent_feed(handed)
    stream, writer = fake_stream()
    stream.ready = Ready(["a"])
    send(feed, record(101, private=True))
    # Until it is known that the client may read the event, the work is interrupted.
    reads_late = Subscription(Selectors(["a"]), Selectors(["x/{id}", "{id}"]))
    with feed.follow(stream, FLOOR, reads_late):
        steps = feed.steps(handed[0])
        next(steps)
        next(steps)
        writer.take_bytes, writer.pending_bytes = 0, 1
        assert next(steps, None) is None
        # The event leaves before the client is ready for it.
        restart(feed, place(101))
        writer.drain()
        feed.miss(handed[0], str(FLOOR), place(101))
    assert b"<101>" not in writer.body
    assert b'{"empty": ["a"]}' in writer.body
