from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from barestream.delivery.index import Index
from barestream.mercure.selectors import Selectors
from barestream.mercure.time_budget import at_once
from fake_writer import SPENT


def index_of(*members: tuple[str, list[str]]) -> Index[str]:
    index: Index[str] = Index()
    for member, selectors in members:
        index.add(member, Selectors(selectors))
    return index


def wanting(index: Index[Any], topics: Sequence[str]) -> list[Any]:
    return at_once(index.wanting(topics))


def test_an_empty_index_finds_no_member() -> None:
    assert wanting(index_of(), ["a"]) == []


def test_members_that_name_a_topic_are_found_in_the_order_in_which_they_were_added() -> None:
    index = index_of(("ann", ["a", "b"]), ("bob", ["b"]), ("eve", ["a"]))
    assert wanting(index, ["a"]) == ["ann", "eve"]
    assert wanting(index, ["b"]) == ["ann", "bob"]
    assert wanting(index, ["c"]) == []


def test_members_with_the_wildcard_are_found_for_every_topic() -> None:
    index = index_of(("ann", ["*"]), ("bob", ["b"]))
    assert wanting(index, ["a"]) == ["ann"]
    assert wanting(index, ["b"]) == ["ann", "bob"]


def test_a_template_finds_its_members_by_match_and_by_equality() -> None:
    index = index_of(("ann", ["x/{y}"]), ("bob", ["x/{y}"]), ("eve", ["x/{y}{?z}"]))
    assert wanting(index, ["x/1"]) == ["ann", "bob", "eve"]
    assert wanting(index, ["x/{y}"]) == ["ann", "bob"]
    assert wanting(index, ["x/1?z=2"]) == ["eve"]
    assert wanting(index, ["x"]) == []


def test_a_template_that_starts_with_an_expression_is_tried_for_every_topic() -> None:
    index = index_of(("ann", ["{+x}/end"]), ("bob", ["{+x}"]))
    assert wanting(index, ["any/end"]) == ["ann", "bob"]
    assert wanting(index, [""]) == ["bob"]


def test_a_template_beyond_ascii_is_found_as_an_iri_and_as_a_uri() -> None:
    index = index_of(("ann", ["é/{x}"]))
    assert wanting(index, ["é/1"]) == wanting(index, ["%C3%A9/1"]) == ["ann"]


def test_a_member_is_found_once_however_many_selectors_and_topics_match() -> None:
    index = index_of(("ann", ["*", "a", "b", "{x}", "{+x}"]), ("bob", ["b"]))
    assert wanting(index, ["a", "b", "a"]) == ["ann", "bob"]


def test_an_update_without_topics_finds_every_member_once() -> None:
    index = index_of(("ann", ["a", "{x}"]), ("bob", ["x/{y}", "x/{z}"]), ("eve", ["*", "a"]))
    assert sorted(wanting(index, [])) == ["ann", "bob", "eve"]


def test_members_may_be_added_and_discarded_during_a_search() -> None:
    templates = [f"{{x}}/{number}" for number in range(10)]
    index = index_of(*((selector, [selector]) for selector in templates))
    finding = index.wanting(["any/0"], SPENT)
    next(finding)
    for selector in templates[1:]:
        index.discard(selector, Selectors([selector]))
    index.add("late", Selectors(["any/0"]))
    assert "{x}/0" in at_once(finding)


def test_members_may_be_added_and_discarded_while_the_result_is_iterated() -> None:
    selectors = Selectors(["a"])
    index = index_of(("ann", ["a"]), ("bob", ["a"]))
    walked = []
    for member in wanting(index, ["a"]):
        walked.append(member)
        index.discard(member, selectors)
        index.add(member * 2, selectors)
    assert walked == ["ann", "bob"]
    assert wanting(index, ["a"]) == ["annann", "bobbob"]


def test_discarded_members_leave_nothing_behind() -> None:
    everyone = [
        ("ann", ["*", "a", "é/{x}", "{x}"]),
        ("bob", ["a", "b", "é/{x}"]),
        ("eve", ["{x}", "é/{y}", "f/{x}"]),
    ]
    index = index_of(*everyone)
    for member, selectors in everyone:
        index.discard(member, Selectors(selectors))
    assert not any(vars(index).values())


def test_a_search_for_many_topics_yields_between_any_two_templates() -> None:
    templates = [f"{{x}}/{number}" for number in range(10)]
    index = index_of(*((selector, [selector]) for selector in templates))
    topics = [f"{number}/{number % 20}" for number in range(100)]
    turns = 0
    for _ in index.wanting(topics, SPENT):
        turns += 1
    assert turns >= len(topics) * len(templates)


def test_discarding_an_unknown_member_changes_nothing() -> None:
    index = index_of(("ann", ["*", "a", "{x}"]))
    for selectors in (["*", "a", "{x}"], ["b", "{y}", "b/{y}"]):
        index.discard("bob", Selectors(selectors))
    assert wanting(index, ["a"]) == ["ann"]


texts = st.sampled_from(
    ["*", "a", "b", "a/1", "a/1/2", "", "{x}", "a/{x}", "a{/x*}", "{+x}", "a/{", "é/{x}", "é/1",
     "%C3%A9/1", "\ud800"]
)  # fmt: skip


@given(
    st.lists(st.tuples(st.lists(texts, max_size=4), st.booleans()), max_size=12),
    st.lists(texts, min_size=1, max_size=3),
)
def test_the_index_finds_exactly_the_members_whose_selectors_match_a_topic(
    members: list[tuple[list[str], bool]], topics: list[str]
) -> None:
    index: Index[int] = Index()
    subscriptions = [Selectors(selectors) for selectors, _ in members]
    for member, selectors in enumerate(subscriptions):
        index.add(member, selectors)
    for member, (_, leaves) in enumerate(members):
        if leaves:
            index.discard(member, subscriptions[member])
    assert sorted(wanting(index, topics)) == [
        member
        for member, (_, leaves) in enumerate(members)
        if not leaves and at_once(subscriptions[member].matching_any(topics, SPENT))
    ]
