import pytest

from barestream.delivery.ends import Ends
from barestream.delivery.subscription import Subscription
from barestream.history.record import Known, Place, Record
from barestream.history.topic_state import End
from barestream.mercure.selectors import Selectors
from fake_writer import FakeClock

LATER = Place(9_000, 0)


def at(ms: int) -> Place:
    return Place(ms, 0)


def end_of(*topics: str, ms: int = 1_000, private: bool = False, lasts_ms: int = 60_000) -> Record:
    return Record(at(ms), b"", topics, private, end_ms=lasts_ms)


def known(*topics: str, ms: int = 1_000, until_ms: int = 61_000) -> End:
    return End(Known(at(ms), topics, private=False), until_ms)


def asking(*topics: str, readable: tuple[str, ...] = ()) -> Subscription:
    return Subscription(Selectors(topics), Selectors(readable))


def ends_of(*records: Record, clock: FakeClock | None = None) -> Ends:
    ends = Ends(clock or FakeClock(2.0))
    for record in records:
        ends.note(record)
    return ends


def test_nothing_is_over_without_an_end() -> None:
    ends = ends_of(Record(at(1_000), b"", ("a",)))
    assert not ends
    assert not ends.are_over(asking("a"), LATER)


def test_a_subscription_is_over_from_the_place_of_the_last_end_of_its_topics() -> None:
    ends = ends_of(end_of("a"), end_of("b", ms=2_000))
    for topics, from_ms in ((("a",), 1_000), (("b",), 2_000), (("a", "b"), 2_000)):
        assert not ends.are_over(asking(*topics), Place(from_ms - 1, 5))
        assert ends.are_over(asking(*topics), at(from_ms))
        assert ends.are_over(asking(*topics), LATER)


@pytest.mark.parametrize("other", ["c", "*", "{any}", "a/{id}"])
def test_a_subscription_with_a_topic_that_has_not_ended_goes_on(other: str) -> None:
    ends = ends_of(end_of("a"))
    assert not ends.are_over(asking("a", other), LATER)
    assert not ends.are_over(asking(other), LATER)


def test_a_subscription_to_nothing_goes_on() -> None:
    assert not ends_of(end_of("a")).are_over(asking(), LATER)


def test_an_update_ends_its_first_topic_alone() -> None:
    ends = ends_of(end_of("a", "b"))
    assert ends.are_over(asking("a"), LATER)
    assert not ends.are_over(asking("b"), LATER)


def test_a_private_end_counts_for_those_who_may_read_it() -> None:
    ends = ends_of(end_of("a", "team", private=True))
    assert not ends.are_over(asking("a"), LATER)
    assert not ends.are_over(asking("a", readable=("b", "{x}/{y}")), LATER)
    for readable in ("a", "team", "*", "{any}"):
        assert ends.are_over(asking("a", readable=(readable,)), LATER)


def test_a_topic_is_not_over_once_it_is_forgotten() -> None:
    clock = FakeClock(2.0)
    ends = ends_of(end_of("a", lasts_ms=60_000), clock=clock)
    clock.seconds = 60.9
    assert ends.are_over(asking("a"), LATER)
    clock.seconds = 61.0
    assert not ends.are_over(asking("a"), LATER)


def test_an_update_after_the_end_begins_the_topic_anew_also_as_an_alternate() -> None:
    for topics in (("a",), ("x", "a")):
        ends = ends_of(end_of("a"), end_of("b"), Record(at(3_000), b"", topics))
        assert not ends.are_over(asking("a"), LATER)
        assert ends.are_over(asking("b"), LATER)
    again = ends_of(end_of("a"), Record(at(3_000), b"", ("a",)), end_of("a", ms=4_000))
    assert not again.are_over(asking("a"), at(3_000))
    assert again.are_over(asking("a"), at(4_000))


def test_an_update_before_the_end_does_not_begin_the_topic_anew() -> None:
    ends = Ends(FakeClock(2.0))
    ends.refresh({"a": known("a", ms=5_000)}, at(0))
    ends.note(Record(at(4_000), b"", ("a",)))
    assert not ends.are_over(asking("a"), at(4_000))
    assert ends.are_over(asking("a"), at(5_000))


def test_the_history_says_which_ends_there_are_but_for_later_ones() -> None:
    ends = ends_of(end_of("a"), end_of("b", ms=3_000))
    # The history was asked at 2,000: it has forgotten a, it knows c, and it may not know b.
    ends.refresh({"c": known("c")}, at(2_000))
    assert not ends.are_over(asking("a"), LATER)
    assert ends.are_over(asking("b"), LATER)
    assert ends.are_over(asking("c"), LATER)
    ends.refresh({}, LATER)
    assert not ends


def test_an_update_is_the_last_of_its_topic_until_the_topic_begins_anew() -> None:
    clock = FakeClock(2.0)
    end = end_of("a", "b")
    ends = ends_of(end, clock=clock)
    assert ends.is_of(end)
    assert not ends.is_of(Record(at(999), b"", ("a",)))
    assert not ends.is_of(end_of("b"))
    clock.seconds = 61.0
    assert not ends.is_of(end)
    clock.seconds = 2.0
    ends.note(Record(at(1_500), b"", ("x", "a")))
    assert not ends.is_of(end)
