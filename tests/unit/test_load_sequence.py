from barestream_load.sequence import Sequence


def sequence_of(*numbers: int, due: int | None = None) -> Sequence:
    sequence = Sequence(due)
    for number in numbers:
        sequence.take(number)
    return sequence


def counts(sequence: Sequence, upto: int = 0) -> tuple[int, int, int]:
    return sequence.lost(upto), sequence.twice, sequence.disordered


def test_events_that_arrive_once_and_in_order_have_no_fault() -> None:
    assert counts(sequence_of(0, 1, 2, due=0), upto=3) == (0, 0, 0)


def test_a_late_stream_is_owed_nothing_before_its_first_event() -> None:
    assert counts(sequence_of(7, 8)) == (0, 0, 0)


def test_a_stream_open_before_the_first_event_is_owed_every_event() -> None:
    assert counts(sequence_of(2, due=0)) == (2, 0, 0)


def test_an_event_missing_between_two_others_is_lost() -> None:
    assert counts(sequence_of(0, 3, 4, 6)) == (3, 0, 0)


def test_an_event_missing_at_the_end_is_lost_if_the_stream_is_owed_it() -> None:
    assert counts(sequence_of(0, 1), upto=5) == (3, 0, 0)
    assert counts(sequence_of(due=0), upto=5) == (5, 0, 0)
    assert counts(sequence_of(), upto=5) == (0, 0, 0)


def test_a_repeated_event_counts_as_twice() -> None:
    assert counts(sequence_of(0, 1, 1, 0)) == (0, 2, 0)


def test_a_late_event_is_out_of_order_and_not_lost() -> None:
    assert counts(sequence_of(0, 4, 2, 1, 3)) == (0, 0, 3)


def test_an_event_that_is_late_and_repeated_counts_as_both() -> None:
    assert counts(sequence_of(0, 2, 1, 1)) == (0, 1, 1)


def test_an_event_that_was_never_made_is_not_lost() -> None:
    sequence = sequence_of(0, 3)
    assert sequence.lost(5, never_made=[2, 4]) == 1
    assert sequence.lost(5, never_made=[0, 3]) == 3
