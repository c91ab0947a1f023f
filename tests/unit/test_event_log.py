import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.event_log import EventLog, Place

FLOOR = Place(100, 0)


def log_of(*places: int, capacity: int = 10) -> EventLog:
    log = EventLog(capacity, FLOOR)
    for ms in places:
        log.append(Place(ms, 0), b"<%d>" % ms)
    return log


def test_a_place_has_the_form_of_an_engines_id_on_the_wire() -> None:
    assert str(Place(1795363200000, 7)) == "#1795363200000-7"
    assert Place.parse("#1795363200000-7") == Place(1795363200000, 7)


@pytest.mark.parametrize(
    "text", ["", "1-0", "#1", "#1-", "#-1-0", "#1-0 ", "#\u0661-\u0660", "#" + "9" * 99]
)
def test_what_is_no_place_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        Place.parse(text)


def test_places_order_by_milliseconds_then_sequence() -> None:
    assert Place(1, 9) < Place(2, 0) < Place(2, 1)


def test_an_empty_log_has_its_floor_as_last_place_and_gives_nothing() -> None:
    log = log_of()
    assert log.last == FLOOR
    assert log.before(1) == FLOOR
    assert log.read(FLOOR, 1000) is None


def test_a_read_gives_what_follows_the_place_in_order() -> None:
    batch = log_of(101, 102, 103).read(Place(101, 0), 1000)
    assert batch == (b"<102><103>", 2, Place(103, 0))


def test_a_place_between_two_events_is_read_on_from() -> None:
    batch = log_of(110, 120).read(Place(115, 3), 1000)
    assert batch == (b"<120>", 1, Place(120, 0))


def test_a_place_after_the_last_event_gives_nothing() -> None:
    assert log_of(101).read(Place(999, 0), 1000) is None


def test_a_batch_ends_before_its_most_bytes_but_holds_one_event_at_least() -> None:
    log = log_of(101, 102, 103)
    batch = log.read(FLOOR, 10)
    assert batch is not None
    assert batch.events == 2
    batch = log.read(FLOOR, 1)
    assert batch is not None
    assert batch.body == b"<101>"


def test_beyond_its_capacity_the_oldest_goes_and_the_floor_rises() -> None:
    log = log_of(101, 102, 103, 104, capacity=2)
    assert log.floor == Place(102, 0)
    batch = log.read(log.floor, 1000)
    assert batch is not None
    assert batch.body == b"<103><104>"


def test_a_place_never_goes_back() -> None:
    log = log_of(102)
    for ms in (101, 102):
        with pytest.raises(ValueError, match="not after"):
            log.append(Place(ms, 0), b"")


def test_a_restarted_log_is_empty_and_goes_on_from_its_new_floor() -> None:
    log = log_of(101, 102)
    log.restart(Place(500, 0))
    assert log.last == log.floor == Place(500, 0)
    assert log.read(Place(500, 0), 1000) is None
    log.append(Place(501, 0), b"x")
    assert log.before(1) == Place(500, 0)


@given(
    st.lists(st.integers(101, 200), unique=True).map(sorted),
    st.integers(1, 20),
    st.integers(100, 200),
    st.integers(1, 40),
)
def test_reading_on_in_batches_gives_each_kept_event_after_the_place_once(
    places: list[int], capacity: int, start: int, most_bytes: int
) -> None:
    log = log_of(*places, capacity=capacity)
    place = max(Place(start, 0), log.floor)
    expected = b"".join(b"<%d>" % ms for ms in places[-capacity:] if ms > place.ms)
    found = b""
    while batch := log.read(place, most_bytes):
        found += batch.body
        place = batch.place
    assert found == expected
