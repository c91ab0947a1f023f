"""URI templates, and which topics they match, by the rules of Mercure 0.x.

Pure. Sources: the specification in the tag v0.24.2 of dunglas/mercure, and
https://www.rfc-editor.org/rfc/rfc6570 (URI Template).
"""

import re
from functools import lru_cache
from typing import NamedTuple, Self
from urllib.parse import quote

import re2  # type: ignore[import-untyped]

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

    @staticmethod
    def reading(topic: str) -> str:
        """Return the form of a topic that the prefixes are of: the topic as it is."""
        return topic

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
def template(selector: str) -> Template | None:
    """Return the template; None if the selector is not a template, or is too large to match."""
    return Template.parse(selector)
