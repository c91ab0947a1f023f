"""The judge compares the events owed to each subscriber with those that it was sent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from support.judges.ledger import Post


class Account(NamedTuple):
    """The events that one subscriber was sent.

    Attributes:
        name: The subscriber's name in a failure.
        topics: The topics that it followed.
        numbers: The events, in the order in which they were dispatched to it.
        marks: At which of them each phase began.
    """

    name: str
    topics: frozenset[int]
    numbers: Sequence[int]
    marks: Sequence[int] = (0,)

    def phase(self, index: int) -> int:
        """Return in which phase an event was dispatched to it."""
        return sum(mark <= index for mark in self.marks) - 1


@dataclass
class Verdict:
    """The failures, by phase; each counts once for each subscriber.

    Attributes:
        lost: Events that did not arrive, by the phase in which they were made.
        twice: Events that came once more, by the phase in which they did.
        disordered: Events that came after one that follows them in the log, likewise.
        unacknowledged: Events that were not answered with 200, and are in the log.
        accounts: A sentence for each failure.
    """

    lost: Counter[int] = field(default_factory=Counter)
    twice: Counter[int] = field(default_factory=Counter)
    disordered: Counter[int] = field(default_factory=Counter)
    unacknowledged: int = 0
    accounts: list[str] = field(default_factory=list)


def judge(posts: Sequence[Post], log: Account, accounts: Iterable[Account]) -> Verdict:
    """Return the verdict on subscribers that were owed everything from the log's begin on.

    An event counts once it was accepted, or anybody has seen it: from then on everybody is owed
    it, whatever its publisher was answered.

    Args:
        posts: Every event, by its number.
        log: The whole log, as it was read from its begin when all was over; judged as well.
        accounts: The subscribers'.
    """
    verdict = Verdict()
    everybody = [log, *accounts]
    seen = {number for account in everybody for number in account.numbers}
    owed = [post for post in posts if post.accepted or post.number in seen]
    verdict.unacknowledged = sum(not post.accepted for post in owed)
    places = {number: place for place, number in reversed(list(enumerate(log.numbers)))}
    for account in everybody:
        _judge_order(verdict, account, places)
        _judge_losses(verdict, account, owed)
    _judge_publishers(verdict, posts, places)
    return verdict


def _judge_order(verdict: Verdict, account: Account, places: dict[int, int]) -> None:
    found: set[int] = set()
    furthest = -1
    for index, number in enumerate(account.numbers):
        phase = account.phase(index)
        place = places.get(number, furthest)
        if number in found:
            verdict.twice[phase] += 1
            verdict.accounts.append(f"{account.name}: {number} came again as its {index}th")
        elif place < furthest:
            verdict.disordered[phase] += 1
            verdict.accounts.append(f"{account.name}: {number} came late as its {index}th")
        found.add(number)
        furthest = max(furthest, place)


def _judge_losses(verdict: Verdict, account: Account, owed: Sequence[Post]) -> None:
    found = set(account.numbers)
    for post in owed:
        if post.number not in found and not account.topics.isdisjoint(post.topics):
            verdict.lost[post.phase] += 1
            verdict.accounts.append(f"{account.name}: {post.number} did not come")


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
