"""Why somebody gets an update, or does not. Pure."""

from collections.abc import Generator, Sequence
from enum import Enum
from typing import NamedTuple

from barestream.delivery.whereabouts import Whereabouts
from barestream.history.record import Known
from barestream.mercure.bearer import Bearer
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import Budget


class Verdict(Enum):
    """What becomes of an update for somebody."""

    DELIVERED = "delivered"
    NOT_MATCHED = "not_matched"
    NOT_ALLOWED = "not_allowed"
    TRIMMED = "trimmed"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Basis(Enum):
    """Where it is known from what somebody subscribes to."""

    # The question names it.
    REQUEST = "request"
    # The registry has streams of whom the token names.
    SUBSCRIPTIONS = "subscriptions"
    # It is not known, so only the rights count.
    TOKEN = "token"  # noqa: S105 (a word)


class Presented(NamedTuple):
    """A token as the hub takes it.

    Attributes:
        bearer: What its bearer may do, also if it is revoked; None if it cannot be verified.
        cause: Why the hub refuses it, as a word for programs; None if it does not.
        detail: The same as a sentence; empty if it does not.
        expires_at: When it expires or has expired, in seconds of the wall clock, as far as that is
            known and ever.
    """

    bearer: Bearer | None
    cause: str | None = None
    detail: str = ""
    expires_at: float | None = None


class Match(NamedTuple):
    """A selector, and a topic that it matches."""

    selector: str
    topic: str


class Case(NamedTuple):
    """What a verdict goes by.

    Attributes:
        presented: The token of the one who asks for updates, or none of anybody.
        where: What the hub has of the update.
        basis: Where it is known from what is subscribed to.
        matched: The selectors that match the update; empty if the basis is the token.
        covered: The rights of the token that match it.
        is_in_lanes: Whether a replay of the stream has it, if the history does.
        is_over: Whether all topics of the stream have ended, so that a stream without a cursor
            from before their ends gets nothing.
    """

    presented: Presented
    where: Whereabouts
    basis: Basis
    matched: Sequence[Match] = ()
    covered: Sequence[Match] = ()
    is_in_lanes: bool = True
    is_over: bool = False


class Explanation(NamedTuple):
    """A verdict, and the sentences that say why."""

    verdict: Verdict
    why: str


def matches(
    selectors: Selectors, topics: Sequence[str], budget: Budget
) -> Generator[None, None, list[Match]]:
    """Find out, in the budget's slices, which selectors match one of an update's topics."""
    found = [Match(each, each) for each in topics if each in selectors.exact]
    if selectors.everything:
        found.insert(0, Match("*", topics[0]))
    for expression in selectors.expressions:
        for topic in topics:
            if expression.match(topic):
                found.append(Match(expression.selector, topic))
                break
            if budget.is_over():
                yield
    return found


def explain(case: Case) -> Explanation:
    """Return the verdict of a case: the first obstacle, or that there is none."""
    presented, where = case.presented, case.where
    if presented.cause is not None:
        return Explanation(Verdict.NOT_ALLOWED, _refused(presented, where.update))
    if where.update is None:
        return _missing(where)
    return _of_known(case, where.update)


def _of_known(case: Case, update: Known) -> Explanation:
    where = case.where
    if not case.matched and case.basis is not Basis.TOKEN:
        return Explanation(Verdict.NOT_MATCHED, _UNMATCHED[case.basis])
    if update.private and not case.covered:
        return Explanation(Verdict.NOT_ALLOWED, _not_covered(case.presented))
    if not where.is_in_history:
        return Explanation(
            Verdict.TRIMMED,
            "The update has left the history. It is still the kept value of the topic "
            f"{where.kept_for}, which a rewind sends.",
        )
    if not case.is_in_lanes:
        return Explanation(
            Verdict.TRIMMED,
            "The update has left the topics of the stream: newer updates of theirs have pushed it "
            "out (BARESTREAM_TOPIC_EVENTS). The history has it for its other topics.",
        )
    return Explanation(Verdict.DELIVERED, _delivered(case, update))


_UNMATCHED = {
    Basis.REQUEST: "The stream asks for none of the update's topics.",
    Basis.SUBSCRIPTIONS: (
        "None of the streams that the token's user has, or had a moment ago, asks for one of the "
        "update's topics."
    ),
}


def _refused(presented: Presented, update: Known | None) -> str:
    why = presented.detail
    expired_at = presented.expires_at
    if (
        presented.cause == "expired"
        and expired_at
        and update
        and update.place.ms < expired_at * 1000
    ):
        why += " The update was published before that: it could reach a stream that was open then."
    return why


def _not_covered(presented: Presented) -> str:
    has_token = presented.bearer is not None and presented.bearer.token is not None
    if not has_token:
        return "The update is private, and there is no token."
    return "The update is private, and the token lets its bearer read none of its topics."


def _missing(where: Whereabouts) -> Explanation:
    """Return the verdict of an update that the hub does not have."""
    place = where.place
    if where.left_alone:
        return Explanation(
            Verdict.TRIMMED,
            "What was at this place has left the history before older updates: newer ones of its "
            "topic have pushed it out (BARESTREAM_TOPIC_EVENTS), or the topic had ended and was "
            "forgotten.",
        )
    if where.has_left:
        return Explanation(
            Verdict.TRIMMED,
            "What was at this place has left the history, and so has all before it. These say how "
            "much stays: BARESTREAM_HISTORY_EVENTS, BARESTREAM_HISTORY_SECONDS and "
            "BARESTREAM_HISTORY_BYTES.",
        )
    for topic, end in where.ends.items():
        if place is None or place > end.known.place:
            return Explanation(
                Verdict.ENDED,
                f"The history has no such update, and the topic {topic} has ended with "
                f"{end.known.place}: later publishes to it were refused (409).",
            )
    if place is None:
        return Explanation(
            Verdict.UNKNOWN,
            "The history has no update with this id. It was never published here, or it has left "
            "the history, which knows the ids of publishers only as long as it has their updates.",
        )
    return Explanation(
        Verdict.UNKNOWN,
        "The history never gave an update this place: the id is of another hub, or of a history "
        "that was lost.",
    )


def _delivered(case: Case, update: Known) -> str:
    if not update.private:
        readable = "is public"
    else:
        readable = "is private, and the token lets its bearer read it"
    why = f"The history has the update. It {readable}. "
    if case.basis is Basis.TOKEN:
        why += "A stream that asks for one of its topics is sent it."
    else:
        why += "The stream asks for it, and is sent it: live, or from a cursor before it."
    if case.is_over:
        why += (
            " All topics of the stream have ended: one that comes without a cursor from before "
            "their ends, and without a rewind, gets 204 and nothing else."
        )
    return why
