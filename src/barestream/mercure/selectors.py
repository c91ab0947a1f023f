"""The topics of a subscriber or of a token: selectors of Mercure 0.x, matchers of Mercure 1.0.

Pure. Sources: https://mercure.rocks/spec#matcher-types; for 0.x the tag v0.24.2 of dunglas/mercure.
"""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol, Self

from barestream.mercure.templates import Template, template
from barestream.mercure.time_budget import Budget
from barestream.mercure.topics import EVERYTHING, MOST_CHARACTERS


class InvalidSelectorError(ValueError):
    """A selector of more than ``MOST_CHARACTERS`` characters, or templates too large together."""


class Expression(Protocol):
    """A selector or a matcher of more than one topic.

    Attributes:
        selector: Its text. Expressions of one reading with the same text are equal.
        prefixes: Every topic that matches, as ``reading`` returns it, starts with one of them.
        reading: Returns the form of a topic that the prefixes are of; None for a topic that cannot
            match.
    """

    @property
    def selector(self) -> str: ...
    @property
    def prefixes(self) -> tuple[str, ...]: ...
    @property
    def reading(self) -> Callable[[str], str | None]: ...

    def match(self, topic: str) -> bool:
        """Return whether the topic matches."""


class Selectors:
    """The selectors of a subscriber or of a token: a topic matches if one of them matches it.

    Args:
        selectors: Any texts, by the rules of Mercure 0.x; the first of equal ones counts.
        most_steps: The most steps of the templates together; parsing ends at the first template
            that exceeds it.

    Attributes:
        everything: Whether one of them is ``*``.
        exact: Those that only match themselves.
        expressions: Those that are URI templates or URL Patterns.
        steps: The steps of the templates together.

    Raises:
        InvalidSelectorError: A selector is too long, or the templates are too large.
    """

    __slots__ = ("everything", "exact", "expressions", "steps")

    def __init__(self, selectors: Iterable[str], most_steps: float = math.inf) -> None:
        self.steps = 0
        self.everything = False
        exact: list[str] = []
        templates: list[Template] = []
        for text in dict.fromkeys(selectors):
            if len(text) > MOST_CHARACTERS:
                raise InvalidSelectorError(
                    f"A topic selector has {len(text)} characters; at most {MOST_CHARACTERS} are "
                    "allowed."
                )
            found = template(text) if "{" in text else None
            if found is not None:
                templates.append(found)
                self.steps += found.steps
                if self.steps > most_steps:
                    raise InvalidSelectorError(
                        "The URI templates are too large together; use fewer of them, or fewer "
                        "variables."
                    )
            elif text == EVERYTHING:
                self.everything = True
            else:
                exact.append(text)
        self.exact = dict.fromkeys(exact)
        self.expressions: tuple[Expression, ...] = tuple(templates)

    @classmethod
    def of_matchers(
        cls, exact: Iterable[str], patterns: Iterable[Expression], *, everything: bool
    ) -> Self:
        """Return the selectors that have the matchers of Mercure 1.0.

        Args:
            exact: The topics of the exact matchers.
            patterns: The patterns of the others; equal ones are one object.
            everything: Whether one of the matchers is ``*``.
        """
        found = cls(())
        found.exact = dict.fromkeys(exact)
        found.expressions = tuple(dict.fromkeys(patterns))
        found.everything = everything
        return found

    @property
    def is_exact(self) -> bool:
        """Whether each of them only matches itself."""
        return not (self.everything or self.expressions)

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return self.is_exact and not self.exact

    def __iter__(self) -> Iterator[str]:
        """Yield the selectors as they were written, ``*`` first, those of one topic second."""
        if self.everything:
            yield EVERYTHING
        yield from self.exact
        yield from (expression.selector for expression in self.expressions)

    def match(self, topic: str) -> bool:
        """Return whether one of the selectors matches the topic."""
        return (
            self.everything
            or topic in self.exact
            or any(expression.match(topic) for expression in self.expressions)
        )

    def names_all(self, topics: Sequence[str]) -> bool:
        """Return whether every topic is matched without a trial of an expression."""
        return bool(topics) and (self.everything or self.exact.keys() >= {*topics})

    def matching_any(self, topics: Sequence[str], budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether at least one of the topics is matched."""
        if topics and (self.everything or not self.exact.keys().isdisjoint(topics)):
            return True
        for topic in topics:
            for expression in self.expressions:
                if expression.match(topic):
                    return True
                if budget.is_over():
                    yield
        return False

    def matching_all(self, topics: Sequence[str], budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether every topic is matched.

        The result for no topics is False, because nothing was allowed.
        """
        for topic in topics:
            if not (yield from self.matching_any((topic,), budget)):
                return False
        return bool(topics)
