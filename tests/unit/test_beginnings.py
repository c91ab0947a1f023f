import asyncio
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from bareasgi import HttpRequest

from barestream.delivery.resume import EARLIEST
from barestream.delivery.time_slices import Slices
from barestream.history.record import BEGIN, Place
from barestream.history.topic_state import Rewind
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.topics import HubUrl
from barestream.web.beginnings import Beginning, Beginnings
from barestream.web.cursor import is_moved_on
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import StreamRequest
from fake_writer import FakeClock
from rewinds import World, played

A1, B1, A2, B2, X1 = (Place(1000 * number, 0) for number in range(2, 7))

Pairs = list[tuple[str, str]]


async def begun(pairs: Pairs, header: str | None = None, world: World | None = None) -> Beginning:
    """Return how a stream of these parameters begins, after a1, b1, a2, b2 and x1."""
    if world is None:
        world = World()
        for text in ("a1", "b1", "a2", "b2", "x1"):
            await world.publish(text, own_id=f"own {text}")
    slices = Slices(FakeClock())
    reader = SelectorReader(100, Patterns(HubUrl("https://hub.example/"), 10), slices)
    beginnings = Beginnings(world.tail, reader, 100)
    headers = [] if header is None else [(b"last-event-id", header.encode())]
    scope = {"method": "GET", "headers": headers, "query_string": urlencode(pairs).encode()}
    request = HttpRequest(scope, {}, {}, {}, None)  # type: ignore[arg-type]
    asked = await StreamRequest.read(request)
    whole = await beginnings.subscription(asked, Selectors(()))
    return await beginnings.beginning(asked, whole, is_moved_on=is_moved_on(request))


class Way(NamedTuple):
    """How a stream of the topics a and b begins.

    Attributes:
        rewound: The topics that are rewound.
        others: Those that go on from a cursor beside them, or all where there is no rewind.
        place: The place of that cursor; None for the end of the history.
        lost: The id of which it is sent a gap.
    """

    rewound: str
    others: str
    place: Place | None
    lost: str | None = None


def way(pairs: Pairs, header: str | None = None, world: World | None = None) -> Way:
    start, plan = played(lambda: begun(pairs, header, world))
    if plan is None:
        return Way("", "ab", start.place, start.missed.after if start.missed else None)
    assert sorted(plan.whole.topics) == ["a", "b"]
    others = "".join(plan.old.topics) if plan.old else ""
    place = plan.place if plan.old else None
    assert (plan.place == BEGIN) is (plan.old is None) or place == BEGIN
    lost = plan.missed.after if plan.missed else None
    return Way("".join(sorted(plan.new.topics)), others, place, lost)


ALL = Way("ab", "", None)
B_ALONE = Way("b", "a", A1)


def nothing_new(place: Place) -> Way:
    return Way("", "ab", place)


OWN, POLYFILL = "last_event_id", "lastEventId"
NEW_B = ("new", "b")


