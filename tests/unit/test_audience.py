from hypothesis import given
from hypothesis import strategies as st

from barestream.audience import Audience
from barestream.topics import Selectors


def audience_of(*members: tuple[str, list[str]]) -> Audience[str]:
    audience: Audience[str] = Audience()
    for member, selectors in members:
        audience.add(member, Selectors(selectors))
    return audience


def test_nobody_wants_anything_of_an_empty_audience() -> None:
    assert audience_of().wanting(["a"]) == []


def test_those_who_named_the_topic_want_it_in_the_order_in_which_they_came() -> None:
    audience = audience_of(("ann", ["a", "b"]), ("bob", ["b"]), ("eve", ["a"]))
    assert audience.wanting(["a"]) == ["ann", "eve"]
    assert audience.wanting(["b"]) == ["ann", "bob"]
    assert audience.wanting(["c"]) == []


def test_those_who_named_everything_want_each_topic() -> None:
    audience = audience_of(("ann", ["*"]), ("bob", ["b"]))
    assert audience.wanting(["a"]) == ["ann"]
    assert audience.wanting(["b"]) == ["ann", "bob"]


def test_a_template_is_wanted_by_what_it_matches_and_by_equality() -> None:
    audience = audience_of(("ann", ["x/{y}"]), ("bob", ["x/{y}"]), ("eve", ["x/{y}{?z}"]))
    assert audience.wanting(["x/1"]) == ["ann", "bob", "eve"]
    assert audience.wanting(["x/{y}"]) == ["ann", "bob"]
    assert audience.wanting(["x/1?z=2"]) == ["eve"]
    assert audience.wanting(["x"]) == []


def test_a_template_that_starts_with_an_expression_is_tried_for_every_topic() -> None:
    audience = audience_of(("ann", ["{+x}/end"]), ("bob", ["{+x}"]))
    assert audience.wanting(["any/end"]) == ["ann", "bob"]
    assert audience.wanting([""]) == ["bob"]


def test_a_template_beyond_ascii_is_found_as_an_iri_and_as_a_uri() -> None:
    audience = audience_of(("ann", ["é/{x}"]))
    assert audience.wanting(["é/1"]) == audience.wanting(["%C3%A9/1"]) == ["ann"]


def test_a_member_comes_once_however_many_selectors_and_topics_match() -> None:
    audience = audience_of(("ann", ["*", "a", "b", "{x}", "{+x}"]), ("bob", ["b"]))
    assert audience.wanting(["a", "b", "a"]) == ["ann", "bob"]


def test_what_has_no_topic_is_for_every_member_once() -> None:
    audience = audience_of(("ann", ["a", "{x}"]), ("bob", ["x/{y}", "x/{z}"]), ("eve", ["*", "a"]))
    assert sorted(audience.wanting([])) == ["ann", "bob", "eve"]


def test_members_may_come_and_go_while_the_result_is_walked_over() -> None:
    selectors = Selectors(["a"])
    audience = audience_of(("ann", ["a"]), ("bob", ["a"]))
    walked = []
    for member in audience.wanting(["a"]):
        walked.append(member)
        audience.discard(member, selectors)
        audience.add(member * 2, selectors)
    assert walked == ["ann", "bob"]
    assert audience.wanting(["a"]) == ["annann", "bobbob"]


def test_nothing_is_left_of_members_that_have_gone() -> None:
    everyone = [
        ("ann", ["*", "a", "é/{x}", "{x}"]),
        ("bob", ["a", "b", "é/{x}"]),
        ("eve", ["{x}", "é/{y}", "f/{x}"]),
    ]
    audience = audience_of(*everyone)
    for member, selectors in everyone:
        audience.discard(member, Selectors(selectors))
    assert vars(audience) == vars(Audience())


def test_who_is_not_here_is_discarded_without_ado() -> None:
    audience = audience_of(("ann", ["*", "a", "{x}"]))
    for selectors in (["*", "a", "{x}"], ["b", "{y}", "b/{y}"]):
        audience.discard("bob", Selectors(selectors))
    assert audience.wanting(["a"]) == ["ann"]


texts = st.sampled_from(
    ["*", "a", "b", "a/1", "a/1/2", "", "{x}", "a/{x}", "a{/x*}", "{+x}", "a/{", "é/{x}", "é/1",
     "%C3%A9/1", "\ud800"]
)  # fmt: skip


@given(
    st.lists(st.tuples(st.lists(texts, max_size=4), st.booleans()), max_size=12),
    st.lists(texts, min_size=1, max_size=3),
)
def test_those_who_want_topics_are_the_members_left_whose_selectors_match_any(
    members: list[tuple[list[str], bool]], topics: list[str]
) -> None:
    audience: Audience[int] = Audience()
    subscriptions = [Selectors(selectors) for selectors, _ in members]
    for member, selectors in enumerate(subscriptions):
        audience.add(member, selectors)
    for member, (_, leaves) in enumerate(members):
        if leaves:
            audience.discard(member, subscriptions[member])
    found = audience.wanting(topics)
    assert sorted(found) == [
        member
        for member, (_, leaves) in enumerate(members)
        if not leaves and subscriptions[member].match_any(topics)
    ]
