import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.mercure.sse import (
    HEARTBEAT,
    Event,
    InvalidEventError,
    data_bytes,
    decode,
    encode,
    frame,
    retry,
)
from support.clients.event_parser import EventParser


def test_an_event_is_a_line_for_each_field_and_a_blank_line() -> None:
    event = Event("hello", id="7", type="greeting", retry_ms=1500)
    assert encode(event) == b"event: greeting\nretry: 1500\ndata: hello\nid: 7\n\n"


def test_the_id_comes_after_the_data_for_clients_that_keep_it_at_once() -> None:
    assert encode(Event("a\nb", id="7")) == b"data: a\ndata: b\nid: 7\n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_kind_of_line_end_in_data_makes_a_data_line(end: str) -> None:
    assert encode(Event(f"a{end}b")) == b"data: a\ndata: b\n\n"


def test_empty_data_is_still_dispatched() -> None:
    assert encode(Event("")) == b"data: \n\n"


def test_leading_space_of_data_survives_the_space_after_the_colon() -> None:
    assert encode(Event(" x")) == b"data:  x\n\n"


def test_separators_that_only_python_splits_lines_at_stay_in_their_line() -> None:
    assert encode(Event("a\u2028b\vc\x85d")) == "data: a\u2028b\vc\x85d\n\n".encode()


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_an_id_or_type_that_would_break_its_line_is_refused(text: str) -> None:
    for fields in ({"id": text}, {"type": text}):
        with pytest.raises(InvalidEventError, match="CR, LF or NUL"):
            Event("", **fields)


def test_a_nul_in_data_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="data contains NUL"):
        Event("a\0b")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="UTF-8"):
        Event("\ud800")


def test_a_retry_below_zero_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="below 0"):
        Event("", retry_ms=-1)


def test_a_frame_is_one_chunk_of_http() -> None:
    assert frame(b"x" * 26).chunk == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_a_heartbeat_is_a_bare_comment_line_without_a_blank_one() -> None:
    assert HEARTBEAT.body == b":\n"


def test_a_retry_dispatches_no_event() -> None:
    assert retry(1200).body == b"retry: 1200\n"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_is_restored_by_the_parsing_rules_of_the_specification(text: str) -> None:
    lines = encode(Event(text)).decode().split("\n")
    assert lines[-2:] == ["", ""]
    data = "\n".join(line.removeprefix("data: ") for line in lines[:-2])
    assert data == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_data_counts_with_its_size_on_the_wire(text: str) -> None:
    assert data_bytes(text) == len(encode(Event(text))) - len(encode(Event("")))


_LINES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
_EVENTS = st.builds(
    Event,
    st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])),
    st.none() | _LINES.filter(bool),
    st.none() | _LINES,
    st.none() | st.integers(0, 10**12),
)


@given(st.lists(_EVENTS))
def test_events_are_restored_from_their_bytes(events: list[Event]) -> None:
    assert decode(b"".join(map(encode, events))) == events


@given(_EVENTS)
def test_the_restored_event_is_the_one_that_a_client_dispatches(event: Event) -> None:
    [parsed] = EventParser().feed(encode(event))
    [restored] = decode(encode(event))
    assert (restored.data, restored.id, restored.type or "message", restored.retry_ms) == (
        (parsed.data, parsed.own_id, parsed.type, parsed.retry_ms)
    )


def test_line_ends_are_restored_as_a_client_sees_them() -> None:
    [event] = decode(encode(Event("a\r\nb\rc\n\nd\n", id="1")))
    assert event == Event("a\nb\nc\n\nd\n", id="1")
