import asyncio
from collections.abc import Sequence

import pytest
from bareasgi import HttpRequest

from barestream.delivery.numbering import Numbering
from barestream.delivery.time_slices import Slices
from barestream.mercure.patterns import Patterns
from barestream.mercure.topics import HubUrl
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import StreamRequest
from barestream.web.whole_body import WholeBody
from fake_writer import FakeClock

FORM = (b"content-type", b"application/x-www-form-urlencoded")


def numbering(query: str, body: str | None = None) -> Numbering:
    """Return the numbering of a request, which is a QUERY if it has a body."""

    async def read() -> Numbering:
        method = "GET" if body is None else "QUERY"
        scope = {"method": method, "headers": [FORM], "query_string": query.encode()}
        sent = WholeBody((body or "").encode())
        asked = await StreamRequest.read(HttpRequest(scope, {}, {}, {}, sent))  # type: ignore[arg-type]
        slices = Slices(FakeClock())
        reader = SelectorReader(100, Patterns(HubUrl("https://hub.example/"), 10), slices)
        return Numbering(asked.numbered, await reader.read(asked))

    return asyncio.run(read())


def matches(found: Numbering, *topics: str) -> Sequence[int]:
    matching = found.matching(topics)
    return () if matching is None else matching[1]


def test_topics_have_their_numbers_in_the_order_of_the_request() -> None:
    found = numbering("topic=b&x=1&topic=a%2F%7Bid%7D&topic=*&topic=a%2F1")
    assert matches(found, "b") == (0, 2)
    assert matches(found, "a/1") == (1, 2, 3)
    assert matches(found, "a/2") == (1, 2)
    assert matches(found, "other") == (2,)
    assert matches(found, "other", "b", "a/2") == (0, 1, 2)
    assert found.matching(["other", "b"]) == ("other", (0, 2))


def test_a_text_that_is_no_template_is_a_topic() -> None:
    found = numbering("topic=a&topic=%7Bid&topic=%7B%7D")
    assert [matches(found, topic) for topic in ("{id", "{}", "id")] == [(1,), (2,), ()]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("match_urlpattern=/a/:id&match=/a/1&match_exact=/b&match=/c&match_urlpattern=/:x", None),
        ("match_urlpattern=/a/:id&match=/a/1", "match_exact=/b&match=/c&match_urlpattern=/:x"),
        ("match_urlpattern=/a/:id", "match=/a/1&match_exact=/b&match=/c&match_urlpattern=/:x"),
        ("", "match_urlpattern=/a/:id&match=/a/1&match_exact=/b&match=/c&match_urlpattern=/:x"),
        ("%6Datch%5Furlpattern=/a/:id&m=&&match=/a/1&match_exact=/b&match=/c"
         "&rewind=1&match_urlpattern=/:x", None),
    ],
)  # fmt: skip
def test_matchers_count_in_one_order_whatever_their_names_query_before_body(
    query: str, body: str | None
) -> None:
    found = numbering(query, body)
    assert matches(found, "/a/1") == (0, 1)
    assert matches(found, "/a/2") == (0,)
    assert matches(found, "/b") == (2, 4)
    assert matches(found, "/c") == (3, 4)
    assert matches(found, "/d") == (4,)
    assert matches(found, "/d/e") == ()


def test_a_pattern_and_a_topic_of_one_text_have_numbers_of_their_own() -> None:
    found = numbering("match=/:x&match_urlpattern=/:x")
    assert (matches(found, "/:x"), matches(found, "/b")) == ((0, 1), (1,))


@pytest.mark.parametrize("name", ["match", "match_exact", "match_urlpattern"])
def test_an_asterisk_matches_all_in_each_matcher(name: str) -> None:
    found = numbering(f"match=/a&{name}=*")
    assert (matches(found, "/a"), matches(found, "/b")) == ((0, 1), (1,))


def test_of_equal_topics_the_first_counts() -> None:
    assert matches(numbering("topic=a&topic=b&topic=a&topic=b"), "b", "a") == (0, 1)
    assert matches(numbering("match=a&match_exact=a"), "a") == (0,)


def test_only_what_decides_about_an_update_is_part_of_the_key() -> None:
    one, other = numbering("topic=a&topic=b"), numbering("topic=a&topic=c")
    assert one.key(["a"]) == other.key(["a"])
    assert one.key(["a", "x"]) == other.key(["a", "x"])
    assert one.key(["a", "b"]) != other.key(["a", "b"])
    assert one.key(["a"]) != numbering("topic=a&topic=*").key(["a"])
    # Streams with the same templates share them.
    with_template = numbering("topic=a&topic=%7Bid%7D")
    assert one.key(["a"]) != with_template.key(["a"])
    assert with_template.key(["a"]) == numbering("topic=a&topic=%7Bid%7D&topic=d").key(["a"])
    assert with_template.key(["a"]) != numbering("topic=a&topic=d&topic=%7Bid%7D").key(["a"])
