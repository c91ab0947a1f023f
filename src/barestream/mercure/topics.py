"""Topic selectors, and which topics they match, by the rules of the Mercure protocol.

Pure. Sources: https://mercure.rocks/spec#topic-selectors and
https://www.rfc-editor.org/rfc/rfc6570 (URI Template).
"""

import math
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Self
from urllib.parse import quote

import re2  # type: ignore[import-untyped]

from barestream.mercure.time_budget import Budget

# Every proxy accepts a URL of this length, and a subscription names its selectors in its URL.
MOST_CHARACTERS = 2048

EVERYTHING = "*"

_PCT = "%[0-9A-Fa-f]{2}"

# The grammar of RFC 6570, section 2, with erratum 6937, which allows the apostrophe. Quantifiers
# are possessive and no two branches start alike, so any client's selector is read in linear time.
_LITERALS = (
    r"[!#$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~"
    "\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\uffef"
    + "".join(
        f"{chr(0xE1000 if plane == 0xE else plane << 16)}-{chr((plane << 16) + 0xFFFD)}"
        for plane in range(1, 0x11)
    )
    + "]"
)
_NAME_CHARACTER = f"(?:[0-9A-Z_a-z]|{_PCT})"
_VARIABLE = rf"{_NAME_CHARACTER}(?:\.?{_NAME_CHARACTER})*+(?:\*|:[1-9][0-9]{{0,3}}+)?+"
_PART = re.compile(
    rf"(?P<literals>(?:{_LITERALS}|{_PCT})++)"
    rf"|\{{(?P<operator>[+#./;?&]?+)(?P<variables>{_VARIABLE}(?:,{_VARIABLE})*+)\}}"
)

_UNRESERVED = r"0-9A-Za-z\-._~"
_RESERVED = r":/?#\[\]@!$&'()*+,;="


class InvalidSelectorError(ValueError):
    """A selector of more than ``MOST_CHARACTERS`` characters, or templates too large together."""


class _Operator(NamedTuple):
    """How an expression expands: the table of RFC 6570, appendix A.

    Attributes:
        first: The text before the first defined variable.
        separator: The text between two of them.
        named: Whether each value follows the name of its variable.
        equals: Whether "=" follows the name of a variable even where the value is empty.
        allowed: The characters that a value keeps, as the inside of a pattern's class.
    """

    first: str
    separator: str
    named: bool = False
    equals: bool = False
    allowed: str = _UNRESERVED


_OPERATORS = {
    "": _Operator("", ","),
    "+": _Operator("", ",", allowed=_UNRESERVED + _RESERVED),
    "#": _Operator("#", ",", allowed=_UNRESERVED + _RESERVED),
    ".": _Operator(".", "."),
    "/": _Operator("/", "/"),
    ";": _Operator(";", ";", named=True),
    "?": _Operator("?", "&", named=True, equals=True),
    "&": _Operator("&", "&", named=True, equals=True),
}


def _variable_pattern(operator: _Operator, variable: str) -> str:
    """Return the pattern of the texts that one defined variable can expand to."""
    name, colon, length = variable.partition(":")
    allowed = operator.allowed
    if name.endswith("*"):
        value = f"(?:[{allowed}]|{_PCT})*"
        # The members of a list, or the pairs of an associative array, which have an "=".
        member = f"{value}={value}" if operator.equals else f"{value}(?:={value})?"
        return f"{member}(?:{re.escape(operator.separator)}{member})*"
    if colon:
        # A prefix counts characters before they are encoded; one beyond ASCII becomes several
        # triplets, the later ones UTF-8's continuation bytes.
        value = f"(?:[{allowed}]|{_PCT}(?:%[89ABab][0-9A-Fa-f])*){{0,{length}}}"
    else:
        # Without "*" the members, or the names and values, are joined by commas.
        value = f"(?:[{allowed},]|{_PCT})*"
    if not operator.named:
        return value
    return re.escape(name) + (f"={value}" if operator.equals else f"(?:={value})?")


def _expression_pattern(operator: _Operator, variables: list[str]) -> str:
    """Return the pattern of an expression, any of whose variables may be undefined."""
    separator = re.escape(operator.separator)
    # The texts that the variables from this one on can expand to if at least one is defined: this
    # one alone, or optionally this one and then at least one later one. The pattern's size grows
    # linearly with their number.
    pattern = ""
    for variable in reversed(variables):
        this = _variable_pattern(operator, variable)
        pattern = f"(?:{this}|(?:{this}{separator})?{pattern})" if pattern else this
    return f"(?:{re.escape(operator.first)}{pattern})?"


def _spellings(literals: str) -> tuple[str, ...]:
    """Return a literal as it stands in an IRI and as RFC 6570 expands it, in a URI."""
    if literals.isascii():
        return (literals,)
    return literals, quote(literals, safe="%!#$&'()*+,-./:;=?@[]_~")


# RE2 counts a program and its cache of past matches against this limit, and refuses a larger
# program. It is 7 times what a template of ten variables needs. The longest programs that fit take
# some 15 ms for the worst topic of 2,000 characters.
_MOST_MEMORY_BYTES = 32 * 1024


