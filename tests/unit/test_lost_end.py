from barestream.delivery.lost_end import MOST_ENDS, LostEnd, LostEnds
from barestream.history.record import Known, Place


def place(ms: int) -> Place:
    return Place(ms, 0)


def lost(common: int, upto: int, own_id: str) -> LostEnd:
    known = Known(place(upto), ("topic",), False)
    return LostEnd(place(common), place(upto), {own_id: known})


def test_a_lost_event_is_known_after_the_next_failover_too() -> None:
    ends = LostEnds()
    ends.add(lost(10, 15, "first"))
    ends.add(lost(20, 25, "second"))
    assert ends.goes_on_from(place(12)) == place(10)
    assert ends.goes_on_from(place(25)) == place(20)
    assert [ends.goes_on_from(place(ms)) for ms in (10, 16, 20, 26)] == [None] * 4
    first, second = ends.find("first"), ends.find("second")
    assert first == Known(place(15), ("topic",), False)
    assert second == Known(place(25), ("topic",), False)
    assert ends.find("third") is None


def test_a_client_goes_on_before_all_that_a_later_failover_has_lost() -> None:
    ends = LostEnds()
    ends.add(lost(10, 15, "first"))
    ends.add(lost(5, 20, "second"))
    assert ends.goes_on_from(place(12)) == place(5)


def test_nothing_is_known_of_a_history_that_shares_nothing_and_the_ends_are_bounded() -> None:
    ends = LostEnds()
    for nth in range(MOST_ENDS + 1):
        ends.add(lost(10 * nth, 10 * nth + 5, f"{nth}"))
    assert ends.find("0") is None
    assert ends.find("1") is not None
    ends.forget()
    assert ends.find("1") is None
