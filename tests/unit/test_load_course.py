import pytest

from barestream_load import course as module
from barestream_load.course import Course
from barestream_load.sequence import Sequence


def entered(*streams: str) -> tuple[Course, list[Sequence]]:
    """Enter streams, whose letters are events and come in rounds; a space is a round without."""
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
def test_streams_that_carry_the_same_are_well_wherever_they_begin_and_end(
    streams: tuple[str, ...],
) -> None:
    assert counts(*streams) == [(0, 0, 0)] * 2


@pytest.mark.parametrize("streams", [("abcd", "abd"), ("abcd", "ab d"), ("abcd", "ab  d")])
def test_what_a_stream_lacks_that_another_has_is_lost_to_it(streams: tuple[str, ...]) -> None:
    assert counts(*streams) == [(0, 0, 0), (1, 0, 0)]


def test_what_the_first_stream_lacks_is_lost_to_it_and_out_of_order_to_the_others() -> None:
    assert counts("abd    e", "    abcde") == [(1, 0, 0), (0, 0, 1)]


def test_twice_and_out_of_order_are_told_apart() -> None:
    assert counts("abcd", " abbcd") == [(0, 0, 0), (0, 1, 0)]
    assert counts("abcd", " acbd") == [(0, 0, 0), (0, 0, 1)]


def test_streams_that_carry_the_same_are_common_also_where_one_lost_something() -> None:
    assert entered("abcdef", "abcde")[0].is_common


@pytest.mark.parametrize("streams", [("abc", "def"), ("abc",), (" ",)])
def test_streams_without_ids_in_common_cannot_be_compared(streams: tuple[str, ...]) -> None:
    assert not entered(*streams)[0].is_common


def test_what_is_held_against_each_other_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IDS", 3)
    course, _ = entered("abcd", "abcd")
    assert not course.is_common
