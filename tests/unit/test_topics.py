"""Which topics are reserved, and which characters they may not have."""

import pytest

from barestream.mercure.topics import HubUrl, unseen_character

HUB = HubUrl("https://hub.example/.well-known/mercure")

# Every way that a topic can name the hub's own path.
RESERVED = [
    "/.well-known/mercure",
    "/.well-known/mercure/subscriptions/exact/a/b",
    "https://hub.example/.well-known/mercure/subscriptions",
    "http://another.example:8080/.well-known/mercure",
    "/.well-known/%6Dercure/x",
    "/.well-known/%6d%65rcure",
    "/.well-known/mercure/../mercure/x",
    "/a/../.well-known/./mercure",
    "/%2e%2e/.well-known/mercure",
    "\\.well-known\\mercure",
    "//another.example/.well-known/mercure",
    # Relative references keep the folder of the hub's path, or all of it.
    "mercure",
    "mercure/x",
    "./mercure",
    "#a",
    "?a",
    "https:?a",
    "HTTPS:#a",
    "///another.example/.well-known/mercure/x",
    " \\//another.example/.well-known/mercure",
    " ?a",
    " ",
    "https: ",
    "/.well-known/mercure?a#b",
]

FREE = [
    "news",
    "https://example.com/books/1",
    "/.well-known/mercurex",
    "/.well-known/mercure2/x",
    "/mercure",
    "https://example.com/mercure",
    "urn:mercure",
    "/.well-known/Mercure",
    "/.well-known/%256Dercure",
    "a%",
    "a#b",
    # It is not a URL, so it names no path.
    "http://[/.well-known/mercure",
    "https://",
]


@pytest.mark.parametrize("topic", RESERVED)
def test_a_topic_that_names_the_hubs_path_is_reserved(topic: str) -> None:
    assert HUB.is_reserved(topic)


@pytest.mark.parametrize("topic", FREE)
def test_any_other_topic_is_free(topic: str) -> None:
    assert not HUB.is_reserved(topic)


def test_the_reserved_path_is_that_of_the_hubs_url() -> None:
    below = HubUrl("https://example.com/live/.well-known/mercure")
    assert below.is_reserved("/live/.well-known/mercure/x")
    assert not below.is_reserved("/.well-known/mercure/x")


@pytest.mark.parametrize(
    "character",
    ["\0", "\n", "\x1f", "\x7f", "\x80", "\x9f", "\u200b", "\u202e", "\ufeff", "\u00ad"],
)
def test_a_control_or_format_character_is_found(character: str) -> None:
    assert unseen_character(f"a{character}b") == character


@pytest.mark.parametrize("text", ["", "a b", "é漢\U0001f600", "\u00a0\u2028", "\ue000", "\u0378"])
def test_every_other_character_is_allowed(text: str) -> None:
    assert unseen_character(text) is None


@pytest.mark.parametrize(
    ("topic", "canonical"),
    [
        ("HTTPS://Example.com:443/a/../b?x#y", "https://example.com/b"),
        ("https://example.com:8080/", "https://example.com:8080/"),
        ("news", "https://hub.example/.well-known/news"),
        ("/books/é", "https://hub.example/books/%C3%A9"),
        ("urn:isbn:1", "urn://isbn:1"),
        ("http://[", None),
    ],
)
def test_a_topics_canonical_form_is_that_of_its_url(topic: str, canonical: str | None) -> None:
    assert HUB.canonical(topic) == canonical


def test_the_hubs_url_is_absolute() -> None:
    with pytest.raises(ValueError, match="expected an absolute URL"):
        HubUrl("/.well-known/mercure")
