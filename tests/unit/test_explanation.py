"""Why somebody gets an update, or does not: each verdict, and what comes before what."""

from typing import Any

import pytest

from barestream.delivery.explanation import (
    Basis,
    Case,
    Match,
    Presented,
    Verdict,
    explain,
    matches,
)
from barestream.delivery.whereabouts import Whereabouts, named_place
from barestream.history.record import Known, Place
from barestream.history.topic_state import End
from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.matchers import Matcher, selectors
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import UNBOUNDED, at_once
from barestream.mercure.token_id import TokenId
from barestream.mercure.topics import HubUrl

AT, FLOOR, OLDEST, LATER = Place(50_000, 0), Place(20_000, 1), Place(30_000, 0), Place(60_000, 0)
PUBLIC, PRIVATE = Known(AT, ("a", "b"), False), Known(AT, ("a", "b"), True)
HERE = Whereabouts(AT, PUBLIC, True, None, 1, FLOOR, OLDEST, {}, {})
PRIVATE_HERE = HERE._replace(update=PRIVATE)
KEPT = HERE._replace(is_in_history=False, kept_for="a")
MISSING = HERE._replace(update=None, is_in_history=False, updates_with_id=0)
BEFORE_ALL = MISSING._replace(place=Place(10_000, 0))
AMONG_OTHERS = MISSING._replace(place=AT, floor=LATER)
WITHOUT_PLACE = MISSING._replace(place=None)
ENDED = {"a": End(Known(LATER, ("a",), False), 90_000)}

NOBODY = Presented(ANONYMOUS)
TOKEN = Presented(Bearer(Selectors(()), Selectors(()), None, TokenId(None, None, None, None, ())))
EXPIRED = Presented(None, "expired", "The token has expired.", 51.0)
EXPIRED_BEFORE = EXPIRED._replace(expires_at=49.0)
REVOKED = TOKEN._replace(cause="revoked", detail="The token was revoked.")
MISSED = Presented(None, "missing", "There is no token.")

BY_A = (Match("a", "a"),)
ASKED = {"basis": Basis.REQUEST, "matched": BY_A}
REGISTERED = {"basis": Basis.SUBSCRIPTIONS}


def case(presented: Presented, where: Whereabouts, **changed: Any) -> Case:
    return Case(presented, where, Basis.TOKEN)._replace(**changed)


