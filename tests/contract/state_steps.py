"""The steps of courses over history and delivery, as they are drawn."""

from typing import NamedTuple

from hypothesis import strategies as st

from barestream.history.update import Update
from random_courses import BOUNDS
from topic_updates import FOREVER, update

EXACT = ("a", "b", "r/1", "r/2")
NEVER_USED = "x"
TEMPLATE = "r/{id}"
SELECTORS = (*EXACT, NEVER_USED, TEMPLATE, "*")

# How many updates of one topic a rewind has at most.
MOST_REWOUND = 2

# Stands for all turns that are needed until nothing is left to do.
IDLE = 1000


class Publish(NamedTuple):
    """A publish of one update, or of some together."""

    updates: list[Update]


class Repeat(NamedTuple):
    """A retry of the nth update with an id."""

    nth: int


class Pass(NamedTuple):
    """Some time."""

    ms: int


class Trim(NamedTuple):
    """A removal of old updates by a worker, without a publish."""

    worker: int


class ReadOn(NamedTuple):
    """A worker reads what follows."""

    worker: int


class Restart(NamedTuple):
    """A worker ends, with its streams, and another one takes its place."""

    worker: int


class Wish(NamedTuple):
    """What a client asks for.

    Attributes:
        topics: Its topic selectors.
        readable: Those of its token.
        rewind: The parameter; empty for none.
        last_id: The last event id of its URL: empty, ``earliest``, an id, or the number of a place.
        new: Those of its topics that are new to it.
        include: The parameter; empty for nothing.
        heartbeats: Whether heartbeats are events.
    """

    topics: tuple[str, ...]
    readable: tuple[str, ...]
    rewind: str
    last_id: str | int
    new: tuple[str, ...]
    include: str
    heartbeats: bool


class Come(NamedTuple):
    """A client comes; it may read nothing at first."""

    wish: Wish
    worker: int
    is_slow: bool


class Read(NamedTuple):
    """A slow client takes what waits, and goes on to read slowly or not."""

    client: int
    stays_slow: bool


class Slow(NamedTuple):
    """A client reads nothing more."""

    client: int


class Cut(NamedTuple):
    """A client loses its connection, and comes back.

    Attributes:
        client: Its number.
        events: How many of the events that were on their way it got, counted modulo.
        worker: The worker that it comes back to.
        writes_url: Whether it writes the id into another URL, in place of the header.
        added: A topic that it adds to that URL; empty for none.
    """

    client: int
    events: int
    worker: int
    writes_url: bool
    added: str


class Settle(NamedTuple):
    """Everything is read, sent and taken."""


Step = Publish | Repeat | Pass | Trim | ReadOn | Restart | Come | Read | Slow | Cut | Settle

NUMBERS = st.integers(0, 30)
WORKERS = st.integers(0, 1)


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """Draw an update; the course gives it its data."""
    topics = draw(st.lists(st.sampled_from(EXACT), min_size=1, max_size=2, unique=True))
    private = draw(st.booleans())
    own_id = draw(st.sampled_from([None, None, "x", "y"]))
    if own_id:
        # So the updates with an id leave the history in their order: which one is the newest that
        # it has is said of no other case.
        own_id += f" of {topics} {private}"
    keep = draw(st.sampled_from([None, None, None, FOREVER, 3.5, 1.5, 0]))
    end = draw(st.sampled_from([None] * 5 + [2.5]))
    return update("-", *topics, own_id=own_id, private=private, keep=keep, end=end)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    topics = tuple(draw(st.lists(st.sampled_from(SELECTORS), min_size=1, max_size=3, unique=True)))
    readable = draw(
        st.sampled_from([(), ("*",), topics, ("a",), ("b",), ("r/1",), (TEMPLATE,), ("a", "b")])
    )
    rewind = draw(
        st.sampled_from(["", "", "1", "2", "5", "5", "1s", "3s", "3000s", "kept", "kept"])
    )
    last_id = draw(
        st.sampled_from(["", "", "", "earliest", "lost", "x of ['a'] False"]) | st.integers(0, 40)
    )
    new = tuple(topic for topic in topics if draw(st.booleans())) if rewind else ()
    include = draw(
        st.sampled_from(["", "", "topic", "ready", "topic,ready", "match", "match,ready"])
    )
    return Wish(topics, readable, rewind, last_id, new, include, draw(st.booleans()))


PUBLISHES = st.builds(Publish, st.lists(updates(), min_size=1, max_size=2))

STEPS = st.one_of(
    st.just(Settle()),
    PUBLISHES,
    PUBLISHES,
    PUBLISHES,
    st.builds(Repeat, NUMBERS),
    st.builds(ReadOn, WORKERS),
    st.builds(ReadOn, WORKERS),
    st.builds(Come, wishes(), WORKERS, st.booleans()),
    st.builds(Come, wishes(), WORKERS, st.booleans()),
    st.builds(Cut, NUMBERS, NUMBERS, WORKERS, st.booleans(), st.sampled_from(["", *SELECTORS])),
    st.builds(Read, NUMBERS, st.booleans()),
    st.builds(Slow, NUMBERS),
    st.builds(Pass, st.sampled_from([300, 1100, 2600])),
    st.builds(Trim, WORKERS),
    st.builds(Restart, WORKERS),
)

# Each step, and how many turns of the event loop follow it.
TURNS = st.sampled_from([0, 0, 1, 2, 5, IDLE])

# Lists of a free size would mostly be short.
COURSES = st.integers(1, 50).flatmap(
    lambda size: st.lists(st.tuples(STEPS, TURNS), min_size=size, max_size=size)
)


class Plan(NamedTuple):
    """All that decides what happens in a course.

    Attributes:
        bounds: Those of the history.
        steps: The steps, and how many turns of the event loop follow each.
        numbers: The seed of the numbers that decide where work is interrupted.
    """

    bounds: dict[str, int]
    steps: list[tuple[Step, int]]
    numbers: int


PLANS = st.builds(Plan, BOUNDS, COURSES, st.integers(0, 10**6))
