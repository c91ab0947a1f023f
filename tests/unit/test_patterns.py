"""URL Patterns: what they match, and which ones are too large."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.delivery.index import Index
from barestream.mercure.patterns import (
    MOST_PARTS,
    InvalidPatternError,
    Patterns,
    TooManyPatternsError,
)
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import UNBOUNDED, at_once
from barestream.mercure.topics import HubUrl

HUB = HubUrl("https://hub.example/.well-known/mercure")


def patterns(most: int = 100) -> Patterns:
    return Patterns(HUB, most)


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("https://example.com/books/:id", "https://example.com/books/1", True),
        ("https://example.com/books/:id", "HTTPS://EXAMPLE.com:443/a/../books/1?x#y", True),
        ("https://example.com/books/:id", "https://example.com/books/1/2", False),
        ("https://example.com/books/:id", "https://example.org/books/1", False),
        ("https://example.com/Books/:id", "https://example.com/books/1", False),
        ("https://example.com/books/:id?", "https://example.com/books", True),
        ("/books/*", "/books/1/2", True),
        ("/books/*", "https://hub.example/books/1", True),
        ("/books/*", "https://other.example/books/1", False),
        (":id", "news", True),
        ("https://*.example.com/*", "https://a.b.example.com/x", True),
        ("http{s}?://example.com/a", "http://example.com/a", True),
        (r"/orders/(\d{4})", "/orders/2026", True),
        (r"/orders/(\d{4})", "/orders/20266", False),
        (r"/orders/([\w-]+)", "/orders/a-b_1", True),
        (r"/orders/(\S+)", "/orders/a-b", True),
        (r"/orders/([-\w]+)", "/orders/a-b", True),
        (r"/orders/([\w\-.]+)", "/orders/a-b.c", True),
        (r"/orders/([^\s]+)", "/orders/a", True),
        ("/orders/([0-9a-f]{8}-[0-9a-f]{4})", "/orders/0123abcd-0123", True),
        ("/orders/((?:new|old)-[0-9]+)", "/orders/new-1", True),
        (r"https://example.com:8080/(a{2}[\]]?)", "https://example.com:8080/aa", True),
        (r"/orders/([\D]+)", "/orders/12", False),
        # ECMAScript's digits are those of ASCII.
        (r"?(\d)", "?\u0663", False),
        ("https://*/a", "///example.com/a", True),
        # A topic that is not a URL matches no pattern.
        ("*://*/*", "http://[", False),
        # A pattern does not match itself as a text.
        ("/books/:id(x)", "/books/:id(x)", False),
    ],
)
def test_a_pattern_matches_topics_as_urls(pattern: str, topic: str, *, matches: bool) -> None:
    found = patterns().get(pattern)
    assert found.match(topic) is matches
    form = found.reading(topic)
    assert not matches or (form is not None and form.startswith(found.prefixes))


SEGMENTS = st.sampled_from(["a", "b", "é", "%41", "..", ":x", ":x?", ":x*", "*", "{a}?", "(a|b)"])
HOSTS = st.sampled_from(["example.com", "*.example.com", ":h.com", "a.:h", "*"])
SCHEMES = st.sampled_from(["https", "http{s}?", "*", "urn", ":s"])
PORTS = st.sampled_from(["", ":8080", ":443", ":*", ":80(80)?"])
PATHS = st.lists(SEGMENTS, max_size=3).map(lambda segments: "/" + "/".join(segments))
PATTERNS = st.builds("{}://{}{}{}".format, SCHEMES, HOSTS, PORTS, PATHS) | PATHS
TOPICS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "urn"]),
    st.sampled_from(["example.com", "a.example.com", "a.b", "x.com"]),
    st.sampled_from(["", ":8080", ":443"]),
    st.lists(st.sampled_from(["a", "b", "é", "x", ".."]), max_size=3).map(
        lambda segments: "".join(f"/{each}" for each in segments)
    ),
)


@given(PATTERNS, TOPICS)
def test_the_index_finds_every_pattern_that_matches(pattern: str, topic: str) -> None:
    try:
        found = patterns().get(pattern)
    except InvalidPatternError:
        return
    index: Index[str] = Index()
    selectors = Selectors.of_matchers([], [found], everything=False)
    index.add("member", selectors)
    assert at_once(index.wanting([topic])) == (["member"] if found.match(topic) else [])
    index.discard("member", selectors)
    assert at_once(index.wanting([topic])) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "(a",
        "/(.*",
        "\\",
        "{",
        "http://[",
        r"/(\w{500})",
        r"/((?:(?:a{10}){10}){10})",
        "/(a{99999999999999999999})",
        "/(.{100,})",
        "/" + "*a" * (MOST_PARTS + 1),
        "/" + "/".join(f":a{n}" for n in range(MOST_PARTS + 1)),
        "/" + "(a)-" * (MOST_PARTS + 1),
        "/" + "a" * 2048,
        "/:a(.{20}?{60})",
        "/:a((?:.{15})+{100})",
        r"/:a(\S{60}?{100})",
        r"/(\S{255})",
        r"/(\s{257})",
        # What the library would read otherwise than it was counted.
        r"/([+-[])?((?:[a-z]?){60000}!)",
        "/((?:a?){ 60000 }!)",
        "/((?:a?){1, 3000}!)",
        "/(]{60000})",
        "/users/([(?:]?)[a-z0-9/]?{60000}(?:[)]?!)",
        "/([(?:])[^a]{2000}(?:b[)])",
        r"/([\s-z]+)",
        r"/([+-\w]+)",
        "/([a{3}])",
        "/((?:){60000})",
        "/((?:a*?){16}{17})",
        r"/(a\bb)",
        r"/((?<x>a)\k<x>)",
        "/(é+)",
        "/((?!admin).*)",
        "/((?<=a)b)",
        "/([[^a]]{250})",
        r"/([!-\u{10ffff}]{250})",
        "/" + "".join(f":${chr(0x4E00 + n)}-" for n in range(MOST_PARTS + 1)),
        r"/([\W\S]{255})",
        r"/(\p{L})",
        "/((?R))",
        "/([[:alpha:]])",
    ],
)
def test_a_malformed_or_large_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPatternError):
        patterns().get(pattern)


@given(st.text("(){}[]*?+:\\/.^|,0123456789wWdDpau-é", max_size=60))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = patterns().get(text)
    except InvalidPatternError:
        return
    pattern.match("https://example.com/a")


def test_equal_patterns_are_one_object() -> None:
    shared = patterns()
    assert shared.get("/a/:b") is shared.get("/a/:b")
    assert len(shared) == 1


def test_beyond_the_bound_only_patterns_that_are_held_already_are_given() -> None:
    bounded = patterns(2)
    held = [bounded.get("/a/:b"), bounded.get("/b/:b")]
    assert bounded.get("/a/:b") is held[0]
    with pytest.raises(TooManyPatternsError):
        bounded.get("/c/:b")
    held.clear()
    gc.collect()
    # Patterns that nobody holds make room.
    assert bounded.get("/c/:b")


def test_a_cache_that_holds_patterns_is_cleared_before_one_is_refused() -> None:
    bounded = patterns(2)
    remembered = [bounded.get("/a/:b"), bounded.get("/b/:b")]
    bounded.add_cache(remembered.clear)
    assert bounded.get("/c/:b")
    assert remembered == []


def test_exact_matchers_are_neither_templates_nor_patterns() -> None:
    selectors = Selectors.of_matchers(["a/{b}", "/:c"], [], everything=False)
    assert selectors.match("a/{b}")
    assert selectors.match("/:c")
    assert not selectors.match("a/1")
    assert not at_once(selectors.matching_any(["/1"], UNBOUNDED))