@pytest.mark.parametrize(
    ("asked", "verdict", "words"),
    [
        # Delivered.
        (case(NOBODY, HERE), "delivered", "A stream that asks for one of its topics"),
        (case(NOBODY, HERE, **ASKED), "delivered", "It is public. The stream asks for it"),
        (case(TOKEN, PRIVATE_HERE, covered=BY_A), "delivered", "the token lets its bearer read it"),
        (case(TOKEN, PRIVATE_HERE, covered=BY_A, **ASKED), "delivered", "The stream asks for it"),
        (case(NOBODY, HERE, **ASKED, is_over=True), "delivered", "gets 204"),
        # Not matched; this comes before the rights.
        (case(NOBODY, HERE, basis=Basis.REQUEST), "not_matched", "The stream asks for none"),
        (case(TOKEN, HERE, **REGISTERED), "not_matched", "None of the streams"),
        (case(TOKEN, PRIVATE_HERE, **REGISTERED), "not_matched", "None of the streams"),
        (case(TOKEN, KEPT, basis=Basis.REQUEST), "not_matched", "The stream asks for none"),
        # Not allowed.
        (case(NOBODY, PRIVATE_HERE), "not_allowed", "private, and there is no token"),
        (case(TOKEN, PRIVATE_HERE), "not_allowed", "read none of its topics"),
        (case(TOKEN, PRIVATE_HERE, **ASKED), "not_allowed", "read none of its topics"),
        (
            case(TOKEN, PRIVATE_HERE._replace(is_in_history=False, kept_for="a")),
            "not_allowed",
            "read none of its topics",
        ),
        # A token that is refused comes before all else, also where nothing is known.
        (case(MISSED, HERE, **ASKED), "not_allowed", "There is no token."),
        (case(REVOKED, PRIVATE_HERE, covered=BY_A), "not_allowed", "The token was revoked."),
        (case(REVOKED, BEFORE_ALL), "not_allowed", "The token was revoked."),
        (case(EXPIRED, HERE, **ASKED), "not_allowed", "published before that"),
        (case(EXPIRED_BEFORE, HERE, **ASKED), "not_allowed", "The token has expired."),
        (case(EXPIRED, MISSING), "not_allowed", "The token has expired."),
        # Trimmed.
        (case(NOBODY, BEFORE_ALL), "trimmed", "and so has all before it"),
        (case(NOBODY, BEFORE_ALL._replace(oldest=None)), "trimmed", "and so has all before it"),
        (case(NOBODY, MISSING._replace(place=FLOOR)), "trimmed", "and so has all before it"),
        (case(NOBODY, AMONG_OTHERS), "trimmed", "BARESTREAM_TOPIC_EVENTS"),
        (case(NOBODY, BEFORE_ALL._replace(ends=ENDED)), "trimmed", "and so has all before it"),
        (case(NOBODY, HERE, **ASKED, is_in_lanes=False), "trimmed", "for its other topics"),
        (case(NOBODY, KEPT, **ASKED), "trimmed", "still the kept value of the topic a"),
        # Ended.
        (case(NOBODY, WITHOUT_PLACE._replace(ends=ENDED)), "ended", "the topic a has ended"),
        (
            case(NOBODY, MISSING._replace(place=Place(60_000, 1), ends=ENDED)),
            "ended",
            "the topic a has ended with #60000-0",
        ),
        # Unknown: also before the end of a topic.
        (case(NOBODY, WITHOUT_PLACE), "unknown", "no update with this id"),
        (case(TOKEN, MISSING, basis=Basis.REQUEST), "unknown", "never gave an update this place"),
        (case(NOBODY, MISSING._replace(ends=ENDED)), "unknown", "never gave an update this place"),
    ],
)
def test_the_first_obstacle_is_the_verdict(asked: Case, verdict: str, words: str) -> None:
    found = explain(asked)
    assert (found.verdict, words in found.why) == (Verdict(verdict), True), found.why


def test_an_expired_token_is_told_apart_by_when_the_update_was_published() -> None:
    assert "before that" in explain(case(EXPIRED, HERE)).why
    assert explain(case(EXPIRED_BEFORE, HERE)).why == "The token has expired."


PATTERNS = Patterns(HubUrl("https://hub.example/.well-known/mercure"), 10)
OF_1_0 = at_once(
    selectors(
        [Matcher("/a/1"), Matcher("*"), Matcher("/a/:id", "urlpattern"), Matcher("/b", "exact")],
        PATTERNS,
        10,
    )
)


@pytest.mark.parametrize(
    ("given", "topics", "expected"),
    [
        (Selectors(["a", "b", "c"]), ("b", "a", "x"), [("b", "b"), ("a", "a")]),
        (
            Selectors(["/x/{id}", "/{+any}"]),
            ("/x/1", "y"),
            [("/x/{id}", "/x/1"), ("/{+any}", "/x/1")],
        ),
        (Selectors(["*"]), ("x",), [("*", "x")]),
        (Selectors(["/x/{id}"]), ("/y/1",), []),
        (Selectors(()), ("x",), []),
        (OF_1_0, ("/c", "/a/1"), [("*", "/c"), ("/a/1", "/a/1"), ("/a/:id", "/a/1")]),
    ],
)
def test_each_selector_that_matches_is_named_with_a_topic(
    given: Selectors, topics: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert at_once(matches(given, topics, UNBOUNDED)) == expected


@pytest.mark.parametrize(
    ("event_id", "place"),
    [
        ("#5-6", Place(5, 6)),
        ("#5-6~", Place(5, 6)),
        ("#5-6;news", Place(5, 6)),
        ("#5-6;news;own;0.3;end", Place(5, 6)),
        ("#5-6=3-4;news", Place(3, 4)),
        ("#0-0~3-4;news", Place(3, 4)),
        ("urn:uuid:1", None),
        ("#5", None),
        ("5-6", None),
    ],
)
def test_each_form_of_an_id_of_the_hub_names_the_place_of_the_update(
    event_id: str, place: Place | None
) -> None:
    assert named_place(event_id) == place