class Template:
    """A URI template, ready to be matched.

    Args:
        pattern: The pattern of the text after a prefix.

    Attributes:
        selector: The template as it was written.
        prefixes: The spellings of the literal that it starts with, perhaps an empty one: every
            topic that matches starts with one of them.
    """

    __slots__ = ("_pattern", "prefixes", "selector")

    def __init__(self, selector: str, prefixes: tuple[str, ...], pattern: "re2._Regexp") -> None:
        self.selector = selector
        self.prefixes = prefixes
        self._pattern = pattern

    @property
    def steps(self) -> int:
        """The length of its program; a step takes some 50 bytes, and up to 1 us in a match."""
        return int(self._pattern.programsize)

    @classmethod
    def parse(cls, selector: str) -> Self | None:
        """Return the template; None if the selector is not a template, or is too large to match."""
        position = 0
        prefixes: tuple[str, ...] = ("",)
        patterns: list[str] = []
        while position < len(selector):
            part = _PART.match(selector, position)
            if part is None:
                return None
            if part["literals"] is None:
                operator = _OPERATORS[part["operator"]]
                patterns.append(_expression_pattern(operator, part["variables"].split(",")))
            elif position == 0:
                prefixes = _spellings(part["literals"])
            else:
                spellings = "|".join(map(re.escape, _spellings(part["literals"])))
                patterns.append(f"(?:{spellings})")
            position = part.end()
        options = re2.Options()
        options.max_mem = _MOST_MEMORY_BYTES
        options.never_capture = True
        options.log_errors = False
        try:
            # RE2, because any client may choose selectors and topics: with {a}{b}{c}{d}... Python's
            # re would try every way to divide a topic, and hold the worker for hours.
            return cls(selector, prefixes, re2.compile("".join(patterns), options))
        except re2.error:
            return None

    def match(self, topic: str) -> bool:
        """Return whether the topic is the template itself, or a text that it can expand to.

        A value has the characters of an expansion: ASCII, the rest percent-encoded. A literal
        beyond ASCII matches as it is, and percent-encoded. The names of an exploded array may have
        only the characters of a value, as in Mercure's own hub; by the RFC ``/users/1{;x*}`` could
        expand to ``/users/1;/users/2=``.
        """
        for prefix in self.prefixes:
            if topic.startswith(prefix):
                # Bytes, because re2's wrapper would count the characters of a str again. No
                # pattern contains a surrogate, so a topic with one matches nothing.
                rest = topic[len(prefix) :].encode(errors="surrogatepass")
                return self._pattern.fullmatch(rest) is not None or topic == self.selector
        return False


# Most streams use the same few templates. If a client sends ever new ones, the oldest are dropped.
# The largest takes 83 KB, with the memory that RE2 does not count.
@lru_cache(maxsize=1024)
def _template(selector: str) -> Template | None:
    return Template.parse(selector)


class Selectors:
    """The selectors of a subscriber or of a token: a topic matches if one of them matches it.

    Args:
        selectors: Any texts; the first of equal ones counts.
        most_steps: The most steps of the templates together; parsing ends at the first template
            that exceeds it.

    Attributes:
        everything: Whether one of them is ``*``.
        exact: Those that only match themselves.
        templates: Those that are URI templates.
        steps: The steps of the templates together.

    Raises:
        InvalidSelectorError: A selector is too long, or the templates are too large.
    """

    __slots__ = ("_texts", "everything", "exact", "steps", "templates")

    def __init__(self, selectors: Iterable[str], most_steps: float = math.inf) -> None:
        self._texts = dict.fromkeys(selectors)
        self.steps = 0
        exact: list[str] = []
        templates: list[Template] = []
        for text in self._texts:
            if len(text) > MOST_CHARACTERS:
                raise InvalidSelectorError(
                    f"A topic selector has {len(text)} characters; at most {MOST_CHARACTERS} are "
                    "allowed."
                )
            template = _template(text) if "{" in text else None
            if template is not None:
                templates.append(template)
                self.steps += template.steps
                if self.steps > most_steps:
                    raise InvalidSelectorError(
                        "The URI templates are too large together; use fewer of them, or fewer "
                        "variables."
                    )
            elif text != EVERYTHING:
                exact.append(text)
        self.everything = EVERYTHING in self._texts
        self.exact = tuple(exact)
        self.templates = tuple(templates)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def match(self, topic: str) -> bool:
        """Return whether one of the selectors matches the topic."""
        return (
            self.everything
            or topic in self._texts
            or any(template.match(topic) for template in self.templates)
        )

    def matching_any(self, topics: Sequence[str], budget: Budget) -> Generator[None, None, bool]:
        """Find out, in the budget's slices, whether at least one of the topics is matched."""
        if topics and (self.everything or not self._texts.keys().isdisjoint(topics)):
            return True
        for topic in topics:
            for template in self.templates:
                if template.match(topic):
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
