import pytest

from barestream_doctor.timing import Course, Delivered, Pattern, course
from recorded_ways import (
    Way,
    busy,
    clumps,
    constant,
    drift,
    held_to_end,
    one_behind,
    prompt,
    sent_times,
)


def along(way: Way, stalls: list[tuple[float, float]] | None = None) -> Course:
    sent = sent_times()
    pairs = zip(sent, way(sent), strict=True)
    return course([Delivered(at, came, 150) for at, came in pairs], stalls or [])


@pytest.mark.parametrize(
    ("way", "pattern"),
    [
        (prompt, Pattern.PROMPT),
        (held_to_end, Pattern.HELD_TO_END),
        (one_behind, Pattern.ONE_BEHIND),
        (clumps, Pattern.CLUMPS),
        (drift, Pattern.DRIFT),
        (constant, Pattern.CONSTANT),
    ],
)
def test_each_structure_is_told_from_the_others(way: Way, pattern: Pattern) -> None:
    assert along(way).pattern is pattern


def test_a_busy_machine_has_late_events_and_no_structure() -> None:
    assert along(busy).pattern is Pattern.PROMPT


def test_no_event_is_a_structure_of_its_own() -> None:
    assert course([]).pattern is Pattern.NOTHING


def test_a_constant_delay_as_long_as_some_pauses_is_not_one_behind() -> None:
    assert along(lambda sent: [each + 0.5 for each in sent]).pattern is Pattern.CONSTANT


def test_events_of_even_pauses_that_come_one_pause_late_are_not_called_one_behind() -> None:
    events = [Delivered(number, number + 1.0, 100) for number in range(10)]
    assert course(events).pattern is Pattern.CONSTANT


def test_two_behind_says_so() -> None:
    def two_behind(sent: list[float]) -> list[float]:
        return [*(each + 0.001 for each in sent[2:]), sent[-1], sent[-1]]

    found = along(two_behind)  # type: ignore[arg-type]
    assert (found.pattern, found.behind) == (Pattern.ONE_BEHIND, 2)


def test_what_was_read_after_a_stall_of_this_process_may_have_come_before() -> None:
    sent = sent_times()

    def stalled(sent: list[float]) -> list[float]:
        return [sent[9] + 0.5 if number < 10 else each for number, each in enumerate(sent)]

    events = [Delivered(at, came, 9) for at, came in zip(sent, stalled(sent), strict=True)]
    assert course(events).pattern is not Pattern.PROMPT
    assert course(events, [(0.0, sent[9] + 0.5)]).pattern is Pattern.PROMPT


def test_what_is_late_as_plain_answers_are_is_no_fault() -> None:
    sent = sent_times()
    late = (0.2, 0.3, 0.25, 0.1, 0.4)
    events = [Delivered(at, at + late[number % 5], 9) for number, at in enumerate(sent)]
    assert course(events).pattern in {Pattern.LATE, Pattern.CONSTANT}
    assert course(events, noise_seconds=0.1).pattern is Pattern.PROMPT


def test_clumps_have_a_size_and_a_time_between_them() -> None:
    found = along(clumps)
    assert found.groups[:3] == (600, 600, 600)
    assert found.apart > 1
