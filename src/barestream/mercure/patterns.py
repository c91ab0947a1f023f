"""URL Patterns, which match topics as URLs, by the rules of Mercure 1.0.

Pure. Sources: https://mercure.rocks/spec#url-pattern and https://urlpattern.spec.whatwg.org
"""

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

from urlpattern import URLPattern

from barestream.mercure.topics import (
    MOST_CHARACTERS,
    URL_PARTS,
    HubUrl,
    canonical_prefix,
    reference,
)

# Names, wildcards, groups and regular expressions of one pattern. With 20 wildcards the worst
# topic of 2,000 characters takes 0.1 ms; with 200 it takes 50 ms and 16 MB.
MOST_PARTS = 20

# The size of the regular expressions of one pattern: a character or a class counts 1, or 8 where it
# stands for most of Unicode, each time that it is repeated. With 256 a pattern takes at most 0.25
# MB, and some ms to compile (tests/bench/patterns.py).
MOST_REGEXP_SIZE = 256
_WIDE_SIZE = 8

# How many patterns stay compiled although no stream or token has them, for clients that come back.
_MOST_IDLE = 100

# Characters that are not literal in a component of a pattern.
_SPECIAL = re.compile(r"[*(){}:?+\\]")
# Not "://" or a port. Names may begin with any letter of Unicode, and with more.
_NAME = re.compile(r":[^/0-9]")
_COUNT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")

# The library's expressions have flags and POSIX classes, which ECMAScript's do not have, and no
# lookaround, which those have.
_FOREIGN = re.compile(r"\(\?(?:<?[=!]|[^:<])|\[\[:")

# From two characters before an escape: a class of characters that begins or ends a range, which
# written out would be another range.
_RANGE_OF_CLASS = re.compile(r"[^[^]-\\[dDsSwW]|..\\[dDsSwW]-[^]]", re.DOTALL)

# ECMAScript's classes are those of ASCII, also in Unicode mode. The library's are those of Unicode,
# which take 700 KB each, although a URL's components are ASCII.
_CLASSES = {"d": "0-9", "s": r"\t-\r ", "w": "0-9A-Za-z_"}


class InvalidPatternError(ValueError):
    """A URL Pattern that the hub does not accept; the message says why."""


class TooManyPatternsError(Exception):
    """There is no room for another URL Pattern."""


class Pattern:
    """A URL Pattern, ready to be matched.

    Attributes:
        selector: Its text.
        prefixes: The literal text that the canonical form of every topic that matches starts with.
        reading: Returns a topic's canonical form; None for a topic that cannot match.
    """

    __slots__ = ("__weakref__", "_base", "_compiled", "prefixes", "reading", "selector")

    def __init__(self, text: str, compiled: URLPattern, hub_url: HubUrl) -> None:
        self.selector = text
        self.prefixes = (_prefix(compiled),)
        self.reading = hub_url.canonical
        self._base = hub_url.url
        self._compiled = compiled

    def match(self, topic: str) -> bool:
        """Return whether the topic, resolved against the hub's URL, matches."""
        return self._compiled.test(reference(topic), self._base)


class Patterns:
    """Compiled patterns, in a bounded number; all that use them share each.

    Args:
        hub_url: The URL that relative patterns and topics are resolved against.
        most: How many different ones are held at most: each takes some 75 KB.
    """

    def __init__(self, hub_url: HubUrl, most: int) -> None:
        self._hub_url = hub_url
        self._most = most
        self._held: WeakValueDictionary[str, Pattern] = WeakValueDictionary()
        self._newest: deque[Pattern] = deque(maxlen=min(_MOST_IDLE, most))
        self._let_go: list[Callable[[], None]] = [self._newest.clear]

    def __len__(self) -> int:
        return len(self._held)

    def add_cache(self, clear: Callable[[], None]) -> None:
        """Have a cache that holds patterns cleared before a pattern is refused for want of room."""
        self._let_go.append(clear)

    def get(self, text: str) -> Pattern:
        """Return the pattern.

        Raises:
            InvalidPatternError: It is malformed or too large.
            TooManyPatternsError: It is another one, and there is no room for it.
        """
        pattern = self._held.get(text)
        if pattern is None:
            checked = _checked(text)
            for let_go in self._let_go:
                if len(self._held) >= self._most:
                    let_go()
            if len(self._held) >= self._most:
                raise TooManyPatternsError
            try:
                compiled = URLPattern(checked, self._hub_url.url)
            except ValueError:
                raise InvalidPatternError("it is not a valid URL Pattern") from None
            pattern = self._held[text] = Pattern(text, compiled, self._hub_url)
            self._newest.append(pattern)
        return pattern


def _prefix(compiled: URLPattern) -> str:
    """Return the literal text that every canonical topic that matches starts with."""
    protocol, hostname, port, pathname = (_literal(getattr(compiled, name)) for name in URL_PARTS)
    if not protocol.is_whole:
        return protocol.text
    if not (hostname.is_whole and port.is_whole):
        return canonical_prefix(protocol.text, hostname.text, "", "")
    # A slash before a name or a group belongs to it, and is missing with it: /books/:id? matches
    # /books.
    path = pathname.text if pathname.is_whole else pathname.text.removesuffix("/")
    return canonical_prefix(protocol.text, hostname.text, port.text, path)


