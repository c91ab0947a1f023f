import json
from itertools import pairwise

import pytest

from barestream.event_log import EventLog, Place
from barestream.feed import CATCH_UP_BYTES, Feed
from fake_outlet import fake_stream

FLOOR = Place(100, 0)


def place(ms: int) -> Place:
    return Place(ms, 0)


def feed_of(*events: int, capacity: int = 10) -> Feed:
    feed = Feed(EventLog(capacity, FLOOR))
    for ms in events:
        feed.append(place(ms), b"<%d>" % ms)
    return feed


def test_a_follower_gets_what_it_missed_then_what_comes() -> None:
    feed = feed_of(101, 102, 103)
    stream, outlet = fake_stream()
    with feed.follow(stream, place(101)):
        assert outlet.body == b"<102><103>"
        feed.append(place(104), b"<104>")
        assert outlet.body == b"<102><103><104>"
    feed.append(place(105), b"<105>")
    assert outlet.body == b"<102><103><104>"
    assert stream.sent_events == 3


def test_a_follower_from_ahead_waits_for_what_follows_its_place() -> None:
    feed = feed_of(101)
    stream, outlet = fake_stream()
    with feed.follow(stream, place(103)):
        for ms in (102, 103, 104):
            feed.append(place(ms), b"<%d>" % ms)
    assert outlet.body == b"<104>"


def test_a_paused_follower_is_not_written_to_and_catches_up_when_it_resumes() -> None:
    feed = feed_of()
    stream, outlet = fake_stream()
    with feed.follow(stream, FLOOR):
        outlet.take_bytes = 0
        for ms in range(101, 106):
            feed.append(place(ms), b"<%d>" % ms)
        assert outlet.body == b"<101>"
        outlet.drain()
        assert outlet.body == b"<101><102><103><104><105>"
        assert outlet.writes == 2


def test_a_write_to_catch_up_is_at_most_the_mark() -> None:
    feed = Feed(EventLog(100, FLOOR))
    for ms in range(101, 201):
        feed.append(place(ms), b"x" * 10_000)
    stream, outlet = fake_stream()
    outlet.take_bytes = 0
    sizes = []
    with feed.follow(stream, FLOOR):
        while outlet.pending_bytes:
            sizes.append(outlet.pending_bytes)
            outlet.drain()
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= CATCH_UP_BYTES


def test_a_follower_that_the_ring_has_passed_is_told_of_the_gap_then_goes_on() -> None:
    feed = feed_of(101, 102, 103, 104, capacity=2)
    stream, outlet = fake_stream()
    with feed.follow(stream, place(100)):
        pass
    gap, _, rest = outlet.body.decode().partition("\n\n")
    assert gap.splitlines()[:2] == ["id: #102-0", "event: barestream.gap"]
    assert json.loads(gap.partition("data: ")[2]) == {
        "from": "#100-0",
        "to": "#102-0",
        "missed": None,
    }
    assert rest == "<103><104>"


def test_a_client_that_resumes_from_the_gaps_id_is_not_told_again() -> None:
    feed = feed_of(101, 102, 103, 104, capacity=2)
    stream, outlet = fake_stream()
    with feed.follow(stream, feed.resume("#102-0")):
        pass
    assert outlet.body == b"<103><104>"


@pytest.mark.parametrize("unknown", [None, "", "garbage", "#999999999-0"])
def test_without_a_readable_id_a_client_starts_with_the_newest_event(unknown: str | None) -> None:
    feed = feed_of(101, 102, 103)
    assert feed.resume(unknown) == place(102)


def test_a_readable_id_is_where_the_client_goes_on() -> None:
    assert feed_of(101, 102, 103).resume("#101-0") == place(101)


def test_many_leavers_at_random_times_each_see_every_event_once() -> None:
    feed = feed_of(*range(101, 110), capacity=1000)
    seen = b""
    cut_points = [(110, 113), (113, 120), (120, 121), (121, 150)]
    cursor = FLOOR
    for start, end in cut_points:
        stream, outlet = fake_stream()
        with feed.follow(stream, feed.resume(str(cursor))):
            for ms in range(start, end):
                feed.append(place(ms), b"<%d>" % ms)
        seen += outlet.body
        cursor = feed.log.last
    numbers = [int(text) for text in seen.decode()[1:-1].split("><")]
    assert numbers[0] == 101
    assert all(after == before + 1 for before, after in pairwise(numbers))
