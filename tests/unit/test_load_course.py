import pytest

from barestream_load import course as module
from barestream_load.course import Course
from barestream_load.sequence import Sequence


def entered(*streams: str) -> tuple[Course, list[Sequence]]:
    """Enter streams: a letter is an event of a round; a space is a round without an event."""
    course, sequences = Course(), [Sequence() for _ in streams]
    for nth in range(max(map(len, streams))):
        for stream, sequence in zip(streams, sequences, strict=True):
            if stream[nth : nth + 1].strip():
                course.enter(stream[nth].encode(), sequence)
    return course, sequences


def counts(*streams: str) -> list[tuple[int, int, int]]:
    _, sequences = entered(*streams)
    return [(each.lost(), each.twice, each.disordered) for each in sequences]


@pytest.mark.parametrize(
    "streams",
    [("abc", "abc"), ("abc", " bc"), ("abc", "  c"), ("abcd", " a  bcd"), ("  abc", "abc")],
)
def test_streams_with_the_same_events_have_no_fault_wherever_they_begin_and_end(
    streams: tuple[str, ...],
) -> None:
    assert counts(*streams) == [(0, 0, 0)] * 2


@pytest.mark.parametrize("streams", [("abcd", "abd"), ("abcd", "ab d"), ("abcd", "ab  d")])
def test_an_event_that_only_another_stream_has_is_lost(streams: tuple[str, ...]) -> None:
    assert counts(*streams) == [(0, 0, 0), (1, 0, 0)]


def test_an_event_that_the_first_stream_lacks_is_lost_there_and_out_of_order_elsewhere() -> None:
    assert counts("abd    e", "    abcde") == [(1, 0, 0), (0, 0, 1)]


def test_repeated_events_and_events_out_of_order_are_counted_apart() -> None:
    assert counts("abcd", " abbcd") == [(0, 0, 0), (0, 1, 0)]
    assert counts("abcd", " acbd") == [(0, 0, 0), (0, 0, 1)]


def test_streams_stay_comparable_when_one_of_them_lost_an_event() -> None:
    assert entered("abcdef", "abcde")[0].is_common


@pytest.mark.parametrize("streams", [("abc", "def"), ("abc",), (" ",)])
def test_streams_without_ids_in_common_cannot_be_compared(streams: tuple[str, ...]) -> None:
    assert not entered(*streams)[0].is_common


def test_the_number_of_compared_ids_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IDS", 3)
    course, _ = entered("abcd", "abcd")
    assert not course.is_common
