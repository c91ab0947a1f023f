"""Topic matchers of Mercure 1.0, as subscriptions and access tokens have them.

Pure. Source: https://mercure.rocks/spec#matcher-types
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

from barestream.mercure.patterns import InvalidPatternError, Pattern, Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import UNBOUNDED, Budget
from barestream.mercure.topics import EVERYTHING, MOST_CHARACTERS, unseen_character

EXACT = "exact"
URL_PATTERN = "urlpattern"
MATCHER_TYPES = (EXACT, URL_PATTERN)


class InvalidMatcherError(ValueError):
    """A matcher that is malformed or too large; the message says why."""


class Matcher(NamedTuple):
    """A matcher.

    Attributes:
        match: The topic, the URL Pattern, or ``*`` for every topic.
        match_type: One of ``MATCHER_TYPES``.
    """

    match: str
    match_type: str = EXACT


def selectors(
    matchers: Sequence[Matcher],
    patterns: Patterns,
    most_patterns: int,
    budget: Budget = UNBOUNDED,
) -> Generator[None, None, Selectors]:
    """Find out, in the budget's slices, what the matchers match.

    Args:
        matchers: The matchers.
        patterns: Where compiled patterns are held.
        most_patterns: How many of the matchers may be URL Patterns.
        budget: The slices of the work: compiling a pattern takes up to 1 ms.

    Raises:
        InvalidMatcherError: One of them is malformed or too large, or too many are URL Patterns.
        TooManyPatternsError: There is no room for further URL Patterns.
    """
    # The number is checked first, because compiling patterns takes time.
    count = sum(matcher.match_type == URL_PATTERN for matcher in matchers)
    if count > most_patterns:
        raise InvalidMatcherError(
            f"there are {count} URL Patterns; at most {most_patterns} are allowed"
        )
    exact: list[str] = []
    found: list[Pattern] = []
    everything = False
    for text, match_type in matchers:
        if text == EVERYTHING:
            everything = True
            continue
        _check(text)
        if match_type == EXACT:
            exact.append(text)
        else:
            if budget.is_over():
                yield
            try:
                found.append(patterns.get(text))
            except InvalidPatternError as error:
                raise InvalidMatcherError(f"the URL Pattern {text[:100]}: {error}") from None
    return Selectors.of_matchers(exact, found, everything=everything)


def _check(text: str) -> None:
    if not text:
        raise InvalidMatcherError("a matcher is empty")
    if len(text) > MOST_CHARACTERS:
        raise InvalidMatcherError(
            f"a matcher has {len(text)} characters; at most {MOST_CHARACTERS} are allowed"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidMatcherError("a matcher has a lone surrogate") from None
    unseen = unseen_character(text)
    if unseen is not None:
        raise InvalidMatcherError(
            f"a matcher has the control or format character U+{ord(unseen):04X}"
        )
