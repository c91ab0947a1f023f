"""The judge of numbers and of states finds what it is there for."""

from collections.abc import Sequence

from client_page import Record, State, Told
from number_publisher import NOTHING_WRONG, Verdict, judge


def record(
    events: list[tuple[float, bool]], states: list[tuple[str, float]], hides: Sequence[float] = ()
) -> Record:
    """Return a record of events, by time and whether replayed, and of states, by their begin."""
    told = [
        Told(0, number, f"#{number}-0", None, at, replay, None)
        for number, (at, replay) in enumerate(events)
    ]
    shown = [State(state, None, None, None, "stream", at) for state, at in states]
    return Record(told, shown, [], [], [], [], [], [*hides], [], [], 0)


def test_the_judge_finds_what_is_lost_twice_and_out_of_order() -> None:
    assert judge([3, 4, 5, 6], 4, 6) == NOTHING_WRONG
    assert judge([3, 5, 4, 5, 8], 5, 9) == Verdict(lost=[6, 7, 9], twice=[5], disordered=[4])
    assert judge([], 1, 2) == Verdict(lost=[1, 2], twice=[], disordered=[])


def test_a_state_is_untrue_where_nothing_comes_while_live_or_where_events_come_while_not() -> None:
    live = [("connecting", 0.0), ("live", 100.0)]
    assert record([(200, False), (5_000, False)], live).untrue_states() == []
    assert record([(200, False), (5_300, False)], live).untrue_states() != []
    put_away = [*live, ("catching up", 8_900.0), ("live", 9_000.0)]
    assert record([(200, False), (9_500, False)], put_away).untrue_states() != []
    assert record([(200, False), (9_500, False)], put_away, hides=[900]).untrue_states() == []
    waiting = [*live, ("waiting", 500.0), ("live", 9_000.0)]
    assert record([(200, False), (9_500, False)], waiting).untrue_states() == []
    events = [(200, False), (2_000, False), (6_000, False), (6_100, False)]
    assert record(events, waiting).untrue_states() != []
    offline = [*live, ("offline", 500.0)]
    assert record([(200, False), (700, False)], offline).untrue_states() != []
