"""The judge compares the events owed to each subscriber with those that it was sent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from support.judges.ledger import Post


class GapMark(NamedTuple):
    """Where a subscriber was told of a gap.

    Attributes:
        index: How many events were dispatched to it before.
        at: When it was told, of time.monotonic.
    """

    index: int
    at: float


class Account(NamedTuple):
    """The events that one subscriber was sent.

    Attributes:
        name: The subscriber's name in a failure.
        topics: The topics that it followed.
        numbers: The events, in the order in which they were dispatched to it.
        marks: At which of them each phase began.
        gaps: The gaps that it was told of.
    """

    name: str
    topics: frozenset[int]
    numbers: Sequence[int]
    marks: Sequence[int] = (0,)
    gaps: Sequence[GapMark] = ()

    def phase(self, index: int) -> int:
        """Return in which phase an event was dispatched to it."""
        return sum(mark <= index for mark in self.marks) - 1

    def has_gap_between(self, first: int, last: int) -> bool:
        """Return whether it was told of a gap after one of its events, and before another."""
        return any(first < gap.index <= last for gap in self.gaps)


@dataclass
class Verdict:
    """The failures, by phase; but for ``gone`` each counts once for each subscriber.

    Attributes:
        lost: Events that did not arrive, by the phase in which they were made.
        gone: Events that were accepted, and that the log has not, likewise.
        unreported: Events that were lost without a gap, likewise: the log has not what the
            subscriber was sent, or should have been sent, and it was told of no gap after that. Or
            the log has what did not arrive: no gap stands for that.
        twice: Events that came once more without a gap between, by the phase in which they did.
        twice_after_gap: Events that came once more with a gap between, likewise.
        disordered: Events that came after one that follows them in the log, likewise.
        unacknowledged: Events that were not answered with 200, and that somebody has seen.
        accounts: A sentence for each failure that no gap reported.
    """

    lost: Counter[int] = field(default_factory=Counter)
    gone: Counter[int] = field(default_factory=Counter)
    unreported: Counter[int] = field(default_factory=Counter)
    twice: Counter[int] = field(default_factory=Counter)
    twice_after_gap: Counter[int] = field(default_factory=Counter)
    disordered: Counter[int] = field(default_factory=Counter)
    unacknowledged: int = 0
    accounts: list[str] = field(default_factory=list)


def judge(posts: Sequence[Post], log: Account, accounts: Iterable[Account]) -> Verdict:
    """Return the verdict on subscribers that were owed everything from the log's begin on.

    An event counts once it was accepted, or anybody has seen it: from then on everybody is owed
    it, or a gap, whatever its publisher was answered.

    Args:
        posts: Every event, by its number.
        log: The whole log, as it was read from its begin when all was over; judged as well.
        accounts: The subscribers'.
    """
    verdict = Verdict()
    accounts = list(accounts)
    everybody = [log, *accounts]
    seen = {number for account in everybody for number in account.numbers}
    owed = [post for post in posts if post.accepted or post.number in seen]
    verdict.unacknowledged = sum(not post.accepted for post in owed)
    places = {number: place for place, number in reversed(list(enumerate(log.numbers)))}
    for account in everybody:
        _judge_order(verdict, account, places)
    _judge_log(verdict, log, owed, places)
    for account in accounts:
        _judge_losses(verdict, account, owed, places)
    _judge_publishers(verdict, posts, places)
    return verdict


def _judge_order(verdict: Verdict, account: Account, places: dict[int, int]) -> None:
    last = {number: index for index, number in enumerate(account.numbers)}
    found: dict[int, int] = {}
    furthest = -1
    for index, number in enumerate(account.numbers):
        phase = account.phase(index)
        place = places.get(number, furthest)
        if number in found:
            if account.has_gap_between(found[number], index):
                verdict.twice_after_gap[phase] += 1
            else:
                verdict.twice[phase] += 1
                verdict.accounts.append(f"{account.name}: {number} came again as its {index}th")
        elif place < furthest:
            verdict.disordered[phase] += 1
            verdict.accounts.append(f"{account.name}: {number} came late as its {index}th")
        found[number] = index
        # One that comes again after a gap may have had another place before, in a log that was
        # lost.
        if not account.has_gap_between(index, last[number]):
            furthest = max(furthest, place)


def _judge_log(
    verdict: Verdict, log: Account, owed: Sequence[Post], places: dict[int, int]
) -> None:
    for post in owed:
        if post.number not in places:
            verdict.lost[post.phase] += 1
            if post.accepted:
                verdict.gone[post.phase] += 1
                verdict.accounts.append(f"{log.name}: {post.number} was accepted, and is gone")


def _judge_losses(
    verdict: Verdict, account: Account, owed: Sequence[Post], places: dict[int, int]
) -> None:
    last = {number: index for index, number in enumerate(account.numbers)}
    for post in owed:
        if account.topics.isdisjoint(post.topics):
            continue
        index = last.get(post.number)
        if index is None:
            verdict.lost[post.phase] += 1
        if post.number in places:
            if index is None:
                verdict.unreported[post.phase] += 1
                verdict.accounts.append(f"{account.name}: {post.number} did not come")
        elif not _is_reported(account, post, index):
            verdict.unreported[post.phase] += 1
            what = "did not come" if index is None else f"came as its {index}th"
            verdict.accounts.append(f"{account.name}: {post.number} {what}, and is gone: no gap")


def _is_reported(account: Account, post: Post, index: int | None) -> bool:
    """Return whether a subscriber was told of the loss of an event.

    Args:
        account: The subscriber's.
        post: The event, which the log has not.
        index: Where it was dispatched to the subscriber; None if it was not.
    """
    if index is not None:
        return any(gap.index > index for gap in account.gaps)
    # A subscriber that was away hears of it in the phase after it at the latest. A gap of a later
    # one stands for another loss.
    phases = (post.phase, post.phase + 1)
    return any(
        gap.at >= post.made_at and account.phase(gap.index) in phases for gap in account.gaps
    )


def _judge_publishers(verdict: Verdict, posts: Sequence[Post], places: dict[int, int]) -> None:
    """See that what one publisher posted one after the other stands so in the log."""
    furthest: Counter[int] = Counter()
    for post in posts:
        place = places.get(post.number)
        if not post.accepted or place is None:
            continue
        if place < furthest[post.publisher]:
            verdict.disordered[post.phase] += 1
            verdict.accounts.append(f"log: {post.number} stands before its publisher's earlier one")
        furthest[post.publisher] = max(furthest[post.publisher], place)
