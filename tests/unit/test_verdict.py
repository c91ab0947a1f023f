from collections.abc import Sequence

import pytest

from support.judges.ledger import Ledger, Post
from support.judges.verdict import Account, GapMark, Verdict, judge


def posts(count: int, *, topics: tuple[int, ...] = (0,), accepted: bool = True) -> list[Post]:
    ledger = Ledger()
    for _ in range(count):
        ledger.new(topics, publisher=0, own_id=False).accepted_at = 1.0 if accepted else None
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


def gapped(
    posted: Sequence[Post],
    log: Sequence[int],
    seen: Sequence[int],
    *gaps: GapMark,
    marks: Sequence[int] = (0,),
) -> Verdict:
    """Return the verdict on one client that was told of gaps."""
    account = Account("client", frozenset({0}), seen, marks, gaps)
    return judge(posted, Account("log", frozenset(range(10)), log), [account])


def gap(index: int, seconds_later: float = 1, *, after: Post | None = None) -> GapMark:
    """Return a gap that was told some time after an event was made."""
    return GapMark(index, seconds_later + (after.made_at if after else 0))


def test_an_event_that_comes_again_counts_apart_if_a_gap_was_told_between() -> None:
    again = [0, 1, 1]
    for index, counted in ((0, (1, 0)), (1, (1, 0)), (2, (0, 1)), (3, (1, 0))):
        judged = gapped(posts(2), [0, 1], again, gap(index))
        assert (judged.twice.total(), judged.twice_after_gap.total()) == counted, index


def test_the_place_of_an_event_that_came_before_a_gap_and_again_after_it_does_not_count() -> None:
    posted = posts(3)
    posted[1].publisher = 1
    # The earlier log had 2 before 1; the later one got it once more, after 1.
    judged = gapped(posted, [0, 1, 2], [0, 2, 1, 2], gap(2))
    assert judged.twice_after_gap.total() == 1
    assert judged.disordered.total() == 0
    # Without the gap it does.
    assert gapped(posted, [0, 1, 2], [0, 2, 1, 2]).disordered.total() == 1


def test_an_accepted_event_that_the_log_has_not_is_gone_once_whoever_has_seen_it() -> None:
    assert verdict(posts(2), [0], [0], [0, 1]).gone.total() == 1
    assert verdict(posts(2, accepted=False), [0], [0, 1]).gone.total() == 0


@pytest.mark.parametrize("accepted", [True, False])
def test_a_client_that_was_sent_an_event_which_is_gone_must_be_told_of_a_gap_after_it(
    accepted: bool,
) -> None:
    posted = posts(2, accepted=accepted)
    assert gapped(posted, [0], [0, 1], gap(2)).unreported.total() == 0
    assert gapped(posted, [0], [0, 1], gap(1)).unreported.total() == 1
    assert gapped(posted, [0], [0, 1]).unreported.total() == 1


def test_a_client_that_was_not_sent_an_event_which_is_gone_must_be_told_of_a_gap_since_then() -> (
    None
):
    posted = posts(3)
    assert gapped(posted, [0, 2], [0, 2], gap(2, after=posted[1])).unreported.total() == 0
    earlier = gap(1, -1, after=posted[1])
    assert gapped(posted, [0, 2], [0, 2], earlier).unreported.total() == 1
    assert gapped(posted, [0, 2], [0, 2]).unreported.total() == 1


def test_the_gap_of_a_later_phase_stands_for_another_loss() -> None:
    posted = posts(4)
    for marks, unreported in (((0, 2), 0), ((0, 1, 2), 1)):
        late = gap(2, after=posted[1])
        judged = gapped(posted, [0, 2, 3], [0, 2, 3], late, marks=marks)
        assert judged.unreported == ({0: 1} if unreported else {})


def test_an_event_of_the_log_that_did_not_come_is_unreported_whatever_gap_was_told() -> None:
    posted = posts(3)
    assert gapped(posted, [0, 1, 2], [0, 2], gap(1, after=posted[1])).unreported.total() == 1


def test_nobody_is_owed_a_gap_for_an_event_of_other_topics_or_one_that_nobody_has_seen() -> None:
    assert gapped(posts(1, topics=(1,)), [], []).unreported.total() == 0
    assert gapped(posts(1, accepted=False), [], []).unreported.total() == 0
