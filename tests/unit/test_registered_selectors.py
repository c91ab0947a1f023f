"""What registered streams ask for, read back from the texts of their selectors."""

import asyncio
from http import HTTPStatus

import pytest

from barestream.delivery.time_slices import Slices
from barestream.mercure.matchers import Matcher
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.topics import HubUrl
from barestream.web.attending import selectors_of
from barestream.web.refusals import Refused
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import StreamRequest

PATTERNS = Patterns(HubUrl("https://hub.example/.well-known/mercure"), 10)


def read(matchers: list[Matcher]) -> Selectors:
    async def main() -> Selectors:
        return await SelectorReader(100, PATTERNS, Slices(lambda: 0)).read_registered(matchers)

    return asyncio.run(main())


def of_0(*topics: str) -> list[Matcher]:
    """Return how a stream of 0.x is registered."""
    return [*selectors_of(StreamRequest.of_form({"topic": [*topics]}))]


def test_selectors_of_both_versions_match_together() -> None:
    of_1_0 = [Matcher("/a/{x}"), Matcher("/b/:id", "urlpattern")]
    found = read([*of_0("/orders/{id}", "/c", "{"), *of_1_0])
    for topic, is_matched in (
        ("/orders/1", True),
        ("/orders/1/2", False),
        ("/c", True),
        ("{", True),
        # An exact topic of 1.0 is no template.
        ("/a/{x}", True),
        ("/a/1", False),
        ("/b/1", True),
        ("/b/:id", True),
        ("/d", False),
    ):
        assert found.match(topic) is is_matched, topic
    assert not found.everything


@pytest.mark.parametrize(
    "star", [of_0("*"), [Matcher("*")], [Matcher("*", "urlpattern")]], ids=["0.x", "1.0", "pattern"]
)
def test_a_star_matches_everything(star: list[Matcher]) -> None:
    found = read([*star, Matcher("/a")])
    assert (found.everything, [*found.exact]) == (True, ["/a"])


@pytest.mark.parametrize(
    "of_another_release",
    [
        Matcher("/:a" * 100, "urlpattern"),
        Matcher("/(", "urlpattern"),
        Matcher("/{a}" * 1000, "uritemplate"),
    ],
)
def test_what_only_a_worker_of_another_release_takes_is_told(
    of_another_release: Matcher,
) -> None:
    with pytest.raises(Refused, match="another release") as refused:
        read([Matcher("/a"), of_another_release])
    assert refused.value.status is HTTPStatus.SERVICE_UNAVAILABLE


def test_texts_that_only_0_x_takes_are_read() -> None:
    texts = ["", "a\u200bb", "tab\t"]
    assert [*read(of_0(*texts)).exact] == texts
    assert read([]).is_empty
