"""An event stream is read as a browser reads it, however its bytes are cut."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.web.event_blocks import Block, EventBlocks
from barestream.web.refusals import Refused
from cuts import Cut, cuts
from support.clients.event_parser import EventParser

MOST_BYTES = 100

STREAMS = st.lists(
    st.sampled_from(
        [
            *(b"data: a", b"data", b"data:b:c", b"data:  two", b":a comment", b"event: kind"),
            *(b"id: 7", b"id:", b"id: a\0b", b"retry: abc", b"retry: 5", b"odd", b"\xff\xfe"),
            *(b"\n", b"\n", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"x" * 30),
        ]
    )
).map(b"".join)


def blocks_of(pieces: Iterable[bytes]) -> tuple[list[Block], str]:
    """Return the events that were yielded, and the error after them."""
    blocks, found = EventBlocks(MOST_BYTES), []
    try:
        for piece in pieces:
            for block in blocks.feed(piece):
                found.append(block)  # noqa: PERF402 (those before the error count)
    except Refused as refused:
        return found, str(refused)
    return found, ""


def only(stream: bytes) -> Block:
    [block], error = blocks_of([stream])
    assert error == ""
    return block


@given(cuts(STREAMS))
def test_any_cut_of_a_stream_gives_the_same_events_and_the_same_error(
    sent: Cut,
) -> None:
    stream, pieces = sent
    assert blocks_of(pieces) == blocks_of([stream])


@given(STREAMS)
def test_the_events_are_those_that_a_client_dispatches(stream: bytes) -> None:
    # The client waits after a CR for an LF.
    stream += b"\n"
    blocks, error = blocks_of([stream])
    told = [(event.type, event.data) for event in EventParser().feed(stream)]
    mine = [(block.type or "message", block.data) for block in blocks]
    assert mine == (told[: len(mine)] if error else told)


def test_an_event_has_its_data_its_type_and_its_own_id() -> None:
    stream = b": hello\n\nevent: delta\nid: 3\ndata: one\ndata:two\n\ndata: next\n\n"
    assert blocks_of([stream])[0] == [
        Block(1, 3, "one\ntwo", "3", "delta"),
        Block(2, 8, "next", None, None),
    ]


@pytest.mark.parametrize(
    "field", [b"retry: abc", b"retry", b"ID: 4", b"id: a\0b", b"unknown: 1", b":x", b" data: y"]
)
def test_a_field_that_the_standard_ignores_changes_nothing(field: bytes) -> None:
    block = only(b"data: a\n" + field + b"\n\n")
    assert block == Block(1, 1, "a", None, None)


def test_an_event_without_data_is_none_and_its_type_is_forgotten() -> None:
    assert blocks_of([b"event: a\nid: 1\n\nid: 2\n\ndata:\n\n"])[0] == [Block(1, 6, "", None, None)]


def test_what_follows_the_last_blank_line_is_dropped() -> None:
    assert blocks_of([b"data: a\n\ndata: b\n"]) == ([Block(1, 1, "a", None, None)], "")


def test_bytes_that_are_not_utf_8_are_replaced_and_a_mark_of_the_byte_order_is_no_text() -> None:
    assert only(b"\xef\xbb\xbfdata: a\xffb\xe2\x82\n\n").data == "a\ufffdb\ufffd"


def test_data_that_are_too_large_together_are_refused_with_the_events_place() -> None:
    found, error = blocks_of([b"data: a\n\n:\nevent: e\n" + b"data: 0123456789\n" * 10])
    assert [block.data for block in found] == ["a"]
    assert error == "event 2, line 3: The data of the event is larger than 100 bytes."


def test_data_of_a_great_many_empty_lines_are_bounded_too() -> None:
    found, error = blocks_of([b"data\n" * 102])
    assert (found, error[:8]) == ([], "event 1,")
