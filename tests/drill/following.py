"""How long a service took to follow a failover, from the moment when the new primary was chosen."""

from bisect import bisect
from collections.abc import Iterable, Sequence

from drill.subscriber import Subscriber
from support.judges.ledger import Post


def writers_seconds(posts: Iterable[Post], phase: int, chosen_at: float) -> float:
    """Return the time until each publisher had an update accepted.

    Args:
        posts: In the order in which they were made.
        phase: That of the failover: publishers with an update in it before the choice are meant.
        chosen_at: When the primary was chosen, of time.monotonic.
    """
    waiting: set[int] = set()
    followed_at: dict[int, float] = {}
    for post in posts:
        if post.phase == phase and post.made_at <= chosen_at:
            waiting.add(post.publisher)
        if post.accepted_at is not None and post.accepted_at > chosen_at:
            first = followed_at.get(post.publisher, post.accepted_at)
            followed_at[post.publisher] = min(first, post.accepted_at)
    return max(followed_at[publisher] for publisher in waiting) - chosen_at


def readers_seconds(subscribers: Iterable[Subscriber], chosen_at: float) -> float | None:
    """Return the time until each client had an event whose stream was open at the choice.

    Clients that left before they had one are not counted, nor those that never had one: the
    report's time until all are live is about these. It is None if no client is left.
    """
    found = (_first_heard(each, chosen_at) for each in subscribers)
    last = max((heard_at for heard_at in found if heard_at is not None), default=None)
    return None if last is None else last - chosen_at


def _first_heard(subscriber: Subscriber, since: float) -> float | None:
    """Return when a stream that was open brought its next event; None if it did not."""
    at: Sequence[float] = subscriber.heard_at
    first = bisect(at, since)
    if first == len(at):
        return None
    stays = any(
        visit.began_at <= since and at[first] <= visit.ended_at for visit in subscriber.visits
    )
    return at[first] if stays else None
