import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.history import sorted_list
from barestream.history.sorted_list import SortedList

NUMBERS = st.integers(0, 60)
# A number that is added if it is new, or removed; or that is added at the end.
COURSES = st.lists(st.tuples(st.sampled_from(["add", "discard", "append"]), NUMBERS), max_size=150)


@pytest.mark.parametrize("most_in_chunk", [4, 512])
@given(course=COURSES, sought=NUMBERS)
def test_it_is_what_a_sorted_list_would_be(
    most_in_chunk: int, course: list[tuple[str, int]], sought: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_list, "MOST_IN_CHUNK", most_in_chunk)
        elements: SortedList[tuple[int]] = SortedList()
        expected: list[tuple[int]] = []
        for what, number in course:
            element = (number,)
            if what == "discard":
                assert elements.discard(element) == (element in expected)
                expected = [each for each in expected if each != element]
            else:
                if what == "append" and expected:
                    element = (expected[-1][0] + 1,)
                if element not in expected:
                    elements.add(element)
                    expected = sorted([*expected, element])
            assert len(elements) == len(expected)
        assert list(elements) == expected
        assert list(reversed(elements)) == expected[::-1]
        assert list(elements.after((sought,))) == [each for each in expected if each > (sought,)]
        if expected:
            assert (elements.first, elements.last) == (expected[0], expected[-1])


def test_its_chunks_stay_few_when_most_elements_leave() -> None:
    elements: SortedList[tuple[int]] = SortedList()
    for number in range(100_000):
        elements.add((number,))
    for number in range(100_000):
        if number % 100:
            elements.discard((number,))
    assert list(elements) == [(number,) for number in range(0, 100_000, 100)]
    assert len(elements._chunks) <= 4 * 1000 / sorted_list.MOST_IN_CHUNK + 1