class _Literal(NamedTuple):
    """The literal text that a component starts with, and whether that is all of it."""

    text: str
    is_whole: bool


def _literal(component: str) -> _Literal:
    special = _SPECIAL.search(component)
    return _Literal(component[: special.start()] if special else component, special is None)


def _checked(text: str) -> str:
    """Return the text for the library, once its size is known to be bounded.

    Raises:
        InvalidPatternError: It is too large, or has what ECMAScript or the hub does not know.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidPatternError(
            f"it has {len(text)} characters; at most {MOST_CHARACTERS} are allowed"
        )
    written: list[str] = []
    parts = at = 0
    budget = MOST_REGEXP_SIZE
    while at < len(text):
        end = at + 1
        if text[at] == "\\":
            end += 1
        elif text[at] == "(":
            regexp = _Regexp(text, at, budget)
            at, budget = regexp.end, regexp.left
            parts += 1
            written.append(regexp.written)
            continue
        elif text[at] in "*{" or _NAME.match(text, at):
            parts += 1
        written.append(text[at:end])
        at = end
    if parts > MOST_PARTS:
        raise InvalidPatternError(
            f"it has {parts} names, wildcards and groups; at most {MOST_PARTS} are allowed"
        )
    return "".join(written)


class _Regexp:
    """A regular expression in a pattern, from its "(" to the ")" that ends it.

    Attributes:
        end: Where the text goes on after it.
        written: The expression with ECMAScript's classes written out.
        left: How much of the budget it leaves.
    """

    def __init__(self, text: str, at: int, budget: int) -> None:
        self.left = budget
        self._sizes: list[int] = []
        self._last = 0
        written: list[str] = []
        in_class = False
        while at < len(text):
            if foreign := _FOREIGN.match(text, at):
                raise InvalidPatternError(f"{foreign[0]} is not supported in regular expressions")
            character = text[at]
            if not character.isascii():
                raise _not_ascii(character)
            piece = character
            if character == "\\":
                piece = text[at : at + 2]
                if in_class and _RANGE_OF_CLASS.match(text, at - 2):
                    raise InvalidPatternError(f"it has a range with {piece} at an end; write \\-")
                written.append(self._escaped(piece, in_class=in_class))
            else:
                if count := None if in_class else _COUNT.match(text, at):
                    piece = count[0]
                    self._repeat(count)
                elif character in "[]":
                    in_class = self._bracket(text, at, in_class=in_class)
                elif not in_class:
                    self._outside_class(character)
                elif character in "(){}":
                    # The library ends a group by its brackets, also by those in a class.
                    raise InvalidPatternError(f"it has {piece} in a class; write \\{piece}")
                written.append(piece)
            at += len(piece)
            if not self._sizes:
                break
        if self._sizes:
            raise InvalidPatternError("a regular expression in it has no end")
        self.end = at
        self.written = "".join(written)

    def _bracket(self, text: str, at: int, *, in_class: bool) -> bool:
        """Begin or end a class, and return whether one is open then.

        The library has classes in classes, and reads some brackets as characters. Both would be
        counted wrongly.
        """
        begins = text[at] == "["
        if begins == in_class or text.startswith(("[]", "[^]"), at):
            raise InvalidPatternError("it has a bracket that is not of a class; write \\[ or \\]")
        if begins:
            self._add(_WIDE_SIZE if text.startswith("[^", at) else 1)
        return begins

    def _outside_class(self, character: str) -> None:
        if character == "{":
            raise InvalidPatternError("it has a { that begins no count; write \\{")
        if character == "(":
            self._sizes.append(0)
        elif character == ")":
            # An empty group counts too, because it can be repeated.
            self._last = max(1, self._sizes.pop())
            if self._sizes:
                self._sizes[-1] += self._last
        elif character == ".":
            self._add(_WIDE_SIZE)
        elif character in "*+?":
            # What it repeats stays the last piece, which a count may repeat once more.
            self._take(1)
        else:
            self._add(1)

    def _escaped(self, piece: str, *, in_class: bool) -> str:
        name = piece[1:]
        if name.isalnum() and name.lower() not in _CLASSES:
            raise _not_ascii(piece)
        size = _WIDE_SIZE if name in {"D", "S", "W"} else 1
        if not in_class:
            self._add(size)
        elif size > 1:
            self._sizes[-1] += size
            self._last += size
            self._take(size)
        if name.lower() not in _CLASSES:
            return piece
        characters = _CLASSES[name.lower()]
        if name.isupper():
            return f"[^{characters}]"
        return characters if in_class else f"[{characters}]"

    def _add(self, size: int) -> None:
        self._sizes[-1] += size
        self._last = size
        self._take(size)

    def _repeat(self, count: re.Match[str]) -> None:
        least, comma, most = count.groups()
        # Python reads no number of thousands of digits.
        times = int(most[:9] or least[:9]) + (1 if comma and not most else 0)
        more = self._last * max(0, times - 1)
        self._sizes[-1] += more
        self._last += more
        self._take(more)

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise InvalidPatternError(
                "its regular expressions are too large, repetitions included (at most "
                f"{MOST_REGEXP_SIZE} characters); repeat less, or use a wildcard"
            )


def _not_ascii(piece: str) -> InvalidPatternError:
    return InvalidPatternError(
        f"it has {piece} in a regular expression; a URL is ASCII, so write its characters"
    )
