import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.delivery.cursor import Cursor, Label, Named
from barestream.history.record import BEGIN, Place

MOST_SEQ = 2**64 - 1

PLACES = st.builds(Place, st.integers(0, 10**15 - 1), st.integers(0, MOST_SEQ))
CURSORS = st.builds(Cursor, PLACES, st.booleans())
# What a topic and a publisher's id may hold, and more: no lone surrogate is among them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
# No update has an empty id of its publisher.
OWN_IDS = st.none() | TEXTS.filter(bool)
MATCHES = st.lists(st.integers(0, 999_999), min_size=1, max_size=5).map(tuple)


@given(CURSORS)
def test_a_cursor_is_read_from_what_it_says(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


def test_a_cursor_says_whether_it_is_in_a_rewind() -> None:
    assert str(Cursor(Place(7, 1))) == "#7-1"
    assert str(Cursor(Place(7, 1), in_rewind=True)) == "#7-1~"
    assert Cursor.parse("#7-1~") == (Place(7, 1), True)
    assert Cursor.parse("#0-0~") == (BEGIN, True)


@given(CURSORS, PLACES, TEXTS, OWN_IDS)
def test_an_id_with_a_topic_says_all_its_parts_in_one_line_of_ascii(
    cursor: Cursor, place: Place, topic: str, own_id: str | None
) -> None:
    event_id = cursor.naming(place, Label(topic), own_id)
    assert Named.parse(event_id) == (cursor, place, Label(topic), own_id)
    assert Cursor.parse(event_id) == cursor
    assert event_id.isascii()
    assert event_id.isprintable()
    assert " " not in event_id
    assert event_id.count(";") == (1 if own_id is None else 2)


@given(CURSORS, PLACES, st.builds(Label, TEXTS, MATCHES, st.booleans()), OWN_IDS)
def test_an_id_with_matches_says_all_its_parts_too(
    cursor: Cursor, place: Place, label: Label, own_id: str | None
) -> None:
    event_id = cursor.naming(place, label, own_id)
    assert Named.parse(event_id) == (cursor, place, label, own_id)
    assert Cursor.parse(event_id) == cursor
    assert event_id.isascii()
    assert event_id.isprintable()
    assert event_id.count(";") == (4 if label.is_end else 3)


def test_the_part_of_the_id_of_a_publisher_stays_empty_before_matches() -> None:
    cursor, place = Cursor(Place(7, 1)), Place(7, 1)
    assert cursor.naming(place, Label("a", (0, 12)), None) == "#7-1;a;;0.12"
    assert cursor.naming(place, Label("a", (3,), is_end=True), None) == "#7-1;a;;3;end"
    assert cursor.naming(place, Label("a", (3,), is_end=True), "own;") == "#7-1;a;own%3B;3;end"
    assert cursor.naming(Place(5, 0), Label("a", (3,)), None) == "#7-1=5-0;a;;3"


@pytest.mark.parametrize(
    ("cursor", "place", "expected"),
    [
        (Cursor(Place(7, 1)), Place(7, 1), "#7-1;a%2Fb%3B%20%C3%A9"),
        (Cursor(Place(7, 1)), Place(5, 0), "#7-1=5-0;a%2Fb%3B%20%C3%A9"),
        (Cursor(Place(7, 1), in_rewind=True), Place(5, 0), "#7-1~5-0;a%2Fb%3B%20%C3%A9"),
        (Cursor(Place(7, 1), in_rewind=True), Place(7, 1), "#7-1~7-1;a%2Fb%3B%20%C3%A9"),
        (Cursor(BEGIN, in_rewind=True), Place(5, 0), "#0-0~5-0;a%2Fb%3B%20%C3%A9"),
    ],
)
def test_the_own_place_of_an_event_stands_beside_a_cursor_that_differs(
    cursor: Cursor, place: Place, expected: str
) -> None:
    assert cursor.naming(place, Label("a/b; é"), None) == expected
    assert cursor.naming(place, Label("a/b; é"), "own;1") == f"{expected};own%3B1"


def test_an_id_without_a_topic_has_the_place_of_its_cursor() -> None:
    assert Named.parse("#7-1") == (Cursor(Place(7, 1)), Place(7, 1), None, None)
    assert Named.parse("#7-1~") == (Cursor(Place(7, 1), True), Place(7, 1), None, None)


@pytest.mark.parametrize(
    "hostile",
    [
        *("", "#", "#-", "7-1", "#7", "#7-", "#-1", "#7-1-1", "#7--1", "#+7-1", "#7-1 ", " #7-1"),
        *(
            "#7-1\n",
            "#7-1~\n",
            "#7-1;\n",
            "\n#7-1",
            "#7-1~~",
            "#7-1~=",
            "#7-1==",
            "#7-1=",
            "#7-1x",
            "##7-1",
        ),
        *("#7-1~5", "#7-1~5-", "#7-1~-5", "#7-1~#5-0", "#7-1~5-0~", "#7-1=5-0=6-0", "#7-1;a;b;c"),
        # An id is repeated in a header of the answer.
        *(
            "#7-1~;a\nb;c",
            "#7-1;\r\nset-cookie: a=b",
            "#7-1;a;b\r\n",
            "#7-1;é",
            "#7-1;a b",
            "#7-1;a/b",
            "#7-1;a;b;0\n",
            "#7-1;a;b;0\r\nset-cookie: a=b",
            "#7-1;a;b;0;end\n",
        ),
        # Matches that are no numbers, and what follows them.
        *("#7-1;a;;", "#7-1;a;;.", "#7-1;a;;0.", "#7-1;a;;.0", "#7-1;a;;0..1", "#7-1;a;;-1"),
        *("#7-1;a;;0;", "#7-1;a;;0;END", "#7-1;a;;0;end;", "#7-1;a;;end", "#7-1;a;end;0;1"),
        *("#7-1;a;;\u0667", "#7-1;a;;1234567", "#7-1;;;0,1"),
        # Digits of other scripts, and numbers that no history gives.
        *(
            "#\u0667-\u0661",
            "#\uff17-1",
            "#²-1",
            f"#{'1' * 16}-1",
            f"#7-{'1' * 21}",
            "#7-1~\u0667-\u0661",
            "#1e3-0",
            "#0x7-1",
        ),
        *("earliest", "urn:uuid:1", "#7-1\0", "#7-1~\r", "#7-1\u2028", "#" * 300),
    ],
)
def test_no_other_text_is_an_id_of_the_hub(hostile: str) -> None:
    for kind in (Cursor, Named):
        with pytest.raises(ValueError, match="not an id of the hub"):
            kind.parse(hostile)


@given(st.text(st.sampled_from("#0123456789-~=;%a.end\n"), max_size=30))
def test_whatever_a_client_sends_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except ValueError:
        return
    assert Cursor.parse(str(cursor)) == cursor
    assert Named.parse(text).cursor == cursor


@given(PLACES)
def test_nothing_lies_between_a_place_and_the_one_just_before(place: Place) -> None:
    before = place.just_before
    if place == BEGIN:
        assert before == BEGIN
    elif place.seq:
        assert before == (place.ms, place.seq - 1)
    else:
        assert before == (place.ms - 1, MOST_SEQ)
    assert Cursor.parse(str(Cursor(before))).place == before
