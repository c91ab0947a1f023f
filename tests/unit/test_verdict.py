from collections.abc import Sequence

from support.judges.ledger import Ledger, Post
from support.judges.verdict import Account, Verdict, judge


def posts(count: int, *, topics: tuple[int, ...] = (0,), accepted: bool = True) -> list[Post]:
    ledger = Ledger()
    for _ in range(count):
        ledger.new(topics, publisher=0, own_id=False).accepted = accepted
    return ledger.posts


def verdict(
    posted: Sequence[Post], log: Sequence[int], *seen: Sequence[int], marks: Sequence[int] = (0,)
) -> Verdict:
    accounts = [Account("client", frozenset({0}), numbers, marks) for numbers in seen]
    return judge(posted, Account("log", frozenset(range(10)), log), accounts)


def counts(judged: Verdict) -> tuple[int, int, int]:
    return judged.lost.total(), judged.twice.total(), judged.disordered.total()


def test_events_that_arrive_once_and_in_order_have_no_fault() -> None:
    judged = verdict(posts(3), [0, 1, 2], [0, 1, 2], [0, 1, 2])
    assert counts(judged) == (0, 0, 0)
    assert judged.accounts == []


def test_an_accepted_event_that_one_client_did_not_get_is_lost() -> None:
    judged = verdict(posts(3), [0, 1, 2], [0, 1, 2], [0, 2])
    assert counts(judged) == (1, 0, 0)


def test_an_accepted_event_missing_from_the_history_is_lost_for_every_client_without_it() -> None:
    assert counts(verdict(posts(2), [0], [0], [0, 1])) == (2, 0, 0)


def test_an_event_repeated_on_another_connection_counts_as_twice() -> None:
    assert counts(verdict(posts(3), [0, 1, 2], [0, 1, 2, 1])) == (0, 1, 0)


def test_an_event_that_arrives_after_its_successor_is_out_of_order() -> None:
    assert counts(verdict(posts(3), [0, 1, 2], [0, 2, 1])) == (0, 0, 1)


def test_the_history_decides_the_order_of_events_of_different_publishers() -> None:
    posted = posts(2)
    posted[1].publisher = 1
    assert counts(verdict(posted, [1, 0], [1, 0])) == (0, 0, 0)


def test_the_events_of_one_publisher_are_in_the_history_in_the_order_of_their_posts() -> None:
    assert counts(verdict(posts(3), [0, 2, 1], [0, 2, 1])) == (0, 0, 1)


def test_an_unacknowledged_event_may_be_missing_everywhere() -> None:
    judged = verdict(posts(2, accepted=False), [0], [0])
    assert counts(judged) == (0, 0, 0)
    assert judged.unacknowledged == 1


def test_an_unacknowledged_event_that_one_client_has_is_owed_to_every_client() -> None:
    assert counts(verdict(posts(1, accepted=False), [0], [])) == (1, 0, 0)
    assert counts(verdict(posts(1, accepted=False), [], [0])) == (1, 0, 0)


def test_a_client_is_not_owed_events_of_other_topics() -> None:
    assert counts(verdict(posts(2, topics=(1, 2)), [0, 1], [])) == (0, 0, 0)


def test_a_failure_belongs_to_the_phase_in_which_it_happened() -> None:
    posted = posts(4)
    posted[3].phase = 1
    judged = verdict(posted, [0, 1, 2, 3], [0, 2, 2, 1], marks=(0, 3))
    assert judged.twice == {0: 1}
    assert judged.disordered == {1: 1}
    assert judged.lost == {1: 1}
