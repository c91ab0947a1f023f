import pytest

from barestream.delivery.subscriber import Subscriber
from barestream.delivery.subscriber_state import MOVES, State, WrongMoveError
from barestream.delivery.subscription import EVERYTHING_PUBLIC
from barestream.history.record import BEGIN
from fake_writer import fake_stream


def subscriber(state: State) -> Subscriber:
    made = Subscriber(fake_stream()[0], EVERYTHING_PUBLIC, BEGIN)
    made.state = state
    return made


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_a_subscriber_makes_the_moves_of_the_table_and_no_other(
    before: State, after: State
) -> None:
    made = subscriber(before)
    if after in MOVES[before]:
        made.move(after)
        assert made.state is after
    else:
        with pytest.raises(WrongMoveError, match=f"from {before.name} to {after.name}"):
            made.move(after)
        assert made.state is before


def test_a_subscriber_may_leave_in_any_state_and_never_comes_back() -> None:
    assert MOVES[State.GONE] == set()
    assert all(State.GONE in moves for state, moves in MOVES.items() if state is not State.GONE)


def test_a_subscriber_that_is_held_for_a_gap_next_falls_behind_or_leaves() -> None:
    assert MOVES[State.HELD] == {State.BEHIND, State.GONE}
