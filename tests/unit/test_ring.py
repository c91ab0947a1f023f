import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.history.record import Place, Record
from barestream.history.ring import Ring

FLOOR = Place(100, 0)


def record(
    ms: int, body: bytes | None = None, own_id: str | None = None, repeats: bool = False
) -> Record:
    body = b"<%d>" % ms if body is None else body
    return Record(Place(ms, 0), body, ("a",), own_id=own_id, repeats=repeats)


def log_of(*places: int, capacity: int = 10, capacity_bytes: int | None = None) -> Ring:
    log = Ring(capacity, FLOOR, capacity_bytes)
    for ms in places:
        log.append(record(ms))
    return log


def after(log: Ring, place: Place) -> bytes:
    return b"".join(found.body for found in log.after(place))


def test_a_place_has_the_form_of_a_valkey_id_on_the_wire() -> None:
    assert str(Place(1795363200000, 7)) == "#1795363200000-7"
    assert Place.parse("#1795363200000-7") == Place(1795363200000, 7)


@pytest.mark.parametrize(
    "text", ["", "1-0", "#1", "#1-", "#-1-0", "#1-0 ", "#\u0661-\u0660", "#" + "9" * 99]
)
def test_text_that_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        Place.parse(text)


def test_places_order_by_milliseconds_then_sequence() -> None:
    assert Place(1, 9) < Place(2, 0) < Place(2, 1)


def test_an_empty_ring_has_its_floor_as_its_last_place_and_holds_no_record() -> None:
    log = log_of()
    assert log.last == FLOOR
    assert log.before(1) == FLOOR
    assert after(log, FLOOR) == b""


def test_a_read_returns_the_records_after_the_place_in_order() -> None:
    assert after(log_of(101, 102, 103), Place(101, 0)) == b"<102><103>"


def test_a_read_may_start_between_two_records() -> None:
    assert after(log_of(110, 120), Place(115, 3)) == b"<120>"


def test_a_read_after_the_last_record_returns_nothing() -> None:
    assert after(log_of(101), Place(999, 0)) == b""


def test_beyond_the_capacity_the_oldest_record_is_dropped_and_the_floor_rises() -> None:
    log = log_of(101, 102, 103, 104, capacity=2)
    assert log.floor == Place(102, 0)
    assert after(log, log.floor) == b"<103><104>"


def test_beyond_the_byte_limit_the_oldest_records_are_dropped_but_never_the_newest() -> None:
    log = log_of(101, 102, 103, capacity_bytes=10)
    assert log.floor == Place(101, 0)
    assert after(log, log.floor) == b"<102><103>"
    log.append(record(104, b"x" * 50))
    assert log.floor == Place(103, 0)
    assert len(log) == 1


def test_a_record_is_found_by_its_publishers_id_for_as_long_as_it_is_kept() -> None:
    log = log_of(capacity=2)
    log.append(record(101, own_id="a"))
    log.append(record(102, own_id="b"))
    found = log.find("a")
    assert found is not None
    assert found.place == Place(101, 0)
    # "a" is dropped, and then added again under the same id.
    log.append(record(103))
    assert log.find("a") is None
    log.append(record(104, own_id="a"))
    found = log.find("a")
    assert found is not None
    assert found.place == Place(104, 0)
    assert log.find("never") is None


def test_of_several_records_with_one_id_the_earliest_one_is_found() -> None:
    log = log_of(capacity=3)
    first = record(101, own_id="a")
    log.append(first)
    # A history that has dropped the first one does not count it.
    for later in (record(102, own_id="a", repeats=True), record(103, own_id="a")):
        log.append(later)
        assert log.find("a") is first


def test_an_id_is_not_found_if_the_history_may_have_an_earlier_record_with_it() -> None:
    log = log_of(capacity=2)
    log.append(record(101, own_id="a"))
    log.append(record(102, own_id="a", repeats=True))
    # This drops the first one.
    log.append(record(103, own_id="a", repeats=True))
    assert log.find("a") is None
    log.append(record(104, own_id="b", repeats=True))
    assert log.find("b") is None


def test_a_drop_removes_the_records_up_to_a_place() -> None:
    log = log_of(101, 102, 103)
    log.drop(Place(102, 0))
    assert log.floor == Place(102, 0)
    assert after(log, log.floor) == b"<103>"
    log.drop(Place(101, 0))
    assert log.floor == Place(102, 0)


def test_a_record_that_is_not_after_the_last_one_is_refused() -> None:
    log = log_of(102)
    for ms in (101, 102):
        with pytest.raises(ValueError, match="not after"):
            log.append(record(ms))


def test_a_restarted_ring_is_empty_and_goes_on_from_its_new_floor() -> None:
    log = log_of(101, 102)
    log.restart(Place(500, 0))
    assert log.last == log.floor == Place(500, 0)
    assert after(log, Place(500, 0)) == b""
    log.append(record(501))
    assert log.before(1) == Place(500, 0)


@given(
    st.lists(st.integers(101, 200), unique=True).map(sorted),
    st.integers(1, 20),
    st.integers(100, 200),
)
def test_a_read_returns_each_kept_record_after_the_place_once(
    places: list[int], capacity: int, start: int
) -> None:
    log = log_of(*places, capacity=capacity)
    place = max(Place(start, 0), log.floor)
    expected = b"".join(b"<%d>" % ms for ms in places[-capacity:] if ms > place.ms)
    assert after(log, place) == expected
