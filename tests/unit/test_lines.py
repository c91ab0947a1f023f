"""A body's lines come out the same, however its bytes are cut."""

import collections
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.web.lines import Line, Lines
from barestream.web.refusals import Refused
from cuts import Cut, cuts

MOST_BYTES = 12

BODIES = st.lists(st.sampled_from([b"a", b"{}", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b" "])).map(
    b"".join
)


def lines_of(pieces: Iterable[bytes], *, cr_ends: bool) -> tuple[list[Line], str]:
    """Return the lines that were yielded, and the error after them."""
    lines, found = Lines(MOST_BYTES, cr_ends=cr_ends), []
    try:
        for piece in pieces:
            for line in lines.feed(piece):
                found.append(line)  # noqa: PERF402 (those before the error count)
        found += lines.end()
    except Refused as refused:
        return found, str(refused)
    return found, ""


@given(cuts(BODIES), st.booleans())
def test_any_cut_of_a_body_gives_the_same_lines_and_the_same_error(
    sent: Cut, cr_ends: bool
) -> None:
    body, pieces = sent
    assert lines_of(pieces, cr_ends=cr_ends) == lines_of([body], cr_ends=cr_ends)


def test_only_lf_ends_a_line_of_ndjson() -> None:
    found, error = lines_of([b"a\r\nb\x0bc\n\nd"], cr_ends=False)
    assert found == [Line(1, b"a\r"), Line(2, b"b\x0bc"), Line(3, b""), Line(4, b"d")]
    assert error == ""


def test_cr_and_lf_and_both_end_a_line_of_an_event_stream() -> None:
    found, _ = lines_of([b"a\rb\nc\r", b"\nd\n\re\xc2\x85f\x0b"], cr_ends=True)
    assert [line.text for line in found] == [b"a", b"b", b"c", b"d", b"", b"e\xc2\x85f\x0b"]


@pytest.mark.parametrize("cr_ends", [False, True])
def test_a_line_that_is_too_long_is_named_after_the_lines_before_it(cr_ends: bool) -> None:
    longest = b"x" * MOST_BYTES
    found, error = lines_of([b"a\n", longest, b"\n", longest, b"x"], cr_ends=cr_ends)
    assert [line.number for line in found] == [1, 2]
    assert error == "line 3: The line is longer than 12 bytes."


def test_of_an_endless_line_no_more_than_the_bound_is_held() -> None:
    lines, piece = Lines(1000, cr_ends=False), b"x" * 100
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            collections.deque((each for _ in range(100_000) for each in lines.feed(piece)), 0)
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