@pytest.mark.parametrize(
    ("pairs", "header", "expected"),
    [
        # Without a cursor.
        ([], None, ALL),
        ([NEW_B], None, ALL),
        ([(OWN, "")], None, ALL),
        ([(OWN, "null"), NEW_B], None, ALL),
        ([NEW_B, (POLYFILL, "undefined")], None, ALL),
        # With a cursor of the page's own.
        ([(OWN, "#2000-0")], None, nothing_new(A1)),
        ([(OWN, "own a1")], None, nothing_new(A1)),
        ([(OWN, "#2000-0"), NEW_B], None, B_ALONE),
        ([("Last-Event-ID", "#2000-0"), NEW_B], None, B_ALONE),
        ([(OWN, "own a1"), NEW_B], None, B_ALONE),
        ([(OWN, "#2000-0;a"), NEW_B], None, B_ALONE),
        ([(OWN, "#2000-0"), NEW_B, ("new", "a")], None, ALL),
        # With a later one in the header: the client has come back to the same URL.
        ([(OWN, "#2000-0"), NEW_B], "#5000-0", nothing_new(B2)),
        ([(OWN, "#2000-0"), NEW_B], "own b2", nothing_new(B2)),
        ([NEW_B], "#5000-0", nothing_new(B2)),
        ([], "#5000-0", nothing_new(B2)),
        # With the same one in the header: it was sent nothing.
        ([(OWN, "#2000-0"), NEW_B], "#2000-0", B_ALONE),
        ([(OWN, "own a1"), NEW_B], "own a1", B_ALONE),
        # As event-source-polyfill sends it.
        ([(OWN, "#2000-0"), NEW_B, (POLYFILL, "#5000-0")], None, nothing_new(B2)),
        ([(OWN, "#2000-0"), NEW_B, (POLYFILL, "#2000-0")], None, B_ALONE),
        ([(OWN, "#2000-0"), NEW_B, (POLYFILL, "")], None, B_ALONE),
        ([(OWN, "#2000-0"), NEW_B, (POLYFILL, "null")], None, B_ALONE),
        # With the id of a rewind that was cut.
        ([], "#0-0~", ALL),
        ([(OWN, "#2000-0"), NEW_B], "#2000-0~", B_ALONE),
        ([(OWN, "#2000-0"), NEW_B], "#4000-0~", Way("b", "a", A2)),
        ([(OWN, "#2000-0"), NEW_B], "#4000-0~3000-0;b;own", Way("b", "a", A2)),
        ([(OWN, "#2000-0"), NEW_B, (POLYFILL, "#4000-0~")], None, Way("b", "a", A2)),
        ([(OWN, "#2000-0~"), NEW_B], None, B_ALONE),
        ([(OWN, "#2000-0~"), NEW_B, (POLYFILL, "null")], None, B_ALONE),
        ([(OWN, "#0-0~"), NEW_B], None, ALL),
        # The page took that id for its own cursor, and has moved on since.
        ([(OWN, "#2000-0~"), NEW_B], "#5000-0", nothing_new(B2)),
        ([(OWN, "#2000-0~"), NEW_B, (POLYFILL, "#5000-0")], None, nothing_new(B2)),
        ([(OWN, "#0-0~"), NEW_B, (POLYFILL, "#5000-0")], None, nothing_new(B2)),
        # With one that the history does not know.
        ([(OWN, "lost")], None, Way("ab", "", None, "lost")),
        ([(OWN, "lost"), NEW_B], None, Way("ab", "", None, "lost")),
        ([(OWN, "#2000-0"), NEW_B], "lost", Way("ab", "", None, "lost")),
        ([(OWN, "#2000-0"), NEW_B], "#9000-0~", Way("ab", "", None, "#9000-0~")),
        # All that is left is more than a rewind.
        ([(OWN, EARLIEST)], None, nothing_new(Place(1000, 0))),
        ([(OWN, EARLIEST), NEW_B], None, Way("b", "a", Place(1000, 0))),
        ([(OWN, EARLIEST), NEW_B], "#5000-0", nothing_new(B2)),
    ],
)
def test_the_topics_that_are_rewound(pairs: Pairs, header: str | None, expected: Way) -> None:
    topics = [("topic", "a"), ("topic", "b"), ("rewind", "10")]
    assert way([*topics, *pairs], header) == expected
    of_version_1 = [("match", "a"), ("match_exact", "b"), ("rewind", "10")]
    assert way([*of_version_1, *pairs], header) == expected


@pytest.mark.parametrize("header", ["#4000-0~", "#4000-0~3000-0;b", "#4000-0"])
def test_without_a_rewind_a_cursor_of_one_is_a_place(header: str) -> None:
    assert way([("topic", "a"), ("topic", "b")], header) == nothing_new(A2)


def test_all_that_is_left_of_other_topics_has_no_gap() -> None:
    async def scenario() -> None:
        world = World(ring_events=1)
        for text in ("a1", "b1", "a2"):
            await world.publish(text)
        pairs = [("topic", "a"), ("topic", "b"), ("rewind", "1"), (OWN, EARLIEST), NEW_B]
        _, plan = await begun(pairs, world=world)
        assert plan is not None
        assert plan.place == Place(1000, 0)
        assert plan.missed == (None, Place(1000, 0))

    played(scenario)


def test_all_that_is_left_of_other_topics_is_that_of_these_alone() -> None:
    async def scenario() -> None:
        world = World(ring_events=1, topic_events=1, topic_seconds=0)
        # This one leaves the second of its topics alone.
        crowded_out = await world.publish("1", "c", "a")
        await world.publish("a2")
        pairs = [("topic", "a"), ("topic", "r/{id}"), ("rewind", "1"), (OWN, EARLIEST)]
        _, plan = await begun([*pairs, ("new", "r/{id}")], world=world)
        assert plan is not None
        assert plan.missed == (None, crowded_out)

    played(scenario)


def test_the_plan_has_the_rewind_and_its_bound() -> None:
    _, plan = asyncio.run(begun([("topic", "a"), ("rewind", "30s")]))
    assert plan is not None
    assert (plan.rewind, plan.most_events) == (Rewind(seconds=30), 100)


def test_the_topics_of_the_parts_are_named_in_ids_where_the_request_asks_for_it() -> None:
    pairs = [("topic", "a"), ("topic", "b"), ("rewind", "1"), ("include", "topic")]
    _, plan = asyncio.run(begun(pairs))
    assert plan is not None
    assert plan.whole.names_topics


@pytest.mark.parametrize("name", ["topic", "match", "match_urlpattern"])
def test_templates_patterns_and_everything_may_be_new_too(name: str) -> None:
    new = {"topic": "/orders/{id}", "match": "*", "match_urlpattern": "/orders/:id"}[name]
    other = "topic" if name == "topic" else "match"
    pairs = [(other, "a"), (name, new), ("rewind", "kept"), ("new", new), (OWN, "#2000-0")]
    _, plan = asyncio.run(begun(pairs))
    assert plan is not None
    assert plan.old is not None
    assert [*plan.new.topics] == [new]
    assert [*plan.old.topics] == ["a"]
